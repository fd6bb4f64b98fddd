//! How long clients waited.
use crate::proof::{Asked, Call};
use shared_events::Message as _;
use shell::partition::partition_of;
use std::time::Duration;

use super::record::Story;

/// A command that was answered, and when it was under way, by the clients' clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub(crate) part: i32,
    pub(crate) begun: Duration,
    pub(crate) ended: Duration,
}

/// All that was waited for, and the attempts that had no final answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits {
    pub(crate) waits: Vec<Wait>,
    pub(crate) failed: Vec<Duration>,
}

impl Waits {
    pub(crate) fn new(story: &Story, partitions: i32) -> Self {
        let wait = |it: &Call| match &it.asked {
            Asked::Command { command, .. } => {
                let part = partition_of(command.stream(), partitions);
                Some(Wait { part, begun: it.begun, ended: it.ended? })
            }
            Asked::Read { .. } | Asked::Fact { .. } => None,
        };
        let waits = story.history.calls.iter().filter_map(wait).collect();
        Self { waits, failed: story.failed.iter().map(|(at, _)| *at).collect() }
    }

    pub(crate) fn of(&self, part: i32) -> impl Iterator<Item = &Wait> {
        self.waits.iter().filter(move |it| it.part == part)
    }

    /// The longest wait that was going on at some time between these.
    pub(crate) fn longest(&self, from: Duration, to: Duration) -> Duration {
        let during = self.waits.iter().filter(|it| it.ended >= from && it.begun <= to);
        during.map(|it| it.ended.saturating_sub(it.begun)).max().unwrap_or_default()
    }

    /// Attempts that failed between these.
    pub(crate) fn failures(&self, from: Duration, to: Duration) -> usize {
        self.failed.iter().filter(|at| (from..=to).contains(at)).count()
    }
}
