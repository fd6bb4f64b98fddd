//! What is promised, checked: from what clients asked and were told, and from what is stored in the end.
//!
//! The simulator and `flotilla chaos` both fill in a [`History`] and a [`Stored`], and ask [`check`] for anomalies. It
//! is pure, so that it can judge hundreds of runs a second: what is stored is decoded once, into `facts`, and each
//! check walks over it once.
//!
//! - [`promise`]: all that is promised, by name;
//! - `stored` and `views`: the ledger, the log and the views agree with each other;
//! - `effects`: commands have one outcome and one effect, and clients were told so;
//! - `model`: what customers do, written a second time; `order` replays it in the order of the commits;
//! - `partitions` and `holding`: the same as far as it can be told without that order;
//! - `reads`: positions are honoured;
//! - `questions`: the write side tells what is so when it is asked;
//! - [`search()`]: for few commands, any order will do that explains what clients were told.
mod effects;
mod facts;
mod history;
mod holding;
mod model;
mod order;
mod partitions;
pub mod promise;
mod questions;
mod reads;
mod search;
mod stored;
mod views;

pub use history::{Asked, Call, History, ReadRow, State, Stated, Told, Vantage};
pub use search::{COMMANDS_MAX, Search, search};
pub use stored::{Published, Stored};

use facts::Facts;

use std::{fmt, time::Duration};

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anomaly {
    /// Which [promise] is broken, in a few words: the same for all anomalies of a kind.
    pub promise: &'static str,
    /// What was seen instead, with ids.
    pub seen: String,
}

impl Anomaly {
    fn new(promise: &'static str, seen: impl Into<String>) -> Self {
        Self { promise, seen: seen.into() }
    }
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
    let events = facts::events(stored, &mut found);
    let facts = Facts::new(stored, &events, &mut found);
    let commands = history::commands(history);
    stored::check(&facts, &mut found);
    views::check(&facts, &mut found);
    effects::check(history, &commands, &facts, &mut found);
    if stored.commit_order.is_empty() {
        partitions::check(&commands, &facts, &mut found);
        holding::check(&commands, &facts, &mut found);
    } else {
        order::check(&commands, &facts, &mut found);
    }
    reads::check(history, &facts, &mut found);
    questions::check(history, &commands, &facts, &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}
