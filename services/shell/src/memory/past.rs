//! What happened, in memory.
use super::store::{Database, MemoryStore};
use crate::port::store::{EventRow, Past, StoreError, Versions};
use futures::future::BoxFuture;
use shared_events::Fingerprint;
use uuid::Uuid;

/// A stream's events in order.
fn stream(of: &Database, id: Uuid) -> impl DoubleEndedIterator<Item = &EventRow> {
    of.streams.get(&id).into_iter().flatten().filter_map(|place| of.events.get(place))
}

fn count(limit: i64) -> usize {
    usize::try_from(limit).unwrap_or_default()
}

impl Past for MemoryStore {
    fn events_of<'a>(
        &'a self,
        context: &'a str,
        id: Uuid,
        versions: Versions,
    ) -> BoxFuture<'a, Result<Vec<EventRow>, StoreError>> {
        let Versions { first, last, newest_first, limit } = versions;
        Box::pin(self.seat.call("read a stream", move || {
            self.with(context, |it| {
                let is_wanted = |it: &&EventRow| (first..=last).contains(&it.version);
                let wanted = stream(it, id).filter(is_wanted);
                Ok(if newest_first {
                    wanted.rev().take(count(limit)).cloned().collect()
                } else {
                    wanted.take(count(limit)).cloned().collect()
                })
            })
        }))
    }

    fn length<'a>(&'a self, context: &'a str, id: Uuid) -> BoxFuture<'a, Result<i64, StoreError>> {
        Box::pin(self.seat.call("read a stream's length", move || {
            self.with(context, |it| Ok(stream(it, id).last().map_or(0, |it| it.version)))
        }))
    }

    fn events_after<'a>(
        &'a self,
        context: &'a str,
        after: (Uuid, i64),
        limit: i64,
    ) -> BoxFuture<'a, Result<Vec<EventRow>, StoreError>> {
        Box::pin(self.seat.call("read streams", move || {
            self.with(context, |it| {
                let ids = it.streams.range(after.0..).map(|(id, _)| *id);
                let events = ids.flat_map(|id| stream(it, id));
                let is_after = |it: &&EventRow| (it.stream, it.version) > after;
                Ok(events.filter(is_after).take(count(limit)).cloned().collect())
            })
        }))
    }

    fn schema<'a>(
        &'a self,
        context: &'a str,
        fingerprint: Fingerprint,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(self.seat.call("read a schema", move || {
            self.with(context, |it| Ok(it.schemas.get(&fingerprint).cloned()))
        }))
    }
}
