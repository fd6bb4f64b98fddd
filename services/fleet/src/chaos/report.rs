//! What a run came to.
use super::{Felt, Recovery};
use crate::trial::Tally;
use serde::Serialize;
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
    /// What clients were told, and what was checked.
    #[serde(flatten)]
    pub tally: Tally,
    /// How long each kind of fault was felt.
    pub felt: Vec<Felt>,
    /// How fast the fleet recovers.
    pub recovery: Recovery,
    /// The data folder, kept for whoever looks into the anomalies.
    pub kept: Option<PathBuf>,
}
