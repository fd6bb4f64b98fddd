//! How others read a context's store: the BFF, and those who watch the process.
use super::store::{CheckpointRow, OutcomeRow, Past, StoreError};
use crate::{
    reads::{Counts, Query},
    status::ContextReport,
    view::ViewDefinition,
};
use functions::Unique;
use futures::{future::BoxFuture, stream::BoxStream};
use uuid::Uuid;

/// Rows and how new they are, read in one statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawRows {
    /// A JSON array of the rows, one more than asked for if there are more; the last ones first if it was asked for
    /// them.
    pub rows: String,
    /// How many rows there are, if asked.
    pub total: Option<i64>,
    /// How far the view has come.
    pub checkpoints: Vec<CheckpointRow>,
}

/// All rows that a query asks for, as of one instant.
pub struct Export {
    /// How far the view had come.
    pub checkpoints: Vec<CheckpointRow>,
    /// JSON arrays of rows, each of a few of them.
    pub rows: BoxStream<'static, Result<String, StoreError>>,
}

/// How far somebody has followed a partition of a view's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The events' topic, without the namespace.
    pub topic: String,
    /// The partition.
    pub part: i32,
    /// The last event whose change is known.
    pub pseq: i64,
    /// The last [`Change::number`] that is known; 0 if none is.
    pub number: i64,
}

/// What one batch of a view changed, by one partition of its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The events' topic, without the namespace.
    pub topic: String,
    /// The partition.
    pub part: i32,
    /// The last event before the batch: the `pseq` of the change before, or what is between them was forgotten.
    pub from_pseq: i64,
    /// The last event of the batch; `from_pseq` itself if rows were put right without a new event.
    pub pseq: i64,
    /// Greater than that of the change before.
    pub number: i64,
    /// The keys of the rows that it touched.
    pub keys: Vec<String>,
    /// The `traceparent` of its events that are traced, of the first of them at least.
    pub traces: Vec<String>,
}

/// What changed in a generation of a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Counts rebuilds of the same definition: rows of another one may be other rows.
    pub generation: i32,
    /// In order within each partition.
    pub batches: Vec<Change>,
    /// How far the view had come at that instant.
    pub checkpoints: Vec<CheckpointRow>,
}

/// How far a partition of a ledger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The partition.
    pub part: i32,
    /// Which life of the write side this is.
    pub incarnation: i64,
    /// The number of events decided.
    pub pseq: i64,
}

/// What the BFF reads. Shared by many requests at once.
pub trait Reads: Past {
    /// What became of these commands.
    fn outcomes<'a>(
        &'a self,
        context: &'a str,
        command_ids: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<OutcomeRow>, StoreError>>;

    /// How far every partition of a context's ledger is.
    fn heads<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<Vec<Head>, StoreError>>;

    /// Who holds a unique value of the context now: never older than any answer that was given (protocol.md F1).
    fn holder<'a>(
        &'a self,
        context: &'a str,
        unique: &'a Unique,
    ) -> BoxFuture<'a, Result<Option<Uuid>, StoreError>>;

    /// What the context keeps aside: dead letters by code, parked events by view.
    fn troubles<'a>(&'a self, context: &'a str)
    -> BoxFuture<'a, Result<ContextReport, StoreError>>;

    /// Rows of a view in the context's store, and its checkpoints, of one instant; `None` if no generation of it is
    /// read yet.
    /// The query is one that the view [answers](Query::check).
    fn rows<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        query: &'a Query,
    ) -> BoxFuture<'a, Result<Option<RawRows>, StoreError>>;

    /// How many rows there are: each row of the answer is a JSON array of the values and then the number, in the order
    /// of the values, and one more than [`Counts::GROUPS_MAX`] if there are more.
    fn counts<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        counts: &'a Counts,
    ) -> BoxFuture<'a, Result<Option<RawRows>, StoreError>>;

    /// All rows that a query asks for, whatever its limit; a few at a time, so that they never are in memory together.
    fn export<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        query: &'a Query,
    ) -> BoxFuture<'a, Result<Option<Export>, StoreError>>;

    /// What changed in the view after these marks, at most `limit` batches of each partition; `None` if there is no such
    /// view yet. What happened before is forgotten after a while: a gap between the batches tells (protocol.md V7).
    fn changes<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        after: &'a [Mark],
        limit: i64,
    ) -> BoxFuture<'a, Result<Option<Changes>, StoreError>>;

    /// The incarnation and the `pseq` that a view is known to have come to, without asking the store. It may be behind;
    /// `None` if nothing was heard yet.
    fn heard(
        &self,
        context: &str,
        view: &ViewDefinition,
        topic: &str,
        part: i32,
    ) -> Option<(i64, i64)>;

    /// Resolves when something may have changed in a view of the context since the call. It may never do so
    /// although something did: look again from time to time (R4).
    fn changed<'a>(&'a self, context: &'a str) -> BoxFuture<'a, ()>;
}
