//! Real time: other processes do not run on a virtual clock.
use std::time::{Duration, Instant};

/// Measures how long something takes, in real time.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "servers outside this process take real time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A point in real time after which nobody waits any longer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    watch: Stopwatch,
    after: Duration,
}

impl Deadline {
    pub(super) fn after(after: Duration) -> Self {
        Self { watch: Stopwatch::start(), after }
    }

    pub(super) fn passed(&self) -> bool {
        self.left().is_zero()
    }

    pub(super) fn left(&self) -> Duration {
        self.after.saturating_sub(self.watch.took())
    }

    pub(super) fn took(&self) -> Duration {
        self.watch.took()
    }
}
