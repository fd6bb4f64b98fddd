//! Faults on the real parts: a fleet of its own under load, whose processes, servers and connections fail at random;
//! then what clients were told is compared with what is stored.
//!
//! - [`plan`]: which faults come, by the seed; `suffer` lets them happen
//! - [`proxy`]: the ways between services and servers
//! - `measure`: how long faults were felt
mod measure;
pub mod plan;
pub mod proxy;
mod report;
mod stage;
mod suffer;

pub use crate::trial::Tally;
pub use measure::{Felt, Recovery};
pub use report::Report;

use crate::{
    stack::Progress,
    trial::{Dice, Trial, Verdict, Waits},
};
use anyhow::bail;
use futures::future::try_join_all;
use measure::Episode;
use plan::{Fault, Plan};
use stage::Stage;
use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};
use suffer::World;
use tokio_util::sync::CancellationToken;

/// Partitions of every topic: some for each handler.
const PARTITIONS: i32 = 6;

/// How a run is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `flotilla` program, which the services are processes of.
    pub program: PathBuf,
    /// A folder that is not there yet, for everything that is written.
    pub data: PathBuf,
    /// When no more faults come; what has begun by then ends in its time.
    pub length: Length,
    /// What makes the plan.
    pub seed: u64,
    /// Only faults with this in their names; all, if it is empty.
    pub only: String,
    /// Ends the faults early; what has happened is checked all the same.
    pub stop: CancellationToken,
    /// Told in a line what happens.
    pub tell: fn(&str),
}

/// When no more faults come.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// After this time.
    Time(Duration),
    /// After this many (several at once are one), however long they take.
    Faults(usize),
}

/// Lets faults happen, and checks what came of it. Dropping the future ends all that it has started; the folder stays.
///
/// # Errors
/// The fleet could not be started or asked; anomalies are no error but part of the report.
pub async fn run(options: &Options, progress: Arc<dyn Progress>) -> anyhow::Result<Report> {
    let Options { program, data, seed, .. } = options;
    let plan = Plan::try_new(*seed, &options.only)?;
    let opening = Stage::open(program, data.clone(), *seed, Arc::clone(&progress));
    let stage = tokio::select! {
        stage = opening => stage?,
        () = options.stop.cancelled() => bail!("stopped while it was starting"),
    };
    let run = Run { options, stage: &stage };
    let report = tokio::select! {
        report = run.whole(plan) => report,
        error = stage.stack.exited() => Err(error.into()),
    };
    for it in &stage.members {
        it.lock().await.stop().await;
    }
    stage.stack.stop(progress).await;
    report
}

struct Run<'a> {
    options: &'a Options,
    stage: &'a Stage,
}

impl Run<'_> {
    async fn whole(&self, plan: Plan) -> anyhow::Result<Report> {
        let mut dice = Dice::new(self.options.seed);
        let trial = Trial::begin(&self.stage.ground, &mut dice, self.options.tell);
        trial.tell("waiting until mutations are answered in every partition");
        trial.goes_on(trial.now(), || self.stage.not_ready()).await;
        let begun = trial.now();
        let episodes = self.faults(&trial, plan, begun, dice).await?;
        let took = trial.now().saturating_sub(begun);
        trial.tell("no more faults: waiting until nothing is pending");
        self.stage.clears_up();
        self.revive(&trial).await?;
        let verdict = trial.ends().await?;
        verdict.keep(&self.stage.stack.logs())?;
        Ok(report(self.options, took, &verdict, &episodes))
    }

    /// One fault after another, each until the fleet has recovered.
    async fn faults(
        &self,
        trial: &Trial<'_>,
        plan: Plan,
        begun: Duration,
        mut dice: Dice,
    ) -> anyhow::Result<Vec<Episode>> {
        let Options { length, stop, .. } = self.options;
        let world = World { stage: self.stage, record: &trial.record, stop };
        let mut episodes = Vec::new();
        for together in plan {
            world.wait(Duration::from_millis(dice.within(500..2500))).await;
            let now = trial.now();
            let is_over = match *length {
                Length::Time(time) => now >= begun + time,
                Length::Faults(count) => episodes.len() >= count,
            };
            if is_over || stop.is_cancelled() {
                break;
            }
            let what: Vec<String> = together.iter().map(ToString::to_string).collect();
            trial.tell(&what.join(" and "));
            let alone = together.len() == 1;
            let suffer = together.iter().map(|it| world.suffer(*it, alone, dice.child()));
            let faults = try_join_all(suffer).await?;
            trial.goes_on(trial.now(), || self.stage.not_ready()).await;
            episodes.push(Episode { faults, begun: now, until: trial.now() });
            self.revive(trial).await?;
        }
        Ok(episodes)
    }

    /// No service ends because of what others suffer; the next fault is to find all of them.
    async fn revive(&self, trial: &Trial<'_>) -> anyhow::Result<()> {
        for it in &self.stage.members {
            let mut it = it.lock().await;
            if let Some(status) = it.ended_by_itself() {
                let said = fs::read_to_string(it.log()).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(3).collect();
                let seen = format!("{} ended with {status}; it said last: {last:?}", it.name);
                trial.record.anomaly("a service lives through the faults of others", seen);
            }
            if !it.runs() {
                it.start()?;
            }
        }
        Ok(())
    }
}

fn report(options: &Options, took: Duration, verdict: &Verdict, episodes: &[Episode]) -> Report {
    let mut faults: BTreeMap<String, usize> = BTreeMap::new();
    for Fault { harm, victim, .. } in episodes.iter().flat_map(|it| &it.faults).map(|it| it.fault) {
        *faults.entry(victim.name(harm)).or_default() += 1;
    }
    let waits = Waits::new(&verdict.story, PARTITIONS);
    Report {
        seed: options.seed,
        took_s: took.as_secs_f64(),
        faults,
        tally: verdict.tally(),
        felt: measure::felt(&waits, episodes),
        recovery: measure::recovery(&waits, episodes),
        kept: (!verdict.anomalies.is_empty()).then(|| options.data.clone()),
    }
}
