//! What a view has set aside: streams that wait, and what becomes of them when they are tried again (protocol.md V6).
use super::store::ParkedEvent;
use std::collections::BTreeSet;
use uuid::Uuid;

/// What a view has set aside in some partitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aside {
    /// The streams that wait, as (topic, partition, stream, reason).
    pub parked: Vec<(String, i32, Uuid, String)>,
    /// Events that every generation of the view passes over, as (topic, partition, `pseq`).
    pub discarded: BTreeSet<(String, i32, i64)>,
}

/// A stream that waits, and that somebody asked to try again.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The events' topic, without the namespace.
    pub topic: String,
    /// The partition.
    pub part: i32,
    /// The stream.
    pub stream: Uuid,
    /// Who asked: the numbers of the requests.
    pub requests: Vec<i64>,
    /// The first of its events that wait, in order, at most [`EVENTS_MAX`](Self::EVENTS_MAX).
    pub events: Vec<ParkedEvent>,
    /// Whether more of them wait.
    pub more: bool,
}

impl Asked {
    /// How many streams are tried in one transaction.
    pub const STREAMS_MAX: usize = 50;
    /// How many events of a stream are, so that what a transaction holds in memory is bounded.
    pub const EVENTS_MAX: usize = 20;
}

/// What became of a stream that was tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The events' topic, without the namespace.
    pub topic: String,
    /// The partition.
    pub part: i32,
    /// The stream.
    pub stream: Uuid,
    /// The last of its parked events that the rows have now, or that is passed over; 0: none.
    pub upto: i64,
    /// Why the others go on waiting.
    pub reason: Option<String>,
    /// The requests that are dealt with.
    pub requests: Vec<i64>,
}
