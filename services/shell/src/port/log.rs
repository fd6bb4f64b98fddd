//! The log: partitioned topics that keep what was appended, read by groups whose members share the partitions.
use chrono::{DateTime, Utc};
use shared_events::headers::RawHeaders;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Opens consumers and producers.
pub trait Log: Clone + 'static {
    /// A member of a group.
    type Consumer: Consumer;
    /// Appends records.
    type Producer: Producer;

    /// Joins a group that reads these topics, which must have the same partition count.
    ///
    /// # Errors
    /// If the settings are refused; servers that are away are no error.
    fn consumer(&self, group: &str, topics: &[String]) -> Result<Self::Consumer, LogError>;

    /// A producer that never reorders or doubles what it appends to a partition.
    ///
    /// # Errors
    /// If the settings are refused; servers that are away are no error.
    fn producer(&self) -> Result<Self::Producer, LogError>;
}

/// A record as it stands in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The topic, with the namespace.
    pub topic: Arc<str>,
    /// The partition.
    pub part: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// When the log took it (commands), or its producer made it.
    pub at: DateTime<Utc>,
    /// What it was partitioned by.
    pub key: Option<Vec<u8>>,
    /// The envelope.
    pub headers: RawHeaders,
    /// The body; `None` in a tombstone, which the fleet never writes.
    pub payload: Option<Vec<u8>>,
}

/// A record to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The topic, with the namespace.
    pub topic: Arc<str>,
    /// The partition, always chosen by us.
    pub part: i32,
    /// What it is partitioned by.
    pub key: Vec<u8>,
    /// The envelope.
    pub headers: RawHeaders,
    /// The body.
    pub payload: Vec<u8>,
}

/// A change of what a consumer is assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// These partitions are ours from now on.
    Assigned(Vec<(Arc<str>, i32)>),
    /// These partitions are no longer ours.
    Revoked(Vec<(Arc<str>, i32)>),
}

/// A member of a group.
#[expect(async_fn_in_trait, reason = "a loop lives on one thread")]
pub trait Consumer {
    /// Waits for a record, for at most `wait`, then adds what is already there, up to `max` in all.
    /// An empty answer means that nothing came.
    async fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError>;

    /// What changed since the last call, in order. A record of a partition is only handed out after its
    /// assignment can be seen here.
    fn moves(&mut self) -> Vec<Move>;

    /// Whether the group has given our partitions to others without telling us in time.
    fn is_assignment_lost(&self) -> bool;

    /// Hands out the partition from `offset` on; what was prefetched is dropped.
    async fn seek(&mut self, topic: &str, part: i32, offset: i64) -> Result<(), LogError>;

    /// Tells the group how far we are; a hint for who comes next, and for those who watch the lag.
    fn commit(&mut self, offsets: &[(Arc<str>, i32, i64)]);

    /// The first offset that still exists, and the one that the next record will get.
    async fn ends(&mut self, topic: &str, part: i32) -> Result<(i64, i64), LogError>;

    /// The record at `offset`, or the first after it; `None` if nothing is there. It does not matter what this
    /// consumer reads otherwise.
    async fn record_at(
        &mut self,
        topic: &str,
        part: i32,
        offset: i64,
    ) -> Result<Option<Record>, LogError>;

    /// Leaves the group for now: its partitions go to others.
    fn unsubscribe(&mut self);

    /// Joins the group again.
    ///
    /// # Errors
    /// If the settings are refused.
    fn subscribe(&mut self) -> Result<(), LogError>;

    /// Tells the group how far we are, waits until it knows, and leaves.
    async fn leave(self, offsets: &[(Arc<str>, i32, i64)]);
}

/// Appends records.
pub trait Producer: Send + Sync + 'static {
    /// Hands a record over without waiting; `receipt` tells what becomes of it.
    ///
    /// # Errors
    /// If it is not taken; the record comes back when it may be tried again.
    fn send(&self, record: Outgoing, receipt: &Receipt) -> Result<(), SendError>;

    /// Why records that are handed over now would only queue up, if they would.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// What the log says when it cannot do what it should.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the log: {0}")]
pub struct LogError(pub String);

/// A record that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The queue is full: wait a millisecond and try again.
    #[error("the queue to the log is full")]
    Full(Box<Outgoing>),
    /// It will not be taken from this producer.
    #[error("the log refuses the record: {0}")]
    Refused(String),
}

/// Counts what of a group of records is not delivered yet.
#[derive(Debug)]
pub struct Deliveries {
    left: AtomicUsize,
    failed: AtomicBool,
    offset_min: AtomicI64,
    offset_max: AtomicI64,
}

/// Shared by those records and by whoever waits for them.
pub type Receipt = Arc<Deliveries>;

impl Deliveries {
    /// For records that are yet to be sent.
    #[must_use]
    pub fn receipt() -> Receipt {
        Arc::new(Self {
            left: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            offset_min: AtomicI64::new(i64::MAX),
            offset_max: AtomicI64::new(-1),
        })
    }

    /// One more record was handed over.
    pub fn sent(&self) {
        self.left.fetch_add(1, Ordering::AcqRel);
    }

    /// One of them is in the log, at this offset (`None`: it never will be).
    pub fn done(&self, offset: Option<i64>) {
        match offset {
            Some(offset) => {
                self.offset_min.fetch_min(offset, Ordering::AcqRel);
                self.offset_max.fetch_max(offset, Ordering::AcqRel);
            }
            None => self.failed.store(true, Ordering::Release),
        }
        self.left.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether all of them are accounted for.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }

    /// Whether one of them was lost.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The lowest offset that one of them got; `i64::MAX` if none did.
    #[must_use]
    pub fn offset_min(&self) -> i64 {
        self.offset_min.load(Ordering::Acquire)
    }

    /// The highest offset that one of them got; −1 if none did.
    #[must_use]
    pub fn offset_max(&self) -> i64 {
        self.offset_max.load(Ordering::Acquire)
    }
}
