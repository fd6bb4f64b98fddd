//! What a run came to.
use super::{Felt, Recovery};
use crate::proof::Anomaly;
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, path::PathBuf};

/// All that is told of a run, also as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What made the plan.
    pub seed: u64,
    /// How long faults came, in seconds.
    pub took_s: f64,
    /// Faults, by what happened to what.
    pub faults: BTreeMap<String, usize>,
    /// Commands, by outcome.
    pub commands: BTreeMap<String, usize>,
    /// Queries that were answered.
    pub queries: usize,
    /// Attempts that had no final answer, and were made again, by what was said.
    pub attempts_failed: BTreeMap<String, usize>,
    /// Events that the ledger holds in the end.
    pub events: usize,
    /// Records of events on the topic: more than events, as some are there twice.
    pub records: usize,
    /// How long each kind of fault was felt.
    pub felt: Vec<Felt>,
    /// How fast the fleet recovers.
    pub recovery: Recovery,
    /// What should not be; nothing, if all is well.
    #[serde(serialize_with = "as_text")]
    pub anomalies: Vec<Anomaly>,
    /// The data folder, kept for whoever looks into the anomalies.
    pub kept: Option<PathBuf>,
}

fn as_text<S: Serializer>(anomalies: &[Anomaly], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(anomalies.iter().map(ToString::to_string))
}
