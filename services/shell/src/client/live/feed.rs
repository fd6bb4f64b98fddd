//! What all followers of a view are told, read once for all of them.
use super::{
    Followed, Lost, Place,
    mailbox::{Latest, Mailbox},
    marks::{self, Marks},
};
use crate::{
    client::{Client, read::position},
    port::store::{Changes, CheckpointRow, Mark, StoreError},
    position::Position,
    reads::{Filter, Query, Test, Value, holds},
    telemetry::trace::{self, Done},
    view::ViewDefinition,
};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use opentelemetry::KeyValue;
use serde_json::Value as Json;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// Somebody who follows rows of a view.
pub(super) struct Follower {
    followed: Followed,
    marks: Arc<Marks>,
    /// Of which generation it was told.
    generation: Option<i32>,
    /// It has not caught up with the others yet, who do not wait for it.
    is_behind: bool,
    /// Nothing was told yet.
    is_new: bool,
    mailbox: Arc<Mailbox>,
}

impl Follower {
    pub(super) fn new(
        followed: Followed,
        begin: &Place,
        view: &ViewDefinition,
        partitions: i32,
        mailbox: &Arc<Mailbox>,
    ) -> Self {
        let mut marks = Marks::new();
        for family in &view.follows {
            for part in 0..partitions {
                marks.insert((family.topic.to_owned(), part), (0, 0));
            }
            for it in begin.position.entries().filter(|it| it.context == family.context) {
                let mark = marks.entry((family.topic.to_owned(), it.part)).or_default();
                mark.0 = mark.0.max(it.pseq);
            }
        }
        Self {
            followed,
            marks: Arc::new(marks),
            generation: begin.generation,
            is_behind: true,
            is_new: true,
            mailbox: Arc::clone(mailbox),
        }
    }
}

/// Where followers of a view join.
#[derive(Default)]
pub(crate) struct Entrance {
    joining: Mutex<Vec<Follower>>,
    joined: Notify,
}

impl Entrance {
    pub(super) fn join(&self, follower: Follower) {
        self.joining.lock().unwrap_or_else(PoisonError::into_inner).push(follower);
        self.joined.notify_one();
    }

    fn take(&self) -> Vec<Follower> {
        std::mem::take(&mut *self.joining.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Feeds the followers of all views, as long as it is polled.
pub(crate) async fn feeds(client: Client) {
    let it = &*client.0;
    let entrances = it.views.values().filter_map(|view| Some((view, it.live.get(view.table)?)));
    join_all(entrances.map(|(view, entrance)| Feed { client: &client, view, entrance }.run()))
        .await;
}

struct Feed<'a> {
    client: &'a Client,
    view: &'a ViewDefinition,
    entrance: &'a Entrance,
}

/// What is news to whoever is at some marks: where they are then, as marks and as a place, and the rows that changed on
/// the way.
type News = Result<(Arc<Marks>, Arc<str>, BTreeSet<Arc<str>>), Lost>;

impl Feed<'_> {
    async fn run(self) {
        loop {
            self.entrance.joined.notified().await;
            self.feed().await;
        }
    }

    /// Until nobody follows any more.
    async fn feed(&self) {
        let (client, context) = (&*self.client.0, self.view.context);
        let mut followers = Vec::new();
        let mut failed = 0_u32;
        // A notification only wakes: without one, the store is asked all the same (R4).
        let mut asks = true;
        loop {
            // Listens before it looks.
            let changed = client.reads.changed(context);
            followers.extend(self.entrance.take());
            followers.retain(|it: &Follower| it.mailbox.is_open());
            if followers.is_empty() {
                return;
            }
            match self.look(&mut followers, asks).await {
                Ok(true) => continue,
                Ok(false) => failed = 0,
                Err(error) => {
                    failed += 1;
                    if failed.is_power_of_two() {
                        tracing::warn!(view = self.view.table, %error, "followers wait for the store");
                    }
                    client.clock.sleep(LOOK_AGAIN).await;
                }
            }
            asks = tokio::select! {
                () = changed => false,
                () = self.entrance.joined.notified() => false,
                () = client.clock.sleep(LOOK_AGAIN) => true,
            };
        }
    }

    /// Tells all what is news to them; whether there is more of it.
    async fn look(&self, followers: &mut [Follower], asks: bool) -> Result<bool, StoreError> {
        // Those who are up to date first: who comes from far away does not hold them up.
        let more = self.round(followers, false, asks).await?;
        Ok(self.round(followers, true, true).await? || more)
    }

    async fn round(
        &self,
        followers: &mut [Follower],
        behind: bool,
        asks: bool,
    ) -> Result<bool, StoreError> {
        let (client, view) = (&*self.client.0, self.view);
        let began = client.clock.now();
        let mut group: Vec<&mut Follower> =
            followers.iter_mut().filter(|it| it.is_behind == behind).collect();
        let Some(least) = marks::least(group.iter().map(|it| &it.marks)) else { return Ok(false) };
        if !asks && !self.is_news(&least) {
            return Ok(false);
        }
        let marks = least.iter().map(|((topic, part), (pseq, number))| Mark {
            topic: topic.clone(),
            part: *part,
            pseq: *pseq,
            number: *number,
        });
        let marks: Vec<Mark> = marks.collect();
        let changes = client.reads.changes(view.context, view, &marks, BATCHES_MAX).await?;
        // What is read now is being built: what follows from it will be told.
        let Some(changes) = changes else { return Ok(false) };
        let full = marks::full(&changes, BATCHES_MAX);
        let news = self.news(&group, &changes, &full);
        let at = position(view, &changes.checkpoints);
        let Some((rows, seen)) = self.rows(&wanted(&group, &news), at).await? else {
            return Ok(false);
        };
        let (news, whose) = news;
        let told = group.len();
        for (count, (follower, at)) in group.iter_mut().zip(whose).enumerate() {
            self.tell(follower, &news[at], changes.generation, &rows, &seen);
            follower.is_behind &= !full.is_empty();
            if count % TOLD_AT_ONCE == TOLD_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
        }
        // Who comes from far away is told what was told to others before.
        if !behind {
            self.trace(&changes, began, told);
        }
        Ok(!full.is_empty())
    }

    /// Tells the traces of what changed that it was pushed.
    fn trace(&self, changes: &Changes, began: DateTime<Utc>, followers: usize) {
        let (view, ended) = (self.view.table, self.client.0.clock.now());
        let (Ok(followers), mut done) = (i64::try_from(followers), Vec::new()) else { return };
        for it in &changes.batches {
            let traces = it.traces.iter().filter(|it| trace::is_wanted(Some(it)));
            done.extend(traces.map(|traceparent| Done {
                name: format!("push {view}"),
                began,
                ended,
                traceparent: traceparent.clone(),
                attributes: vec![
                    KeyValue::new("messaging.destination.name", it.topic.clone()),
                    KeyValue::new("messaging.destination.partition.id", it.part.to_string()),
                    KeyValue::new("flotilla.view", view),
                    KeyValue::new("flotilla.pseq", it.pseq),
                    KeyValue::new("flotilla.followers", followers),
                ],
            }));
        }
        trace::record("push", "send", done);
    }

    /// Whether the view is not known to be where the marks are.
    fn is_news(&self, marks: &Marks) -> bool {
        let heard =
            |topic, part| self.client.0.reads.heard(self.view.context, self.view, topic, part);
        marks.iter().any(|((topic, part), (pseq, _))| {
            heard(topic, *part).is_none_or(|(_, heard)| heard > *pseq)
        })
    }

    /// What is news to whom: most are at the same marks.
    fn news(
        &self,
        group: &[&mut Follower],
        changes: &Changes,
        full: &BTreeSet<(&str, i32)>,
    ) -> (Vec<News>, Vec<usize>) {
        let mut all: Vec<News> = Vec::new();
        let mut known: HashMap<*const Marks, usize> = HashMap::new();
        let mut whose = Vec::with_capacity(group.len());
        for it in group {
            let at = *known.entry(Arc::as_ptr(&it.marks)).or_insert_with(|| {
                let to = marks::after(&it.marks, changes, full).map(|(marks, keys)| {
                    let same = all.iter().filter_map(|it| it.as_ref().ok());
                    let same = same.map(|it| (&it.0, &it.1)).find(|(it, _)| ***it == marks);
                    let (marks, place) = same.map_or_else(
                        || {
                            let place = self.place(&marks, changes).to_string().into();
                            (Arc::new(marks), place)
                        },
                        |(marks, place)| (Arc::clone(marks), Arc::clone(place)),
                    );
                    (marks, place, keys)
                });
                all.push(to);
                all.len() - 1
            });
            whose.push(at);
        }
        (all, whose)
    }

    fn place(&self, marks: &Marks, changes: &Changes) -> Place {
        let at = |row: &CheckpointRow| {
            let mark = marks.get(&(row.topic.clone(), row.part));
            // A server that lost its last moments may not even know whose events it had.
            let mark = mark.filter(|_| row.incarnation != 0);
            CheckpointRow { pseq: mark.map_or(0, |it| it.0), ..row.clone() }
        };
        let rows: Vec<CheckpointRow> = changes.checkpoints.iter().map(at).collect();
        Place { generation: Some(changes.generation), position: position(self.view, &rows) }
    }

    /// The rows with these keys, and how new they are: as new as `seen`, unless a server lost its last moments since.
    async fn rows(
        &self,
        keys: &BTreeSet<&str>,
        mut seen: Position,
    ) -> Result<Option<Rows>, StoreError> {
        let view = self.view;
        let Some(column) = view.key_column() else { return Ok(None) };
        let mut rows = HashMap::new();
        let values: Vec<Value> =
            keys.iter().filter_map(|it| Value::of_text(column.kind, it)).collect();
        for chunk in values.chunks(KEYS_MAX) {
            let filter = Filter::field(view.key, Test::In(chunk.to_vec()));
            let query = Query { filter, ..Query::default() };
            let raw = self.client.0.reads.rows(view.context, view, &query).await?;
            let Some(raw) = raw else { return Ok(None) };
            let found: Vec<Json> = serde_json::from_str(&raw.rows)
                .map_err(|error| StoreError::Broken(format!("rows of {}: {error}", view.table)))?;
            for row in found {
                if let Some(key) = row.get(view.key).and_then(|it| Value::of_json(column.kind, it))
                {
                    rows.insert(key.to_string(), Arc::new(row));
                }
            }
            let now = position(view, &raw.checkpoints);
            seen.merge(&now);
            if seen != now {
                return Err(StoreError::Away("the view went back".to_owned()));
            }
        }
        Ok(Some((rows, Arc::new(seen))))
    }

    fn tell(
        &self,
        follower: &mut Follower,
        news: &News,
        generation: i32,
        rows: &HashMap<String, Arc<Json>>,
        seen: &Arc<Position>,
    ) {
        if *follower.generation.get_or_insert(generation) != generation {
            return follower.mailbox.end(Lost::Rebuilt);
        }
        let (marks, place, keys) = match news {
            Ok(it) => it,
            Err(lost) => return follower.mailbox.end(lost.clone()),
        };
        let latest = |key, row| (key, Latest { row, seen: Arc::clone(seen) });
        let told = match &follower.followed {
            Followed::Row(key) if follower.is_new || keys.contains(key.as_str()) => {
                vec![latest(Arc::from(key.as_str()), rows.get(key).cloned())]
            }
            Followed::Row(_) => Vec::new(),
            Followed::Rows { filter, .. } => {
                let passes = |row: &&Arc<Json>| holds(filter, row, self.view);
                let row = |key: &str| rows.get(key).filter(passes).cloned();
                keys.iter().map(|key| latest(Arc::clone(key), row(key))).collect()
            }
        };
        follower.is_new = false;
        follower.marks = Arc::clone(marks);
        follower.mailbox.put(told, place);
    }
}

/// Rows by key, and how new they are.
type Rows = (HashMap<String, Arc<Json>>, Arc<Position>);

/// The keys of the rows that somebody is told of.
fn wanted<'a>(
    group: &'a [&mut Follower],
    (news, whose): &'a (Vec<News>, Vec<usize>),
) -> BTreeSet<&'a str> {
    let mut wanted = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for (it, at) in group.iter().zip(whose) {
        let Ok((_, _, keys)) = &news[*at] else { continue };
        match &it.followed {
            Followed::Row(key) if it.is_new || keys.contains(key.as_str()) => {
                wanted.insert(key.as_str());
            }
            Followed::Rows { .. } if taken.insert(*at) => {
                wanted.extend(keys.iter().map(|it| &**it));
            }
            Followed::Row(_) | Followed::Rows { .. } => {}
        }
    }
    wanted
}

/// Without a notification.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Batches of a partition that are looked at together.
const BATCHES_MAX: i64 = 50;
/// Keys of one look-up.
const KEYS_MAX: usize = 1_000;
/// Followers that are told without a pause, in which others go on.
const TOLD_AT_ONCE: usize = 100;
