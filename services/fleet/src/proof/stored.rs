//! What is stored in the end, wherever it is stored, and what must hold among it.
use super::Anomaly;
use shell::port::store::{ClaimChange, DeadLetter, EventRow, LedgerRow, OutcomeRow};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Ledger, log and views of the customers after everything has come to rest.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// A row a partition.
    pub ledger: Vec<LedgerRow>,
    /// In order of partition and `pseq`.
    pub events: Vec<EventRow>,
    /// In any order.
    pub outcomes: Vec<OutcomeRow>,
    /// The unique values that are taken: `next` is the holder.
    pub claims: Vec<ClaimChange>,
    /// What could not be decided.
    pub dead_letters: Vec<DeadLetter>,
    /// What a reader of the event topic has, by partition, in the order of the log: duplicates and all.
    pub log: BTreeMap<i32, Vec<Published>>,
    /// The rows of the view `customer`, as JSON.
    pub customers: Vec<serde_json::Value>,
    /// The rows of the view `invitations_per_day`, as JSON.
    pub days: Vec<serde_json::Value>,
    /// The ids of the commands in the order in which they were committed, where that is known (the simulator's
    /// store keeps it). Empty: the order within streams and of claims is checked instead.
    pub commit_order: Vec<Uuid>,
}

/// An event as it stands on the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its number in the partition.
    pub pseq: i64,
    /// The stream.
    pub stream: Uuid,
    /// Its number in the stream.
    pub version: i64,
    /// The Avro datum, without the frame.
    pub data: Vec<u8>,
}

pub(super) fn check(stored: &Stored, found: &mut Vec<Anomaly>) {
    let _ = (stored, found);
}
