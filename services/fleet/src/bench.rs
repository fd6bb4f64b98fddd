//! How fast the fleet is: against what its parts can do by themselves, and against its peers, in one run on one machine.
//!
//! - [`Plan`]: what is measured; [`run`] measures it
//! - [`Report`]: the figures, as JSON, a table, a picture and Markdown
//!
//! # How it is measured
//! Servers of their own, services as processes of their own, each measure in a namespace of its own. The fleet, the
//! limit and each peer take turns, round by round, so that a moody machine hits all alike: what counts is the median
//! of the ratios of the rounds. What was not measured is not in the report.
mod auditing;
mod commands;
mod decided;
mod disk;
mod figures;
mod history;
mod idle;
mod latency;
mod live;
mod load;
mod measure;
mod pages;
mod peers;
mod picture;
mod process;
mod rebuilt;
mod report;
mod results;
mod schedule;
mod stage;
mod table;
mod telemetry;
mod usage;
mod views;
mod visible;
mod write;

pub use figures::Figures;
pub use measure::Measure;
pub use report::{Entry, Machine, Point, Report};

use crate::stack::{Progress, Stopwatch};
use peers::Peers;
use stage::Stage;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which measures.
    pub only: BTreeSet<Measure>,
    /// How often the fleet, the limits and the peers take turns.
    pub rounds: usize,
    /// Also what takes hours rather than minutes.
    pub full: bool,
    /// Also the peers: they have to be downloaded and compiled.
    pub peers: bool,
    /// The folder of the sources of the peers.
    pub sources: PathBuf,
    /// Where the servers keep their data meanwhile.
    pub data: PathBuf,
}

/// Measures, and tells what it is at.
///
/// # Errors
/// If a server, a service or a peer does not do its part; nothing that was started is left behind.
pub async fn run(plan: &Plan, progress: Arc<dyn Progress>) -> anyhow::Result<Report> {
    let watch = Stopwatch::start();
    let peers = Peers::build(plan, &*progress)?;
    let stage = Stage::start(plan, peers, Arc::clone(&progress)).await?;
    let mut report = Report::new(plan);
    for measure in &plan.only {
        let watch = Stopwatch::start();
        progress.began(measure.name(), measure.about());
        let entry = match measure {
            Measure::P1 => write::disjoint(&stage).await?,
            Measure::P2 => write::hot(&stage).await?,
            Measure::P3 => latency::mutations(&stage).await?,
            Measure::P4 => visible::mutations(&stage).await?,
            Measure::P5 => views::events(&stage).await?,
            Measure::P6 => history::piled_up(&stage).await?,
            Measure::P7 => idle::at_rest(&stage).await?,
            Measure::P8 => pages::of_many(&stage).await?,
            Measure::P9 => live::updates(&stage).await?,
            Measure::P10 => auditing::all_that_is_stored(&stage).await?,
            Measure::P11 => rebuilt::beside_what_is_read(&stage).await?,
            Measure::P12 => telemetry::costs(&stage).await?,
        };
        progress.done(measure.name(), &entry.in_short(), watch.took());
        report.add(*measure, entry);
    }
    report.finish(watch.took());
    stage.stop().await;
    Ok(report)
}
