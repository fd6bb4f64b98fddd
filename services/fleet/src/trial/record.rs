//! What all clients share: the time, the history, and what they know of each other's customers.
use super::dice::Dice;
use crate::{
    proof::{Anomaly, Asked, Call, History, Told},
    stack::Stopwatch,
};
use shared_events::Message as _;
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
pub(crate) struct Record {
    watch: Stopwatch,
    partitions: i32,
    story: Mutex<Story>,
}

/// What is known up to now.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// Calls that have come to an end.
    pub(crate) history: History,
    /// Attempts that had no final answer: when, and why.
    pub(crate) failed: Vec<(Duration, String)>,
    /// Commands that were refused with the promise that nothing was done, and not sent again.
    pub(crate) refused: Vec<Uuid>,
    /// What clients saw that should not be.
    pub(crate) anomalies: Vec<Anomaly>,
    /// All that any client has seen.
    pub(crate) seen: Position,
    /// Commands that wait for their final answers, by client: since when.
    pub(crate) waiting: BTreeMap<usize, Duration>,
    /// Commands that were answered, by outcome.
    pub(crate) outcomes: BTreeMap<String, usize>,
    /// When the latest of the answered commands was sent, by partition.
    latest: BTreeMap<i32, Duration>,
    common: VecDeque<Uuid>,
}

impl Story {
    /// Attempts that had no final answer, by what was said instead.
    pub(crate) fn attempts_failed(&self) -> BTreeMap<String, usize> {
        let mut all: BTreeMap<String, usize> = BTreeMap::new();
        for (_, why) in &self.failed {
            // What follows is different each time.
            let what = why.split(':').next().unwrap_or(why);
            *all.entry(what.to_owned()).or_default() += 1;
        }
        all
    }

    /// How many queries were answered.
    pub(crate) fn queries(&self) -> usize {
        let is_answered = |it: &&Call| matches!(it.asked, Asked::Read { .. }) && it.ended.is_some();
        self.history.calls.iter().filter(is_answered).count()
    }
}

impl Record {
    pub(crate) fn new(partitions: i32) -> Self {
        Self { watch: Stopwatch::start(), partitions, story: Mutex::default() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.watch.took()
    }

    pub(crate) fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a call that has come to its end.
    pub(crate) fn ends(&self, call: Call) {
        let mut story = self.story();
        if let Asked::Command { command, told, .. } = &call.asked {
            story.waiting.remove(&call.client);
            *story.outcomes.entry(outcome(told.as_ref())).or_default() += 1;
            if told.is_some() {
                let part = partition_of(command.stream(), self.partitions);
                let latest = story.latest.entry(part).or_default();
                *latest = call.begun.max(*latest);
            }
        }
        story.history.calls.push(call);
    }

    pub(crate) fn failed(&self, why: String) {
        let now = self.now();
        self.story().failed.push((now, why));
    }

    pub(crate) fn anomaly(&self, promise: &'static str, seen: String) {
        self.story().anomalies.push(Anomaly { promise, seen });
    }

    /// Whether a command that was sent after `since` has been answered in every partition.
    pub(crate) fn goes_on(&self, since: Duration) -> bool {
        let story = self.story();
        (0..self.partitions).all(|part| story.latest.get(&part).is_some_and(|it| *it >= since))
    }

    /// Lets everybody know of a customer.
    pub(crate) fn share(&self, customer: Uuid) {
        let mut story = self.story();
        let common = &mut story.common;
        common.push_back(customer);
        if common.len() > COMMON {
            common.pop_front();
        }
    }

    /// One of those that everybody knows.
    pub(crate) fn common(&self, dice: &mut Dice) -> Option<Uuid> {
        let story = self.story();
        let common = &story.common;
        (!common.is_empty()).then(|| common[dice.place(common.len())])
    }
}

fn outcome(told: Option<&Told>) -> String {
    match told {
        None => "not answered".to_owned(),
        Some(Told { code: None, .. }) => "accepted".to_owned(),
        Some(Told { code: Some(code), .. }) => code.clone(),
    }
}
