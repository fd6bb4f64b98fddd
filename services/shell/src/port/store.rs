//! The store: what a context has decided (the ledger), what it shows (the views), and how both are [read](Reads).
pub use super::{
    aside::{Aside, Asked, Tried},
    generation::{
        BuildOrder, CutOver, Generation, GenerationRow, GenerationState, Generations, Switched,
    },
    letters::Letters,
    past::{Past, Versions},
    reads::{Change, Changes, Export, Head, Mark, RawRows, Reads},
};

use crate::view::ViewDefinition;
use chrono::{DateTime, Utc};
use shared_events::Fingerprint;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Opens the stores of a context.
pub trait Store: Clone + 'static {
    /// The write side's.
    type Ledger: Ledger;
    /// The read side's.
    type Views: Views;

    /// The write side of a context.
    fn ledger(&self, context: &str) -> Self::Ledger;

    /// The read side of a context.
    fn views(&self, context: &str) -> Self::Views;
}

/// The store cannot do what it should.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It does not answer, or the answer was lost: whether a write took effect is unknown.
    #[error("the store does not answer: {0}")]
    Away(String),
    /// It answers what it never should.
    #[error("the store is not as it should be: {0}")]
    Broken(String),
}

/// A write of a batch that did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// Another owner has taken a partition (protocol.md W1).
    #[error("another process has taken a partition")]
    Fenced,
    /// A unique value has another holder than the decision assumed (W3).
    #[error("a unique value changed hands")]
    ClaimTaken,
    /// A command id was decided before (W5a).
    #[error("a command was decided before")]
    OutcomeExists,
    /// A deadlock or a serialization failure: the same again may succeed.
    #[error("the store asks to try again: {0}")]
    Again(String),
    /// A value that the store cannot hold (W9).
    #[error("the store cannot hold a value: {0}")]
    Data(String),
    /// Numbers that this owner gave out exist already: two histories (W9).
    #[error("the ledger is corrupt: {0}")]
    Corrupt(String),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the ledger knows of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// The partition.
    pub part: i32,
    /// Which life of the write side this is (W13).
    pub incarnation: i64,
    /// Raised by every new owner.
    pub epoch: i64,
    /// The first command that is not decided yet.
    pub next_offset: i64,
    /// The number of events decided.
    pub pseq: i64,
    /// The number of events that are in the log for certain.
    pub published: i64,
    /// Where in the log the last of them is; −1 if unknown.
    pub published_offset: i64,
}

/// What is compared and set in a partition's ledger row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerMove {
    /// The partition.
    pub part: i32,
    /// The epoch that must stand there.
    pub epoch: i64,
    /// The offset that must stand there.
    pub from_offset: i64,
    /// The new `next_offset`.
    pub to_offset: i64,
    /// The new `pseq`.
    pub pseq: i64,
    /// The new `published`.
    pub published: i64,
    /// The new `published_offset`.
    pub published_offset: i64,
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// The partition.
    pub part: i32,
    /// Its number in the partition, dense from 1.
    pub pseq: i64,
    /// The stream.
    pub stream: Uuid,
    /// Its number in the stream, dense from 1.
    pub version: i64,
    /// The record's full name.
    pub record: String,
    /// The schema it was written with.
    pub schema: Fingerprint,
    /// The Avro datum.
    pub data: Vec<u8>,
    /// The rest of the envelope, JSON.
    pub meta: String,
    /// When it was decided (L3).
    pub at: DateTime<Utc>,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct OutcomeRow {
    /// The command.
    pub command_id: Uuid,
    /// The partition it was decided in.
    pub part: i32,
    /// What was asked (W6).
    pub request_hash: Vec<u8>,
    /// The reply, as an Avro single object.
    pub body: Vec<u8>,
    /// When it was decided.
    pub at: DateTime<Utc>,
}

/// Who holds a unique value, and which event made it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The stream that holds it.
    pub stream: Uuid,
    /// The partition of the event.
    pub part: i32,
    /// The number of the event in the partition.
    pub pseq: i64,
}

/// The net change of one unique value in a batch (W3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimChange {
    /// What sort of value it is.
    pub kind: String,
    /// In normal form.
    pub value: String,
    /// The holder that must stand there.
    pub expected: Option<Uuid>,
    /// The holder from now on.
    pub next: Option<Holder>,
}

/// Something on a command topic that could not be decided; its bytes are kept (W10).
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The partition.
    pub part: i32,
    /// Its place there.
    pub offset: i64,
    /// A hash of its bytes.
    pub digest: Vec<u8>,
    /// The command's id, if it could be read.
    pub command_id: Option<Uuid>,
    /// The rejection's code.
    pub code: String,
    /// What is wrong with it.
    pub reason: String,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's headers, JSON.
    pub headers: String,
    /// The record's body.
    pub payload: Option<Vec<u8>>,
    /// When the log took it.
    pub at: DateTime<Utc>,
}

/// All that one transaction writes down: all of it, or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// One for each partition that the batch is about.
    pub moves: Vec<LedgerMove>,
    /// In order of `pseq` within each partition.
    pub events: Vec<EventRow>,
    /// One for each command decided.
    pub outcomes: Vec<OutcomeRow>,
    /// Sorted by kind and value, each at most once.
    pub claims: Vec<ClaimChange>,
    /// What could not be decided.
    pub dead_letters: Vec<DeadLetter>,
}

/// What a batch asks for before it is decided.
#[derive(Clone, Debug, Default)]
pub struct LookUp {
    /// Streams, each with the name of its fold (for snapshots).
    pub streams: BTreeMap<Uuid, String>,
    /// Unique values, as (kind, value).
    pub claims: Vec<(String, String)>,
    /// Command ids.
    pub outcomes: Vec<Uuid>,
}

/// What a look-up found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// For each stream asked about and known: how it came to be what it is.
    pub streams: BTreeMap<Uuid, History>,
    /// Who holds what; free values are absent.
    pub claims: BTreeMap<(String, String), Holder>,
    /// What became of commands; unknown ones are absent.
    pub outcomes: BTreeMap<Uuid, OutcomeRow>,
}

/// A stream's past: a snapshot, and what happened since.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The state at some version, if one is kept.
    pub snapshot: Option<SnapshotRow>,
    /// The events after it, in order.
    pub events: Vec<EventRow>,
}

/// A state that need not be folded again; may be deleted at any time.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotRow {
    /// The stream.
    pub stream: Uuid,
    /// Names the decider and the revision of its fold.
    pub fold: String,
    /// The version of the stream that it stands for.
    pub version: i64,
    /// The state, JSON.
    pub state: String,
    /// When the event of that version was decided.
    pub at: DateTime<Utc>,
}

/// The write side of a context. Owned by one loop; reconnects by itself.
#[expect(async_fn_in_trait, reason = "a loop lives on one thread")]
pub trait Ledger {
    /// Raises the epochs of these partitions, and tells where they stand. From now on nobody else can write them.
    async fn acquire(&mut self, parts: &[i32]) -> Result<Vec<LedgerRow>, StoreError>;

    /// Raises the epoch and takes `next_offset` back (W5); `None` if somebody else owns the partition.
    async fn rewind(
        &mut self,
        part: i32,
        epoch: i64,
        next_offset: i64,
    ) -> Result<Option<LedgerRow>, StoreError>;

    /// Where these partitions stand, without taking them.
    async fn rows(&mut self, parts: &[i32]) -> Result<Vec<LedgerRow>, StoreError>;

    /// What a batch has to know.
    async fn look_up(&mut self, ask: &LookUp) -> Result<Found, StoreError>;

    /// Writes a batch down, in one transaction.
    async fn write(&mut self, batch: &Batch) -> Result<(), WriteError>;

    /// Which of these (partition, offset, digest) are dead letters.
    async fn dead_letters(
        &mut self,
        records: &[(i32, i64, Vec<u8>)],
    ) -> Result<Vec<(i32, i64)>, StoreError>;

    /// The events of a partition after `pseq`, at most `limit`, in order.
    async fn events_after(
        &mut self,
        part: i32,
        pseq: i64,
        limit: i64,
    ) -> Result<Vec<EventRow>, StoreError>;

    /// Notes what is in the log for certain, as (partition, epoch, published, published offset).
    async fn published(&mut self, marks: &[(i32, i64, i64, i64)]) -> Result<(), StoreError>;

    /// Forgets outcomes of before this instant, and at most `limit` of them at once (W5).
    async fn forget_outcomes(
        &mut self,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<(), StoreError>;

    /// Keeps snapshots; losing them costs time only.
    async fn keep_snapshots(&mut self, snapshots: &[SnapshotRow]) -> Result<(), StoreError>;

    /// Keeps the schemas that events are written with, so that history is readable without a registry.
    async fn keep_schemas(&mut self, schemas: &[(Fingerprint, String)]) -> Result<(), StoreError>;

    /// A schema that was kept.
    async fn schema(&mut self, fingerprint: Fingerprint) -> Result<Option<String>, StoreError>;
}

/// How far a version of a view has come in one partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// The events' topic, without the namespace.
    pub topic: String,
    /// The partition.
    pub part: i32,
    /// The incarnation of the events' write side; 0 before the first event.
    pub incarnation: i64,
    /// Raised by every new owner.
    pub epoch: i64,
    /// The last event that is in the view.
    pub pseq: i64,
    /// A hint: the view has seen all records before this offset.
    pub next_offset: i64,
    /// Whether it once had all there was.
    pub caught_up: bool,
}

/// What is compared and set in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointMove {
    /// The `pseq` that must stand there.
    pub from_pseq: i64,
    /// The epoch that must stand there, and all that will.
    pub to: CheckpointRow,
}

/// An event that waits because its stream cannot be folded (V6).
#[derive(Clone, Debug, PartialEq)]
pub struct ParkedEvent {
    /// The events' topic, without the namespace.
    pub topic: String,
    /// The partition.
    pub part: i32,
    /// Its number there.
    pub pseq: i64,
    /// The stream that waits.
    pub stream: Uuid,
    /// What is wrong, with this event or with an earlier one of its stream.
    pub reason: String,
    /// The record's headers, JSON.
    pub headers: String,
    /// The record's body.
    pub payload: Option<Vec<u8>>,
    /// When the event was decided.
    pub at: DateTime<Utc>,
}

/// What the events of one partition touched in a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// The keys of the rows.
    pub keys: BTreeSet<String>,
    /// The `traceparent` of those events that are traced, of the first of them at least.
    pub traces: Vec<String>,
}

/// All that one transaction of a view writes: all of it, or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewBatch {
    /// One for each partition that the batch is about.
    pub checkpoints: Vec<CheckpointMove>,
    /// The rows touched, as JSON objects by key; `None` deletes.
    pub rows: BTreeMap<String, Option<serde_json::Value>>,
    /// Events set aside.
    pub parked: Vec<ParkedEvent>,
    /// What was touched, by topic and partition of the events: for those who follow what changes (V7).
    /// Only of partitions that have a checkpoint in this batch, and once had all there was.
    pub changes: BTreeMap<(String, i32), Touched>,
    /// What became of streams that were tried again.
    pub tried: Vec<Tried>,
}

/// The read side of a context, for one view. Owned by one loop; reconnects by itself.
#[expect(async_fn_in_trait, reason = "a loop lives on one thread")]
pub trait Views: Generations {
    /// Raises the epochs of these (topic, partition)s, and tells where they stand.
    async fn acquire(
        &mut self,
        of: &Generation,
        parts: &[(String, i32)],
    ) -> Result<Vec<CheckpointRow>, StoreError>;

    /// What is set aside in these partitions.
    async fn aside(
        &mut self,
        of: &Generation,
        parts: &[(String, i32)],
    ) -> Result<Aside, StoreError>;

    /// Streams parked in these partitions that are to be tried again, at most [`Asked::STREAMS_MAX`].
    async fn asked(
        &mut self,
        of: &Generation,
        parts: &[(String, i32)],
    ) -> Result<Vec<Asked>, StoreError>;

    /// The rows with these keys. With `lock`, nobody else folds them until the next write or roll back (V3).
    async fn load(
        &mut self,
        view: &ViewDefinition,
        of: &Generation,
        keys: &[String],
        lock: bool,
    ) -> Result<BTreeMap<String, serde_json::Value>, StoreError>;

    /// Writes a batch in one transaction, and wakes those who wait for it.
    async fn write(
        &mut self,
        view: &ViewDefinition,
        of: &Generation,
        batch: &ViewBatch,
    ) -> Result<(), WriteError>;

    /// Forgets what changed before this instant, and at most `limit` batches at once; how many it were (V7).
    async fn forget_changes(
        &mut self,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<u64, StoreError>;

    /// Gives up the locks of [`load`](Views::load).
    async fn roll_back(&mut self);
}
