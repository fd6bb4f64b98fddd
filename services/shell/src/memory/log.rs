//! A log in memory: topics that keep what was appended, and what it can be told to do wrong.
use super::{
    consumer::{MemoryConsumer, MemoryTail},
    group::{Group, Member, Place},
    seat::{Faults, Seat, SendFault},
};
use crate::{
    clock::Clock,
    port::log::{Log, LogError, Outgoing, Producer, Receipt, Record, SendError},
};
use chrono::SubsecRound as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// A log in memory. Cheap to clone: all clones are the same log.
#[derive(Clone)]
pub struct MemoryLog {
    inner: Arc<Mutex<Inner>>,
    pub(super) changed: Arc<Notify>,
    /// The log's own clock, which says when a record was appended.
    clock: Clock,
    pub(super) seat: Seat,
    partitions: i32,
    lingers: Arc<AtomicBool>,
    /// Which producer this is, if it is one.
    producer: u64,
}

#[derive(Default)]
pub(super) struct Inner {
    records: BTreeMap<Place, Vec<Record>>,
    pub(super) groups: BTreeMap<String, Group>,
    /// Topics whose records are taken and never appended: a broker that is away.
    swallowed: BTreeSet<String>,
    /// Topics whose records are not taken: a queue that is full.
    full: BTreeSet<String>,
    /// When the last record of a producer for a partition is due.
    due: BTreeMap<(u64, Place), Duration>,
    next_member: u64,
    next_producer: u64,
}

impl MemoryLog {
    /// An empty log whose topics all have this many partitions.
    #[must_use]
    pub fn new(clock: Clock, partitions: i32) -> Self {
        let seat = Seat { who: 0, clock: clock.clone(), faults: None };
        Self {
            inner: Arc::default(),
            changed: Arc::default(),
            clock,
            seat,
            partitions,
            lingers: Arc::default(),
            producer: 0,
        }
    }

    /// The same log as this process uses it.
    pub(super) fn seen_from(&self, who: u32, clock: Clock, faults: Arc<dyn Faults>) -> Self {
        Self { seat: Seat { who, clock, faults: Some(faults) }, ..self.clone() }
    }

    /// Everything in a partition.
    #[must_use]
    pub fn records(&self, topic: &str, part: i32) -> Vec<Record> {
        self.lock().records.get(&(Arc::from(topic), part)).cloned().unwrap_or_default()
    }

    pub(super) fn record(&self, place: &Place, index: usize) -> Option<Record> {
        self.lock().records.get(place).and_then(|it| it.get(index)).cloned()
    }

    /// The offset that the next record of a partition gets.
    #[must_use]
    pub fn end(&self, topic: &str, part: i32) -> i64 {
        let inner = self.lock();
        let records = inner.records.get(&(Arc::from(topic), part));
        i64::try_from(records.map_or(0, Vec::len)).unwrap_or(i64::MAX)
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

    /// Deletes the last `count` records of a partition: a broker that came back without its last moments.
    pub fn truncate(&self, topic: &str, part: i32, count: usize) {
        let mut inner = self.lock();
        if let Some(records) = inner.records.get_mut(&(Arc::from(topic), part)) {
            records.truncate(records.len().saturating_sub(count));
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Gives the partitions of every member that there is now to the others, without telling it: it has been
    /// frozen past its session. It finds out when it is thawed.
    pub fn freeze(&self, group: &str) {
        self.groups(|name, it| {
            if name == group {
                it.expel(|_| true, self.partitions);
            }
        });
    }

    /// Tells the frozen members what they lost, and lets them take part again.
    pub fn thaw(&self, group: &str) {
        self.groups(|name, it| {
            if name == group {
                it.readmit(|_| true, self.partitions);
            }
        });
    }

    /// The same as [`Self::freeze`] for the members of one process: its session has expired.
    pub fn expel(&self, who: u32) {
        self.groups(|_, it| it.expel(|member| member.who == who, self.partitions));
    }

    /// The same as [`Self::thaw`] for the members of one process.
    pub fn readmit(&self, who: u32) {
        self.groups(|_, it| it.readmit(|member| member.who == who, self.partitions));
    }

    /// The group gives every partition to another member than now, if there is one.
    pub fn rotate(&self, group: &str) {
        self.groups(|name, it| {
            if name == group {
                it.rotate(self.partitions);
            }
        });
    }

    /// The groups that there are.
    #[must_use]
    pub fn group_names(&self) -> Vec<String> {
        self.lock().groups.keys().cloned().collect()
    }

    /// Whether members that are dropped stay in their groups, as those of a killed process do until their session
    /// expires: until [`Self::expire`] is called.
    pub fn set_lingering(&self, lingers: bool) {
        self.lingers.store(lingers, Ordering::Release);
    }

    /// The session of a process that has ended is over: its partitions go to others.
    pub fn expire(&self, who: u32) {
        self.groups(|_, it| {
            let before = it.members.len();
            it.members.retain(|_, member| member.who != who);
            if it.members.len() < before {
                it.rebalance(self.partitions);
            }
        });
    }

    fn groups(&self, mut act: impl FnMut(&str, &mut Group)) {
        let mut inner = self.lock();
        inner.groups.iter_mut().for_each(|(name, it)| act(name, it));
        drop(inner);
        self.changed.notify_waiters();
    }

    pub(super) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Acquire)
    }

    pub(super) fn join(&self, group: &str, id: u64, topics: &[Arc<str>]) {
        let mut inner = self.lock();
        let member = Member { who: self.seat.who, topics: topics.to_vec(), ..Member::default() };
        let group = inner.groups.entry(group.to_owned()).or_default();
        group.members.insert(id, member);
        group.rebalance(self.partitions);
        drop(inner);
        self.changed.notify_waiters();
    }

    pub(super) fn leave(&self, group: &str, id: u64) {
        let mut inner = self.lock();
        if let Some(group) = inner.groups.get_mut(group)
            && group.members.remove(&id).is_some()
        {
            group.rebalance(self.partitions);
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader of one partition from its end on.
    #[must_use]
    pub fn tail(&self, topic: &str, part: i32) -> MemoryTail {
        let next = usize::try_from(self.end(topic, part)).unwrap_or_default();
        MemoryTail { log: self.clone(), place: (Arc::from(topic), part), next }
    }

    /// Does something with a record that is under way, not before those that this producer sent there earlier.
    fn under_way(
        &self,
        faults: &dyn Faults,
        after: Duration,
        place: Place,
        act: impl FnOnce() + Send + 'static,
    ) {
        let now = self.clock.elapsed();
        let mut inner = self.lock();
        let due = inner.due.entry((self.producer, place)).or_default();
        *due = (now + after).max(*due);
        let after = due.saturating_sub(now);
        drop(inner);
        faults.later(after, Box::new(act));
    }

    fn send_with(
        &self,
        faults: &Arc<dyn Faults>,
        record: Outgoing,
        receipt: &Receipt,
    ) -> Result<(), SendError> {
        let place = (Arc::clone(&record.topic), record.part);
        let (log, receipt) = (self.clone(), Arc::clone(receipt));
        match faults.send(self.seat.who, &record.topic) {
            SendFault::Full => return Err(SendError::Full(Box::new(record))),
            SendFault::Refused => return Err(SendError::Refused("told to refuse".into())),
            SendFault::Lost(after) => faults.later(after, Box::new(move || receipt.done(None))),
            SendFault::DeniedAfter(after) => self.under_way(&**faults, after, place, move || {
                log.append(record);
                receipt.done(None);
            }),
            SendFault::Delivered { after, times, report } => {
                let told = Arc::clone(faults);
                self.under_way(&**faults, after, place, move || {
                    let mut offset = 0;
                    for _ in 0..times {
                        offset = log.append(record.clone());
                    }
                    told.later(report, Box::new(move || receipt.done(Some(offset))));
                });
            }
        }
        Ok(())
    }
}

impl Inner {
    pub(super) fn parts(
        &mut self,
    ) -> (&BTreeMap<Place, Vec<Record>>, &mut BTreeMap<String, Group>) {
        (&self.records, &mut self.groups)
    }

    fn append(&mut self, it: Outgoing, at: chrono::DateTime<chrono::Utc>) -> i64 {
        let place = (Arc::clone(&it.topic), it.part);
        // As Kafka's: whole milliseconds.
        let at = at.trunc_subsecs(3);
        let records = self.records.entry(place).or_default();
        let offset = i64::try_from(records.len()).unwrap_or(i64::MAX);
        let Outgoing { topic, part, key, headers, payload } = it;
        let (key, payload) = (Some(key), Some(payload));
        records.push(Record { topic, part, offset, at, key, headers, payload });
        offset
    }
}

impl Log for MemoryLog {
    type Consumer = MemoryConsumer;
    type Producer = MemoryLog;

    fn consumer(&self, group: &str, topics: &[String]) -> Result<MemoryConsumer, LogError> {
        let id = {
            let mut inner = self.lock();
            inner.next_member += 1;
            inner.next_member
        };
        let topics: Vec<Arc<str>> = topics.iter().map(|it| Arc::from(it.as_str())).collect();
        self.join(group, id, &topics);
        Ok(MemoryConsumer { log: self.clone(), group: group.to_owned(), id, topics })
    }

    fn producer(&self) -> Result<MemoryLog, LogError> {
        let mut inner = self.lock();
        inner.next_producer += 1;
        let producer = inner.next_producer;
        drop(inner);
        Ok(Self { producer, ..self.clone() })
    }
}

impl Producer for MemoryLog {
    fn send(&self, record: Outgoing, receipt: &Receipt) -> Result<(), SendError> {
        if let Some(faults) = &self.seat.faults {
            return self.send_with(faults, record, receipt);
        }
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
