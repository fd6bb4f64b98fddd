//! All that is promised: how anomalies name what is broken.

/// Events and outcomes are written so that this build can read them.
pub const READABLE: &str = "what is stored can be read";
/// `pseq` is dense, and the ledger knows the last one.
pub const NUMBERS: &str = "events are numbered without gaps in their partition";
/// `version` is dense.
pub const VERSIONS: &str = "events are numbered without gaps in their stream";
/// All events of a stream are in one partition.
pub const PLACES: &str = "a stream lives in the partition of its id";
/// The ledger knows that the log has all events.
pub const PUBLISHED: &str = "all events are published in the end";
/// After filtering by `pseq`, the log is the event table.
pub const LOG: &str = "a reader of the log has the events of the ledger";
/// The claims are the fold of the events.
pub const CLAIMS: &str = "a claim is what the events say";
/// A value never has two holders.
pub const UNIQUE: &str = "a unique value has one holder";
/// The rows of a view are the fold of the events.
pub const VIEWS: &str = "a view is the fold of its events";
/// Sent again, a command is answered from its outcome.
pub const ONE_OUTCOME: &str = "a command has one outcome";
/// Accepted: one effect. Refused: none.
pub const ONE_EFFECT: &str = "an accepted command has one effect, a refused one none";
/// Everything began with a client.
pub const ASKED: &str = "nothing happens that nobody asked for";
/// An answer is the outcome.
pub const TOLD: &str = "clients are told what is stored";
/// A position is where an effect is, and all that a decision relied on.
pub const POSITION: &str = "an answer's position shows its effect and what it relied on";
/// Commands that can be read are decided.
pub const NO_DEAD_LETTERS: &str = "what can be decided is no dead letter";
/// The commit order has every outcome once.
pub const COMMITTED: &str = "every outcome is committed once";
/// The outcomes are those of a sequential model.
pub const SEQUENTIAL: &str = "outcomes are those of one command after another";
/// The order of decisions respects real time.
pub const REAL_TIME: &str = "an answered command precedes those that are sent later";
/// A read is never older than what its client has seen.
pub const READ_IS_NEW: &str = "a read is as new as what its client has seen";
/// A read shows the fold of the events up to its position.
pub const READ_IS_TRUE: &str = "a read shows its customers as of its position";
/// What a client has seen of a customer is never taken back.
pub const READ_GOES_ON: &str = "a client does not see a customer go back";
/// There is an order of commands in which every client is told what it was told.
pub const LINEARIZABLE: &str = "some order of commands explains the answers";
/// A fact is the fold of the events up to its position.
pub const FACT_IS_TRUE: &str = "a fact is what its customer was when it was told";
/// A fact is never older than what anybody knew when it was asked for.
pub const FACT_IS_NEW: &str = "a fact is as new as all that was answered before it was asked for";
