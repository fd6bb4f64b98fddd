//! What was found: differences, each with what would repair it.
use crate::port::store::SnapshotRow;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};
use uuid::Uuid;

/// What is compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `pseq` is dense in each partition, and the ledger says how far.
    Pseq,
    /// Versions are dense in each stream.
    Version,
    /// Each stream is in the partition of its key (protocol.md L1).
    Place,
    /// Time never goes back within a stream (L3).
    Time,
    /// Each event can be read.
    Event,
    /// The topic holds the events of the event table.
    Topic,
    /// Outcomes and events name each other.
    Outcome,
    /// Claims are what the events take.
    Claim,
    /// Snapshots are what a replay gives.
    Snapshot,
    /// Views are the fold of their events.
    View,
}

impl Kind {
    /// As it is printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pseq => "pseq",
            Self::Version => "version",
            Self::Place => "place",
            Self::Time => "time",
            Self::Event => "event",
            Self::Topic => "topic",
            Self::Outcome => "outcome",
            Self::Claim => "claim",
            Self::Snapshot => "snapshot",
            Self::View => "view",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which comparison it is of.
    pub kind: Kind,
    /// What it is about, in words: a partition, a stream, a row.
    pub place: String,
    /// As it should be.
    pub expected: String,
    /// As it is.
    pub found: String,
}

/// What makes good again what is derived. The source of truth (events, outcomes) is never repaired.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remedy {
    /// Find out who holds the value, and write that down.
    Claim {
        /// What sort of value it is.
        kind: String,
        /// The value.
        value: String,
        /// A stream that holds it, or is said to.
        stream: Uuid,
    },
    /// Replace a snapshot, or forget it if there is none for its version.
    Snapshot {
        /// The stream.
        stream: Uuid,
        /// The partition of the stream.
        part: i32,
        /// Names the decider and the revision of its fold.
        fold: String,
        /// The version that the snapshot says it stands for.
        version: i64,
        /// The state as it should be, JSON, and when its event was decided, in microseconds since 1970.
        state: Option<(String, i64)>,
    },
    /// Publish the partition's events again from this one on.
    Republish {
        /// The partition.
        part: i32,
        /// The first event that is missing.
        from_pseq: i64,
    },
    /// Build the view again.
    Rebuild {
        /// Its table.
        view: &'static str,
    },
}

impl Remedy {
    pub(super) fn snapshot(row: &SnapshotRow, part: i32, right: Option<SnapshotRow>) -> Self {
        Self::Snapshot {
            stream: row.stream,
            part,
            fold: row.fold.clone(),
            version: row.version,
            state: right.map(|it| (it.state, it.at.timestamp_micros())),
        }
    }
}

/// One line of what was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What was compared, in words.
    pub what: String,
    /// How many of them.
    pub count: u64,
    /// Events that the comparison went through.
    pub events: u64,
    /// How long that took; comparisons that share their reading share their time.
    pub took: Duration,
}

/// Is told what happens while it happens.
pub trait Watcher {
    /// A difference was found.
    fn found(&mut self, difference: &Difference);
    /// So many of `total` events of a step were gone through.
    fn progress(&mut self, step: &str, done: u64, total: u64);
}

/// Collects what is found, in bounded memory.
pub(super) struct Findings<'a> {
    pub(super) watcher: &'a mut dyn Watcher,
    counts: BTreeMap<Kind, u64>,
    remedies: BTreeSet<Remedy>,
    checked: Vec<Checked>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(watcher: &'a mut dyn Watcher) -> Self {
        Self { watcher, counts: BTreeMap::new(), remedies: BTreeSet::new(), checked: Vec::new() }
    }

    pub(super) fn differ(
        &mut self,
        kind: Kind,
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        remedy: Option<Remedy>,
    ) {
        let difference = Difference {
            kind,
            place: place.into(),
            expected: expected.into(),
            found: found.into(),
        };
        self.add(&difference, remedy);
    }

    pub(super) fn add(&mut self, difference: &Difference, remedy: Option<Remedy>) {
        *self.counts.entry(difference.kind).or_default() += 1;
        self.watcher.found(difference);
        if self.remedies.len() < REMEDIES_MAX {
            self.remedies.extend(remedy);
        }
    }

    /// So many more, which nobody can be told of one by one.
    pub(super) fn more(&mut self, kind: Kind, count: u64) {
        if count > 0 {
            *self.counts.entry(kind).or_default() += count;
        }
    }

    pub(super) fn checked(
        &mut self,
        what: impl Into<String>,
        count: u64,
        events: u64,
        took: Duration,
    ) {
        self.checked.push(Checked { what: what.into(), count, events, took });
    }

    pub(super) fn report(self) -> Report {
        let Self { counts, remedies, checked, .. } = self;
        Report { counts, remedies, checked }
    }
}

/// What an audit found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many differences of each kind.
    pub counts: BTreeMap<Kind, u64>,
    /// What would repair them; of very many, only the first.
    pub remedies: BTreeSet<Remedy>,
    /// What was checked.
    pub checked: Vec<Checked>,
}

impl Report {
    /// Whether all is as it should be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    /// All differences.
    #[must_use]
    pub fn differences(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// More are left to the next audit.
const REMEDIES_MAX: usize = 100_000;
