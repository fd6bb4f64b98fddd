//! What a drill came to.
use crate::trial::Tally;
use serde::Serialize;
use std::path::PathBuf;

/// What was felt of a step, from its beginning until mutations were answered in every partition afterwards.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Felt {
    /// What was done.
    pub step: String,
    /// How long it took, in seconds.
    pub took_s: f64,
    /// The longest that anybody waited for the answer to a mutation, in seconds: so long was its key unavailable.
    pub longest_s: f64,
    /// Attempts of clients that had no final answer, and were made again.
    pub attempts_failed: usize,
}

/// All that is told of a drill, also as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What the clients' choices come from.
    pub seed: u64,
    /// How long all steps took, in seconds.
    pub took_s: f64,
    /// In the order in which they were done.
    pub steps: Vec<Felt>,
    /// The longest mutation while nothing was being done, in seconds.
    pub calm_longest_s: f64,
    /// What clients were told, and what was checked; the audit is a part of it.
    #[serde(flatten)]
    pub tally: Tally,
    /// The folder with logs and the history, kept for whoever looks into the anomalies.
    pub kept: Option<PathBuf>,
}
