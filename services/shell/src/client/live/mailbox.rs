//! What a follower has not taken yet: the latest row of each key, in the order in which they changed.
use super::{Lost, Update};
use crate::position::Position;
use functions::View;
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// A row as it was read for all followers; `None`: it is not among those that this one follows.
#[derive(Clone)]
pub(super) struct Latest {
    pub(super) row: Option<Arc<Value>>,
    pub(super) seen: Arc<Position>,
}

pub(super) struct Mailbox {
    state: Mutex<State>,
    news: Notify,
    rows_max: usize,
}

struct State {
    queue: VecDeque<Entry>,
    rows: HashMap<Arc<str>, Latest>,
    /// Where the follower goes on who has taken all that is not here.
    after: Arc<str>,
    end: Option<Lost>,
    is_open: bool,
}

enum Entry {
    /// The row with this key.
    Row(Arc<str>),
    /// All before it is what had changed up to this place.
    Place(Arc<str>),
}

/// A row that was taken.
pub(super) struct Taken {
    key: Arc<str>,
    latest: Latest,
    after: Arc<str>,
}

impl Taken {
    pub(super) fn read<V: View>(self) -> Result<Update<V>, Lost> {
        let Self { key, latest: Latest { row, seen }, after } = self;
        let row = row.map(|it| V::deserialize(&*it)).transpose();
        let row = row.map_err(|error| Lost::Unreadable(error.to_string()))?;
        let key =
            key.parse().map_err(|error| Lost::Unreadable(format!("its key {key}: {error}")))?;
        Ok(Update { key, row, after, seen })
    }
}

impl Mailbox {
    pub(super) fn new(after: Arc<str>, rows_max: usize) -> Self {
        let (queue, rows) = (VecDeque::new(), HashMap::new());
        let state = Mutex::new(State { queue, rows, after, end: None, is_open: true });
        Self { state, news: Notify::new(), rows_max }
    }

    /// Takes in rows, with which the follower has all up to this place. A row that waits already keeps its turn.
    pub(super) fn put(&self, rows: Vec<(Arc<str>, Latest)>, after: &Arc<str>) {
        let is_news = !rows.is_empty();
        {
            let mut state = self.state();
            if state.end.is_some() || !state.is_open {
                return;
            }
            for (key, latest) in rows {
                if state.rows.insert(Arc::clone(&key), latest).is_none() {
                    state.queue.push_back(Entry::Row(key));
                }
            }
            if state.rows.len() > self.rows_max {
                state.clear();
                state.end = Some(Lost::TooSlow { rows: self.rows_max });
            } else if state.rows.is_empty() {
                state.after = Arc::clone(after);
            } else {
                if let Some(Entry::Place(_)) = state.queue.back() {
                    state.queue.pop_back();
                }
                state.queue.push_back(Entry::Place(Arc::clone(after)));
            }
        }
        if is_news {
            self.news.notify_one();
        }
    }

    /// Nothing comes any more, and what waits is of no use.
    pub(super) fn end(&self, lost: Lost) {
        let mut state = self.state();
        state.clear();
        state.end.get_or_insert(lost);
        drop(state);
        self.news.notify_one();
    }

    /// The row that has waited longest, or why there will be none.
    pub(super) async fn take(&self) -> Result<Taken, Lost> {
        loop {
            if let Some(it) = self.state().next() {
                return it;
            }
            self.news.notified().await;
        }
    }

    /// Nobody takes any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_open = false;
        state.clear();
    }

    /// Whether anything that is put in may be taken.
    pub(super) fn is_open(&self) -> bool {
        let state = self.state();
        state.is_open && state.end.is_none()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<Result<Taken, Lost>> {
        if let Some(lost) = &self.end {
            return Some(Err(lost.clone()));
        }
        loop {
            match self.queue.pop_front()? {
                Entry::Place(after) => self.after = after,
                Entry::Row(key) => {
                    let Some(latest) = self.rows.remove(&key) else { continue };
                    // The last of them that changed together.
                    if let Some(Entry::Place(after)) = self.queue.front() {
                        self.after = Arc::clone(after);
                        self.queue.pop_front();
                    }
                    return Some(Ok(Taken { key, latest, after: Arc::clone(&self.after) }));
                }
            }
        }
    }

    fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.rows = HashMap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn rows(keys: &[&str], version: i64) -> Vec<(Arc<str>, Latest)> {
        let latest = Latest { row: Some(Arc::new(version.into())), seen: Arc::default() };
        keys.iter().map(|it| (Arc::from(*it), latest.clone())).collect()
    }

    /// Key, version, and place.
    fn take(mailbox: &Mailbox) -> String {
        let Some(Ok(Taken { key, latest, after })) = mailbox.take().now_or_never() else {
            return "nothing".to_owned();
        };
        let version = latest.row.and_then(|it| it.as_i64()).unwrap_or_default();
        format!("{key} {version} {after}")
    }

    #[test]
    fn the_latest_row_of_each_key_waits_in_its_turn() {
        let mailbox = Mailbox::new("p0".into(), 3);
        assert_eq!(take(&mailbox), "nothing");
        mailbox.put(rows(&["a", "b"], 1), &"p1".into());
        mailbox.put(rows(&["b", "c", "a"], 2), &"p2".into());
        assert_eq!(take(&mailbox), "a 2 p0");
        assert_eq!(take(&mailbox), "b 2 p1", "all that p1 is about was taken");
        assert_eq!(take(&mailbox), "c 2 p2");
        mailbox.put(Vec::new(), &"p3".into());
        mailbox.put(rows(&["a", "b"], 4), &"p4".into());
        assert_eq!(take(&mailbox), "a 4 p3");
        assert_eq!(take(&mailbox), "b 4 p4");
        assert_eq!(take(&mailbox), "nothing");
    }

    #[test]
    fn a_row_taken_changes_again_before_the_rest_is_taken() {
        let mailbox = Mailbox::new("p0".into(), 3);
        mailbox.put(rows(&["a", "b"], 1), &"p1".into());
        assert_eq!(take(&mailbox), "a 1 p0");
        mailbox.put(rows(&["a"], 2), &"p2".into());
        assert_eq!(take(&mailbox), "b 1 p1");
        assert_eq!(take(&mailbox), "a 2 p2");
    }

    #[test]
    fn what_does_not_fit_is_not_kept() {
        let mailbox = Mailbox::new("p0".into(), 2);
        for version in 0..100 {
            mailbox.put(rows(&["a", "b"], version), &version.to_string().into());
        }
        let state = mailbox.state();
        assert_eq!((state.rows.len(), state.queue.len()), (2, 3), "however often they change");
        drop(state);
        mailbox.put(rows(&["c"], 1), &"p".into());
        assert!(!mailbox.is_open());
        assert_eq!(mailbox.state().rows.capacity(), 0);
        let end = mailbox.take().now_or_never().and_then(Result::err);
        assert_eq!(end, Some(Lost::TooSlow { rows: 2 }));
    }
}
