//! A view whose rows are made of several streams, or are found by something else than their stream: they are folded in
//! memory, a bounded number of them in each pass over the events. Their fold does not depend on the order of streams.
use super::{
    difference::{Difference, Findings},
    view::Shown,
    walk::{Check, Chunk, Done, Event, Finished},
};
use crate::aggregator::fold::fold_all;
use functions::{Happened, View};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

/// Compares one share of the rows with the fold of the events.
pub(super) struct Spanning<V> {
    shown: Arc<Shown<V>>,
    share: Share,
    /// Shares that did not fit beside it: for passes to come.
    others: Vec<Share>,
    folded: BTreeMap<String, Option<V>>,
    found: Vec<Difference>,
}

/// The keys whose hash ends so: one of `of` shares, a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    index: u64,
    of: u64,
}

impl Share {
    fn has(self, key: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        hasher.finish() & (self.of - 1) == self.index
    }

    /// Both halves.
    fn halved(self) -> (Self, Self) {
        let of = self.of * 2;
        (Self { of, ..self }, Self { index: self.index + self.of, of })
    }
}

impl<V: View> Spanning<V> {
    pub(super) fn new(shown: Arc<Shown<V>>, found: Vec<Difference>) -> Self {
        let share = Share { index: 0, of: 1 };
        let (others, folded) = (Vec::new(), BTreeMap::new());
        Self { shown, share, others, folded, found }
    }

    fn event(&mut self, topic: &str, it: &Event, findings: &mut Findings<'_>) {
        let happened = Happened { at: it.row.at, version: it.row.version };
        let folded = self.shown.folds(topic, it).and_then(|folds| {
            let Some(mut folds) = folds else { return Ok(()) };
            folds.retain(|it| it.0.as_ref().is_some_and(|key| self.share.has(key)));
            let mut touched = BTreeSet::new();
            fold_all(&folds, &happened, &mut self.folded, &mut touched)?;
            // A row that is gone is as good as none.
            touched.retain(|key| self.folded.get(key).is_some_and(Option::is_none));
            for key in touched {
                self.folded.remove(&key);
            }
            Ok(())
        });
        if let Err(why) = folded {
            // Each pass sees it; the first one says so.
            if self.share.index == 0 {
                findings.add(&self.shown.unfoldable(it, why), Some(self.shown.remedy()));
            }
        }
        while self.folded.len() > self.shown.rows_max {
            let (mine, other) = self.share.halved();
            self.share = mine;
            self.others.push(other);
            self.folded.retain(|key, _| mine.has(key));
        }
    }
}

impl<V: View> Check for Spanning<V> {
    fn follows(&self, context: &str) -> bool {
        self.shown.follows(context)
    }

    fn take<'a>(&'a mut self, chunk: &'a Chunk, findings: &'a mut Findings<'_>) -> Done<'a> {
        Box::pin(async move {
            for it in &chunk.events {
                self.event(&chunk.topic, it, findings);
            }
            Ok(())
        })
    }

    fn finish<'a>(mut self: Box<Self>, findings: &'a mut Findings<'_>) -> Done<'a, Finished> {
        Box::pin(async move {
            for it in std::mem::take(&mut self.found) {
                findings.add(&it, Some(self.shown.remedy()));
            }
            let mut count = 0;
            let mut rows = self.shown.rows();
            while let Some(shown) = rows.next().await? {
                if !self.share.has(&shown.key) {
                    continue;
                }
                count += 1;
                let row = self.folded.remove(&shown.key).flatten();
                if let Some(difference) = self.shown.compare(&shown, row.as_ref()) {
                    findings.add(&difference, Some(self.shown.remedy()));
                }
            }
            for (key, row) in std::mem::take(&mut self.folded) {
                if let Some(row) = row {
                    findings.add(&self.shown.missing(&key, &row), Some(self.shown.remedy()));
                }
            }
            let part = match self.share.of {
                1 => String::new(),
                of => format!(" (share {} of {of})", self.share.index + 1),
            };
            let what = format!("view {}: rows against the fold{part}", self.shown.view.table);
            let next = self.others.pop().map(|share| {
                self.share = share;
                self as Box<dyn Check>
            });
            Ok((vec![(what, count)], next))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_one_share() {
        let (whole, keys) = (Share { index: 0, of: 1 }, (0..100).map(|it| it.to_string()));
        let (a, b) = whole.halved();
        let (b, c) = b.halved();
        for key in keys {
            assert!(whole.has(&key));
            assert_eq!([a, b, c].iter().filter(|it| it.has(&key)).count(), 1, "{key}");
        }
    }
}
