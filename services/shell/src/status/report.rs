//! What `/status` answers: one document, for people's tools and for `flotilla status`.
use super::{PartStatus, ServiceStatus, Status};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// Where a process stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Names the process for as long as it runs.
    pub instance: Uuid,
    /// Its id on its machine.
    pub pid: u32,
    /// Whether all of it is ready.
    pub ready: bool,
    /// What runs in the process, by name; each view of an aggregator by itself.
    pub services: BTreeMap<String, ServiceReport>,
    /// What the contexts that it works for keep aside, by name.
    pub contexts: BTreeMap<String, ContextReport>,
}

/// Where a service stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Whether it does what it is there for.
    pub ready: bool,
    /// Why it is not ready.
    pub reason: Option<String>,
    /// Why none of its partitions makes progress.
    pub trouble: Option<String>,
    /// The partitions that it owns or should own, by topic and number.
    pub partitions: Vec<PartReport>,
}

/// Where a partition stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartReport {
    /// The topic that is read.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The epoch in which this process owns it.
    pub epoch: i64,
    /// The next offset to be read.
    pub offset: i64,
    /// Records that wait, as of the last look at the log; unknown at first.
    pub lag: Option<i64>,
    /// The number of the last event decided, or shown.
    pub pseq: i64,
    /// The number of the last event that is in the log for certain; handlers only.
    pub published: Option<i64>,
    /// For how long something has waited without any progress; 0 if nothing waits.
    pub waiting_seconds: u64,
    /// Whether it was stopped for good.
    pub stopped: bool,
    /// Why it makes no progress.
    pub trouble: Option<String>,
}

/// What a context could not deal with, and keeps aside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextReport {
    /// Records that could not be decided and that nobody has dealt with, by code.
    pub dead_letters: Vec<DeadLetters>,
    /// Events that could not be shown, by view; also of views where there are none.
    pub parked: Vec<ParkedEvents>,
    /// Why neither is known.
    pub error: Option<String>,
}

/// Dead letters with one code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    /// The rejection's code.
    pub code: String,
    /// How many there are.
    pub count: i64,
    /// When the log took the latest of them.
    pub latest: DateTime<Utc>,
    /// What is wrong with one of them.
    pub reason: String,
}

/// Events that wait in one view because their stream cannot be folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedEvents {
    /// The view's table.
    pub view: String,
    /// How many events wait.
    pub events: i64,
    /// In how many streams.
    pub streams: i64,
    /// What is wrong with one of them.
    pub reason: String,
}

impl Status {
    /// Everything but what only the store knows.
    #[must_use]
    pub fn report(&self) -> Report {
        let (now, not_ready) = (self.clock.elapsed(), self.not_ready());
        let mut services: BTreeMap<String, ServiceReport> =
            self.services().iter().map(|(name, it)| (name.clone(), service(it, now))).collect();
        for (name, reason) in &not_ready {
            services.entry(name.clone()).or_default().reason = Some(reason.clone());
        }
        Report {
            instance: self.instance,
            pid: std::process::id(),
            ready: not_ready.is_empty(),
            services,
            contexts: BTreeMap::new(),
        }
    }
}

fn service(status: &ServiceStatus, now: Duration) -> ServiceReport {
    let reason = status.not_ready();
    let part = |((topic, partition), it): (&(String, i32), &PartStatus)| {
        let stopped = status.stuck.get(&(topic.clone(), *partition));
        PartReport {
            topic: topic.clone(),
            partition: *partition,
            epoch: it.epoch,
            offset: it.position,
            lag: it.lag,
            pseq: it.pseq,
            published: it.published,
            waiting_seconds: it
                .waiting_since
                .map_or(0, |since| now.saturating_sub(since).as_secs()),
            stopped: stopped.is_some(),
            trouble: stopped.or(it.trouble.as_ref()).cloned(),
        }
    };
    ServiceReport {
        ready: reason.is_none(),
        reason,
        trouble: status.trouble.clone(),
        partitions: status.parts.iter().map(part).collect(),
    }
}
