//! How far a long step is, how fast it goes, and how long it will take: a line on standard error that replaces itself on
//! a terminal, and is rare elsewhere.
use super::console;
use crate::stack::Stopwatch;
use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::Duration,
};

/// Counts things of one kind.
pub(super) struct Meter {
    unit: &'static str,
    is_terminal: bool,
    step: String,
    watch: Stopwatch,
    last: Option<Duration>,
    is_open: bool,
}

impl Meter {
    pub(super) fn new(unit: &'static str) -> Self {
        Self {
            unit,
            is_terminal: stderr().is_terminal(),
            step: String::new(),
            watch: Stopwatch::start(),
            last: None,
            is_open: false,
        }
    }

    /// So many of `total` are done in this step.
    pub(super) fn at(&mut self, step: &str, done: u64, total: u64) {
        if self.step != step {
            step.clone_into(&mut self.step);
            self.watch = Stopwatch::start();
            self.last = None;
        }
        let now = self.watch.took();
        let pause = if self.is_terminal { PULSE } else { PULSE_ELSEWHERE };
        if now.saturating_sub(self.last.unwrap_or_default()) < pause {
            return;
        }
        self.last = Some(now);
        let text = self.text(done, total, now);
        if self.is_terminal {
            self.clear();
            // Nobody may be there to read it.
            let _ = write!(stderr().lock(), "{text}").and_then(|()| stderr().lock().flush());
            self.is_open = true;
        } else {
            console::note(&text);
        }
    }

    /// Without a total, nobody knows how much is left.
    fn text(&self, done: u64, total: u64, took: Duration) -> String {
        #[expect(clippy::cast_precision_loss, reason = "so many there will never be")]
        let (has, all) = (done as f64, total.max(done) as f64);
        let rate = has / took.as_secs_f64().max(1e-3);
        let (step, unit) = (&self.step, self.unit);
        if total == 0 {
            return format!("  {step}: {done} {unit}, {rate:.0}/s");
        }
        let left = (all - has) / rate.max(1e-3);
        let total = total.max(done);
        format!("  {step}: {done} of {total} {unit}, {rate:.0}/s, {left:.0} s to go")
    }

    /// Before something else is printed.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_open) {
            let _ = write!(stderr().lock(), "\r\x1b[K");
        }
    }

    /// All of it is done.
    pub(super) fn done(&mut self) {
        self.clear();
    }
}

const PULSE: Duration = Duration::from_millis(100);
const PULSE_ELSEWHERE: Duration = Duration::from_secs(5);
