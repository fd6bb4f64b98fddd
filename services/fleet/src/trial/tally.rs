//! What the clients and the checks of a trial come to, whatever happened meanwhile.
use super::Verdict;
use crate::proof::Anomaly;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Counts, and what is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Tally {
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
    /// What should not be; nothing, if all is well.
    #[serde(serialize_with = "as_text")]
    pub anomalies: Vec<Anomaly>,
}

impl Tally {
    pub(super) fn of(verdict: &Verdict) -> Self {
        let Verdict { story, stored, anomalies } = verdict;
        Self {
            commands: story.outcomes.clone(),
            queries: story.queries(),
            attempts_failed: story.attempts_failed(),
            events: stored.events.len(),
            records: stored.log.values().map(Vec::len).sum(),
            anomalies: anomalies.clone(),
        }
    }
}

fn as_text<S: Serializer>(anomalies: &[Anomaly], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(anomalies.iter().map(ToString::to_string))
}
