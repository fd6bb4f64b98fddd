//! Faults on the real parts: a fleet of its own under load, whose processes, servers and connections fail at random;
//! then what clients were told is compared with what is stored.
//!
//! - [`plan`]: which faults come, by the seed; `suffer` lets them happen
//! - [`proxy`]: the ways between services and servers
//! - `client`: the load, and the history of what was asked and told
//! - `rest`: waiting for quiet, reading what is stored; [`crate::proof`] says what is wrong with it
//! - `measure`: how long faults were felt
mod client;
mod dice;
mod measure;
mod member;
pub mod plan;
pub mod proxy;
mod record;
mod report;
mod request;
mod rest;
mod stage;
mod suffer;
mod tables;
mod topic;

pub use measure::{Felt, Recovery};
pub use report::Report;

use crate::{
    proof::{self, Anomaly},
    stack::Progress,
};
use anyhow::bail;
use client::{Client, Stop};
use dice::Dice;
use futures::future::try_join_all;
use measure::{Episode, Measures};
use plan::{Fault, Plan};
use record::{Record, Story};
use stage::Stage;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use suffer::World;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Partitions of every topic: some for each handler.
const PARTITIONS: i32 = 6;
const CLIENTS: usize = 8;

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
    let record = Arc::new(Record::new());
    let run = Run { options, stage: &stage, record: &record };
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
    record: &'a Arc<Record>,
}

impl Run<'_> {
    async fn whole(&self, plan: Plan) -> anyhow::Result<Report> {
        let mut dice = Dice::new(self.options.seed);
        let stop = Stop::default();
        // Dropping them ends them.
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let (servers, record) = (self.stage.bffs.clone(), Arc::clone(self.record));
            let client = Client::new(number, dice.child(), servers, record, stop.clone());
            clients.spawn(client.run());
        }
        self.tell("waiting until mutations are answered in every partition");
        self.goes_on(self.record.now()).await?;
        let begun = self.record.now();
        let episodes = self.faults(plan, begun, dice).await?;
        let took = self.record.now().saturating_sub(begun);
        self.tell("no more faults: waiting until nothing is pending");
        self.settle(clients, &stop).await?;
        let stored = rest::stored(self.stage).await?;
        let seen = self.record.story().seen.clone();
        let listed = rest::listed(self.stage, &seen).await?;
        let story = std::mem::take(&mut *self.record.story());
        (self.options.tell)(&format!("checking {} calls", story.history.calls.len()));
        let mut anomalies = proof::check(&story.history, &stored);
        anomalies.extend(rest::check(&story, &stored, &listed));
        self.keep(&story, &anomalies)?;
        Ok(report(self.options, took, &story, &stored, &episodes, anomalies))
    }

    /// One fault after another, each until the fleet has recovered.
    async fn faults(
        &self,
        plan: Plan,
        begun: Duration,
        mut dice: Dice,
    ) -> anyhow::Result<Vec<Episode>> {
        let Options { length, stop, .. } = self.options;
        let world = World { stage: self.stage, record: self.record, stop };
        let mut episodes = Vec::new();
        for together in plan {
            world.wait(Duration::from_millis(dice.within(500..2500))).await;
            let now = self.record.now();
            let is_over = match *length {
                Length::Time(time) => now >= begun + time,
                Length::Faults(count) => episodes.len() >= count,
            };
            if is_over || stop.is_cancelled() {
                break;
            }
            let what: Vec<String> = together.iter().map(ToString::to_string).collect();
            self.tell(&what.join(" and "));
            let alone = together.len() == 1;
            let suffer = together.iter().map(|it| world.suffer(*it, alone, dice.child()));
            let faults = try_join_all(suffer).await?;
            let over = self.record.now();
            self.goes_on(over).await?;
            episodes.push(Episode { faults, begun: now, until: self.record.now() });
            self.revive().await?;
        }
        Ok(episodes)
    }

    fn tell(&self, what: &str) {
        let story = self.record.story();
        let (at, answered) = (self.record.now(), story.outcomes.values().sum::<usize>());
        let waiting = story.waiting.len();
        drop(story);
        let at = at.as_secs_f64();
        (self.options.tell)(&format!("{at:6.1} s, {answered} commands, {waiting} waiting: {what}"));
    }

    /// Waits until all services are ready and commands sent since are answered in every partition.
    async fn goes_on(&self, since: Duration) -> anyhow::Result<()> {
        let clock = &self.stage.shell.clock;
        let goes_on = async {
            while !self.record.goes_on(since) || !self.stage.not_ready().await.is_empty() {
                clock.sleep(Duration::from_millis(20)).await;
            }
        };
        if clock.timeout(rest::PATIENCE, goes_on).await.is_none() {
            let not_ready = self.stage.not_ready().await;
            let seen = format!(
                "after {:.0?} these are not ready: {not_ready:?}; waiting: {:?}",
                rest::PATIENCE,
                self.record.story().waiting
            );
            self.record.anomaly("once a fault is over, everything goes on", seen);
        }
        Ok(())
    }

    /// No service ends because of what others suffer; the next fault is to find all of them.
    async fn revive(&self) -> anyhow::Result<()> {
        for it in &self.stage.members {
            let mut it = it.lock().await;
            if let Some(status) = it.ended_by_itself() {
                let said = fs::read_to_string(it.log()).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(3).collect();
                let seen = format!("{} ended with {status}; it said last: {last:?}", it.who);
                self.record.anomaly("a service lives through the faults of others", seen);
            }
            if !it.runs() {
                it.start()?;
            }
        }
        Ok(())
    }

    /// Nothing is wrong any more: everything that is pending finishes.
    async fn settle(&self, mut clients: JoinSet<()>, stop: &Stop) -> anyhow::Result<()> {
        self.stage.clears_up();
        self.revive().await?;
        stop.soon.cancel();
        let clock = &self.stage.shell.clock;
        let ended = async { while clients.join_next().await.is_some() {} };
        if clock.timeout(rest::PATIENCE, ended).await.is_none() {
            let waiting = self.record.story().waiting.clone();
            let seen = format!("these clients wait, since: {waiting:?}");
            self.record.anomaly("once faults stop, every command is answered", seen);
        }
        stop.now.cancel();
        while clients.join_next().await.is_some() {}
        if let Err(left) = rest::comes_to_rest(self.stage).await? {
            self.record.anomaly("once faults stop, everything pending is done", left);
        }
        Ok(())
    }

    /// Where there is an anomaly, the whole history is beside the data: one call a line.
    fn keep(&self, story: &Story, anomalies: &[Anomaly]) -> anyhow::Result<()> {
        if anomalies.is_empty() {
            return Ok(());
        }
        let logs = self.stage.stack.logs();
        write_lines(&logs.join("anomalies.txt"), anomalies.iter())?;
        write_lines(
            &logs.join("history.txt"),
            story.history.calls.iter().map(|it| format!("{it:?}")),
        )
    }
}

fn write_lines<T: ToString>(file: &Path, lines: impl Iterator<Item = T>) -> anyhow::Result<()> {
    let text: String = lines.map(|it| it.to_string() + "\n").collect();
    Ok(fs::write(file, text)?)
}

fn report(
    options: &Options,
    took: Duration,
    story: &Story,
    stored: &proof::Stored,
    episodes: &[Episode],
    mut anomalies: Vec<Anomaly>,
) -> Report {
    anomalies.sort_unstable();
    anomalies.dedup();
    let mut faults: BTreeMap<String, usize> = BTreeMap::new();
    for Fault { harm, victim, .. } in episodes.iter().flat_map(|it| &it.faults).map(|it| it.fault) {
        *faults.entry(victim.name(harm)).or_default() += 1;
    }
    let mut attempts_failed: BTreeMap<String, usize> = BTreeMap::new();
    for (_, why) in &story.failed {
        // What follows is different each time.
        let what = why.split(':').next().unwrap_or(why);
        *attempts_failed.entry(what.to_owned()).or_default() += 1;
    }
    let is_answered =
        |it: &&proof::Call| matches!(it.asked, proof::Asked::Read { .. }) && it.ended.is_some();
    let measures = Measures::new(&story.history, &story.failed);
    Report {
        seed: options.seed,
        took_s: took.as_secs_f64(),
        faults,
        commands: story.outcomes.clone(),
        queries: story.history.calls.iter().filter(is_answered).count(),
        attempts_failed,
        events: stored.events.len(),
        records: stored.log.values().map(Vec::len).sum(),
        felt: measures.felt(episodes),
        recovery: measures.recovery(episodes),
        kept: (!anomalies.is_empty()).then(|| options.data.clone()),
        anomalies,
    }
}
