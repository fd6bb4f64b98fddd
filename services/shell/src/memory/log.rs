//! A log in memory: topics, groups whose members share partitions, and rebalances.
use crate::{
    clock::Clock,
    port::log::{Consumer, Log, LogError, Move, Outgoing, Producer, Receipt, Record, SendError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// A log in memory. Cheap to clone: all clones are the same log.
#[derive(Clone)]
pub struct MemoryLog {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<Notify>,
    clock: Clock,
    partitions: i32,
}

type Place = (Arc<str>, i32);

#[derive(Default)]
struct Inner {
    records: BTreeMap<Place, Vec<Record>>,
    groups: BTreeMap<String, Group>,
    /// Topics whose records are taken and never appended: a broker that is away.
    swallowed: BTreeSet<String>,
    /// Topics whose records are not taken: a queue that is full.
    full: BTreeSet<String>,
    next_member: u64,
}

#[derive(Default)]
struct Group {
    members: BTreeMap<u64, Member>,
    committed: BTreeMap<Place, i64>,
}

#[derive(Default)]
struct Member {
    topics: Vec<Arc<str>>,
    assigned: BTreeMap<Place, i64>,
    moves: Vec<Move>,
    /// Frozen: keeps what it has, and is told nothing.
    frozen: bool,
}

impl MemoryLog {
    /// An empty log whose topics all have this many partitions.
    #[must_use]
    pub fn new(clock: Clock, partitions: i32) -> Self {
        Self { inner: Arc::default(), changed: Arc::default(), clock, partitions }
    }

    /// Everything in a partition.
    #[must_use]
    pub fn records(&self, topic: &str, part: i32) -> Vec<Record> {
        self.lock().records.get(&(Arc::from(topic), part)).cloned().unwrap_or_default()
    }

    /// Appends a record as it is, whoever would have written it; its offset.
    #[expect(clippy::must_use_candidate, reason = "most only append")]
    pub fn append(&self, record: Outgoing) -> i64 {
        let at = self.clock.now();
        let offset = self.lock().append(record, at);
        self.changed.notify_waiters();
        offset
    }

    /// Whether records for the topic are taken and then lost without a word, as if the broker were away.
    pub fn set_swallowed(&self, topic: &str, swallowed: bool) {
        let mut inner = self.lock();
        if swallowed {
            inner.swallowed.insert(topic.to_owned());
        } else {
            inner.swallowed.remove(topic);
        }
    }

    /// Whether records for the topic are not taken, as if the producer's queue were full.
    pub fn set_full(&self, topic: &str, full: bool) {
        let mut inner = self.lock();
        if full {
            inner.full.insert(topic.to_owned());
        } else {
            inner.full.remove(topic);
        }
    }

    /// Deletes a topic's records and what groups know of it: a broker set up anew.
    pub fn recreate(&self, topic: &str) {
        let mut inner = self.lock();
        inner.records.retain(|(it, _), _| &**it != topic);
        for group in inner.groups.values_mut() {
            group.committed.retain(|(it, _), _| &**it != topic);
            for member in group.members.values_mut() {
                let places = member.assigned.iter_mut().filter(|((it, _), _)| &**it == topic);
                places.for_each(|(_, position)| *position = 0);
            }
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Gives the partitions of every member that there is now to the others, without telling it: it has been
    /// frozen past its session. It finds out when it is thawed.
    pub fn freeze(&self, group: &str) {
        let mut inner = self.lock();
        if let Some(it) = inner.groups.get_mut(group) {
            it.members.values_mut().for_each(|it| it.frozen = true);
        }
        inner.rebalance(group, self.partitions);
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Tells the frozen members what they lost, and lets them take part again.
    pub fn thaw(&self, group: &str) {
        let mut inner = self.lock();
        if let Some(it) = inner.groups.get_mut(group) {
            for member in it.members.values_mut().filter(|it| it.frozen) {
                member.frozen = false;
                let lost = std::mem::take(&mut member.assigned);
                member.moves.push(Move::Revoked(lost.into_keys().collect()));
            }
        }
        inner.rebalance(group, self.partitions);
        drop(inner);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader of one partition from its end on.
    #[must_use]
    pub fn tail(&self, topic: &str, part: i32) -> MemoryTail {
        let next = self.records(topic, part).len();
        MemoryTail { log: self.clone(), place: (Arc::from(topic), part), next }
    }
}

impl Inner {
    fn append(&mut self, it: Outgoing, at: chrono::DateTime<chrono::Utc>) -> i64 {
        let place = (Arc::clone(&it.topic), it.part);
        let records = self.records.entry(place).or_default();
        let offset = i64::try_from(records.len()).unwrap_or(i64::MAX);
        let Outgoing { topic, part, key, headers, payload } = it;
        let (key, payload) = (Some(key), Some(payload));
        records.push(Record { topic, part, offset, at, key, headers, payload });
        offset
    }

    /// Shares the partitions of a group's topics among its members: each gets every n-th.
    fn rebalance(&mut self, group: &str, partitions: i32) {
        let Some(group) = self.groups.get_mut(group) else { return };
        let ids: Vec<u64> =
            group.members.iter().filter(|(_, it)| !it.frozen).map(|(id, _)| *id).collect();
        for (index, id) in ids.iter().enumerate() {
            let Some(member) = group.members.get_mut(id) else { continue };
            let mine: BTreeSet<Place> = member
                .topics
                .iter()
                .flat_map(|topic| (0..partitions).map(move |part| (Arc::clone(topic), part)))
                .filter(|(_, part)| usize::try_from(*part).unwrap_or_default() % ids.len() == index)
                .collect();
            let lost: Vec<Place> =
                member.assigned.keys().filter(|it| !mine.contains(*it)).cloned().collect();
            let won: Vec<Place> =
                mine.iter().filter(|it| !member.assigned.contains_key(*it)).cloned().collect();
            for place in &lost {
                member.assigned.remove(place);
            }
            for place in &won {
                let from = group.committed.get(place).copied().unwrap_or(0);
                member.assigned.insert(place.clone(), from);
            }
            if !lost.is_empty() {
                member.moves.push(Move::Revoked(lost));
            }
            // Also when nothing was won: it has joined.
            member.moves.push(Move::Assigned(won));
        }
    }
}

impl Log for MemoryLog {
    type Consumer = MemoryConsumer;
    type Producer = MemoryLog;

    fn consumer(&self, group: &str, topics: &[String]) -> Result<MemoryConsumer, LogError> {
        let mut inner = self.lock();
        inner.next_member += 1;
        let id = inner.next_member;
        let topics: Vec<Arc<str>> = topics.iter().map(|it| Arc::from(it.as_str())).collect();
        let member = Member { topics: topics.clone(), ..Member::default() };
        inner.groups.entry(group.to_owned()).or_default().members.insert(id, member);
        inner.rebalance(group, self.partitions);
        drop(inner);
        self.changed.notify_waiters();
        Ok(MemoryConsumer { log: self.clone(), group: group.to_owned(), id, topics })
    }

    fn producer(&self) -> Result<MemoryLog, LogError> {
        Ok(self.clone())
    }
}

impl Producer for MemoryLog {
    fn send(&self, record: Outgoing, receipt: &Receipt) -> Result<(), SendError> {
        if self.lock().full.contains(&*record.topic) {
            return Err(SendError::Full(Box::new(record)));
        }
        if self.lock().swallowed.contains(&*record.topic) {
            return Ok(());
        }
        let offset = self.append(record);
        receipt.done(Some(offset));
        Ok(())
    }
}

/// A member of a group; it leaves when it is dropped.
pub struct MemoryConsumer {
    log: MemoryLog,
    group: String,
    id: u64,
    topics: Vec<Arc<str>>,
}

impl MemoryConsumer {
    fn with<T>(&self, act: impl FnOnce(&mut Member) -> T) -> Option<T> {
        let mut inner = self.log.lock();
        inner.groups.get_mut(&self.group)?.members.get_mut(&self.id).map(act)
    }

    fn ready(&self, max: usize) -> Option<Vec<Record>> {
        let mut inner = self.log.lock();
        let Inner { records, groups, .. } = &mut *inner;
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
}

impl Consumer for MemoryConsumer {
    async fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let until = self.log.clock.elapsed() + wait;
        loop {
            // Asked for before looking, so that nothing is missed in between.
            let changed = self.log.changed.notified();
            if let Some(records) = self.ready(max) {
                return Ok(records);
            }
            let left = until.saturating_sub(self.log.clock.elapsed());
            if left.is_zero() || self.log.clock.timeout(left, changed).await.is_none() {
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
        self.with(|it| {
            if let Some(position) = it.assigned.get_mut(&place) {
                *position = offset;
            }
        });
        Ok(())
    }

    fn commit(&mut self, offsets: &[(Arc<str>, i32, i64)]) {
        let mut inner = self.log.lock();
        if let Some(group) = inner.groups.get_mut(&self.group)
            && group.members.get(&self.id).is_some_and(|it| !it.frozen)
        {
            for (topic, part, offset) in offsets {
                group.committed.insert((Arc::clone(topic), *part), *offset);
            }
        }
    }

    async fn ends(&mut self, topic: &str, part: i32) -> Result<(i64, i64), LogError> {
        Ok((0, i64::try_from(self.log.records(topic, part).len()).unwrap_or(i64::MAX)))
    }

    fn unsubscribe(&mut self) {
        let mut inner = self.log.lock();
        if let Some(group) = inner.groups.get_mut(&self.group) {
            group.members.remove(&self.id);
        }
        inner.rebalance(&self.group, self.log.partitions);
        drop(inner);
        self.log.changed.notify_waiters();
    }

    fn subscribe(&mut self) -> Result<(), LogError> {
        let mut inner = self.log.lock();
        let member = Member { topics: self.topics.clone(), ..Member::default() };
        inner.groups.entry(self.group.clone()).or_default().members.insert(self.id, member);
        inner.rebalance(&self.group, self.log.partitions);
        drop(inner);
        self.log.changed.notify_waiters();
        Ok(())
    }

    async fn leave(mut self, offsets: &[(Arc<str>, i32, i64)]) {
        self.commit(offsets);
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        self.unsubscribe();
    }
}

/// Reads one partition from its end on.
pub struct MemoryTail {
    log: MemoryLog,
    place: Place,
    next: usize,
}

impl MemoryTail {
    /// The next record.
    pub async fn next(&mut self) -> Record {
        loop {
            let changed = self.log.changed.notified();
            let record =
                self.log.lock().records.get(&self.place).and_then(|it| it.get(self.next)).cloned();
            if let Some(record) = record {
                self.next += 1;
                return record;
            }
            changed.await;
        }
    }
}
