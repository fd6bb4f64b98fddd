//! Readers of the log in memory: members of a group, and those that read one partition from its end.
use super::{
    group::{Member, Place},
    log::MemoryLog,
};
use crate::port::{
    log::{Consumer, LogError, Move, Record},
    store::StoreError,
};
use std::{sync::Arc, time::Duration};

/// A member of a group; it leaves when it is dropped.
pub struct MemoryConsumer {
    pub(super) log: MemoryLog,
    pub(super) group: String,
    pub(super) id: u64,
    pub(super) topics: Vec<Arc<str>>,
}

impl MemoryConsumer {
    fn with<T>(&self, act: impl FnOnce(&mut Member) -> T) -> Option<T> {
        let mut inner = self.log.lock();
        inner.groups.get_mut(&self.group)?.members.get_mut(&self.id).map(act)
    }

    fn ready(&self, max: usize) -> Option<Vec<Record>> {
        let mut inner = self.log.lock();
        let (records, groups) = inner.parts();
        let member = groups.get_mut(&self.group)?.members.get_mut(&self.id)?;
        let mut found = Vec::new();
        for (place, position) in &mut member.assigned {
            let Some(records) = records.get(place) else { continue };
            let from = usize::try_from(*position).unwrap_or_default();
            // Past the end: the log was recreated.
            let from = if from > records.len() { 0 } else { from };
            let some = records.iter().skip(from).take(max.saturating_sub(found.len()));
            let before = found.len();
            found.extend(some.cloned());
            *position = i64::try_from(from + found.len() - before).unwrap_or(i64::MAX);
        }
        (!found.is_empty() || !member.moves.is_empty()).then_some(found)
    }

    /// A question to the log, which may stay without an answer.
    async fn ask<T>(&self, what: &'static str, act: impl FnOnce() -> T) -> Result<T, LogError> {
        let answer = self.log.seat.call(what, || Ok::<T, StoreError>(act())).await;
        answer.map_err(|error| LogError(error.to_string()))
    }
}

impl Consumer for MemoryConsumer {
    async fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        self.ask("poll", || ()).await?;
        let until = self.log.seat.clock.elapsed() + wait;
        loop {
            // Asked for before looking, so that nothing is missed in between.
            let changed = self.log.changed.notified();
            if let Some(records) = self.ready(max) {
                return Ok(records);
            }
            let left = until.saturating_sub(self.log.seat.clock.elapsed());
            if left.is_zero() || self.log.seat.clock.timeout(left, changed).await.is_none() {
                return Ok(Vec::new());
            }
        }
    }

    fn moves(&mut self) -> Vec<Move> {
        self.with(|it| std::mem::take(&mut it.moves)).unwrap_or_default()
    }

    fn is_assignment_lost(&self) -> bool {
        false
    }

    async fn seek(&mut self, topic: &str, part: i32, offset: i64) -> Result<(), LogError> {
        let place = (Arc::from(topic), part);
        self.ask("seek", || {
            self.with(|it| {
                if let Some(position) = it.assigned.get_mut(&place) {
                    *position = offset;
                }
            });
        })
        .await
    }

    fn commit(&mut self, offsets: &[(Arc<str>, i32, i64)]) {
        let mut inner = self.log.lock();
        if let Some(group) = inner.groups.get_mut(&self.group)
            && group.members.get(&self.id).is_some_and(|it| !it.expelled)
        {
            for (topic, part, offset) in offsets {
                group.committed.insert((Arc::clone(topic), *part), *offset);
            }
        }
    }

    async fn ends(&mut self, topic: &str, part: i32) -> Result<(i64, i64), LogError> {
        self.ask("ends", || (0, self.log.end(topic, part))).await
    }

    async fn record_at(
        &mut self,
        topic: &str,
        part: i32,
        offset: i64,
    ) -> Result<Option<Record>, LogError> {
        let place = (Arc::from(topic), part);
        let index = usize::try_from(offset).unwrap_or_default();
        self.ask("record at", || self.log.record(&place, index)).await
    }

    fn unsubscribe(&mut self) {
        self.log.leave(&self.group, self.id);
    }

    fn subscribe(&mut self) -> Result<(), LogError> {
        self.log.join(&self.group, self.id, &self.topics);
        Ok(())
    }

    async fn leave(mut self, offsets: &[(Arc<str>, i32, i64)]) {
        self.commit(offsets);
        self.unsubscribe();
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        if !self.log.lingers() {
            self.unsubscribe();
        }
    }
}

/// Reads one partition from its end on.
pub struct MemoryTail {
    pub(super) log: MemoryLog,
    pub(super) place: Place,
    pub(super) next: usize,
}

impl MemoryTail {
    /// The next record.
    pub async fn next(&mut self) -> Record {
        loop {
            let changed = self.log.changed.notified();
            if let Some(record) = self.log.record(&self.place, self.next) {
                self.next += 1;
                return record;
            }
            changed.await;
        }
    }
}
