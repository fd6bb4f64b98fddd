//! What is promised, checked: from what clients asked and were told, and from what is stored in the end.
//!
//! The simulator and `flotilla chaos` both fill in a [`History`] and a [`Stored`], and ask [`check`] for anomalies.
mod effects;
mod history;
mod model;
mod order;
mod reads;
mod stored;

pub use history::{Asked, Call, History, ReadRow, Told, Vantage};
pub use stored::{Published, Stored};

use std::{fmt, time::Duration};

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anomaly {
    /// Which promise is broken, in a few words: the same for all anomalies of a kind.
    pub promise: &'static str,
    /// What was seen instead, with ids.
    pub seen: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.seen)
    }
}

/// Everything that is wrong; empty if every promise was kept. Linear in what it is given, but for sorting.
#[must_use]
pub fn check(history: &History, stored: &Stored) -> Vec<Anomaly> {
    let mut found = Vec::new();
    stored::check(stored, &mut found);
    effects::check(history, stored, &mut found);
    order::check(history, stored, &mut found);
    reads::check(history, stored, &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

fn millis(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}
