//! What a drill came to.
use crate::proof::Anomaly;
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, path::PathBuf};

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
    /// Commands, by outcome.
    pub commands: BTreeMap<String, usize>,
    /// Queries that were answered.
    pub queries: usize,
    /// Attempts that had no final answer, and were made again, by what was said.
    pub attempts_failed: BTreeMap<String, usize>,
    /// Events that the ledger holds in the end.
    pub events: usize,
    /// Records of events on the topic: more than events, if some are there twice.
    pub records: usize,
    /// What should not be, the audit's findings among it; nothing, if all is well.
    #[serde(serialize_with = "as_text")]
    pub anomalies: Vec<Anomaly>,
    /// The folder with logs and the history, kept for whoever looks into the anomalies.
    pub kept: Option<PathBuf>,
}

fn as_text<S: Serializer>(anomalies: &[Anomaly], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(anomalies.iter().map(ToString::to_string))
}
