//! When requests are due in an open loop: however late an answer is, the next request does not wait for it.
use crate::stack::Stopwatch;
use std::time::Duration;

/// So many requests a second, evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Schedule {
    per_second: f64,
}

impl Schedule {
    pub(super) fn new(per_second: f64) -> Self {
        Self { per_second }
    }

    /// When the `n`th request is due, from the beginning on.
    pub(super) fn due(self, n: u32) -> Duration {
        Duration::from_secs_f64(f64::from(n) / self.per_second)
    }

    /// How many are due within this time.
    pub(super) fn count(self, within: Duration) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let count = (within.as_secs_f64() * self.per_second).round() as u32;
        count
    }
}

/// Waits on this thread: a runtime's timer is a millisecond late, which would be taken for latency.
#[expect(clippy::disallowed_methods, reason = "load keeps real time, on a thread of its own")]
pub(super) fn wait_until(watch: Stopwatch, due: Duration) {
    std::thread::sleep(due.saturating_sub(watch.took()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_evenly_and_whatever_happens() {
        let schedule = Schedule::new(100.0);
        let due: Vec<u128> = (0..4).map(|n| schedule.due(n).as_millis()).collect();
        assert_eq!(due, [0, 10, 20, 30]);
        assert_eq!(schedule.count(Duration::from_secs(3)), 300);
        // No drift: the millionth is due after ten thousand seconds, to the microsecond.
        assert_eq!(schedule.due(1_000_000), Duration::from_secs(10_000));
    }
}
