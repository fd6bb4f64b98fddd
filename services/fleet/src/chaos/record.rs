//! What all clients share: the time, the history, and what they know of each other's customers.
use super::{PARTITIONS, dice::Dice};
use crate::{
    proof::{Anomaly, Asked, Call, History, Told},
    stack::Stopwatch,
};
use shared_events::{Message as _, customers::CustomerCommand};
use shell::{partition::partition_of, position::Position};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// So many customers are for everybody to change.
const COMMON: usize = 30;

/// The story of a run, as far as it has come.
#[derive(Debug)]
pub(super) struct Record {
    watch: Stopwatch,
    story: Mutex<Story>,
}

/// What is known up to now.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// Calls that have come to an end.
    pub(super) history: History,
    /// Attempts that had no final answer: when, and why.
    pub(super) failed: Vec<(Duration, String)>,
    /// Commands that were refused with the promise that nothing was done, and not sent again.
    pub(super) refused: Vec<Uuid>,
    /// What clients saw that should not be.
    pub(super) anomalies: Vec<Anomaly>,
    /// All that any client has seen.
    pub(super) seen: Position,
    /// Commands that wait for their final answers, by client: since when.
    pub(super) waiting: BTreeMap<usize, Duration>,
    /// Commands that were answered, by outcome.
    pub(super) outcomes: BTreeMap<String, usize>,
    /// When the latest of the answered commands was sent, by partition.
    latest: BTreeMap<i32, Duration>,
    common: VecDeque<Uuid>,
}

impl Record {
    pub(super) fn new() -> Self {
        Self { watch: Stopwatch::start(), story: Mutex::default() }
    }

    pub(super) fn now(&self) -> Duration {
        self.watch.took()
    }

    pub(super) fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a call that has come to its end.
    pub(super) fn ends(&self, call: Call) {
        let mut story = self.story();
        if let Asked::Command { command, told, .. } = &call.asked {
            story.waiting.remove(&call.client);
            *story.outcomes.entry(outcome(told.as_ref())).or_default() += 1;
            if told.is_some() {
                let latest = story.latest.entry(part_of(command)).or_default();
                *latest = call.begun.max(*latest);
            }
        }
        story.history.calls.push(call);
    }

    pub(super) fn failed(&self, why: String) {
        let now = self.now();
        self.story().failed.push((now, why));
    }

    pub(super) fn anomaly(&self, promise: &'static str, seen: String) {
        self.story().anomalies.push(Anomaly { promise, seen });
    }

    /// Whether a command that was sent after `since` has been answered in every partition.
    pub(super) fn goes_on(&self, since: Duration) -> bool {
        let story = self.story();
        (0..PARTITIONS).all(|part| story.latest.get(&part).is_some_and(|it| *it >= since))
    }

    /// Lets everybody know of a customer.
    pub(super) fn share(&self, customer: Uuid) {
        let mut story = self.story();
        let common = &mut story.common;
        common.push_back(customer);
        if common.len() > COMMON {
            common.pop_front();
        }
    }

    /// One of those that everybody knows.
    pub(super) fn common(&self, dice: &mut Dice) -> Option<Uuid> {
        let story = self.story();
        let common = &story.common;
        (!common.is_empty()).then(|| common[dice.place(common.len())])
    }
}

/// The partition that a command goes to.
pub(super) fn part_of(command: &CustomerCommand) -> i32 {
    partition_of(command.stream(), PARTITIONS)
}

fn outcome(told: Option<&Told>) -> String {
    match told {
        None => "not answered".to_owned(),
        Some(Told { code: None, .. }) => "accepted".to_owned(),
        Some(Told { code: Some(code), .. }) => code.clone(),
    }
}
