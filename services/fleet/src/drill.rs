//! What operators do to a fleet, while it works: everything is restarted, one after another; it is scaled out and in;
//! another release is deployed and rolled back; its servers restart. Then what clients were told is compared with what
//! is stored, and all that is stored is audited.
//!
//! It happens to a fleet of its own ([`run`]), or to any other, where each step is a command of whoever runs that one
//! ([`run_elsewhere`]).
mod course;
mod fleet;
mod report;

pub use crate::trial::Tally;
pub use report::{Felt, Report};

use crate::{
    proof::Anomaly,
    stack::{Progress, Server},
    trial::{Bffs, Dice, Ground, Service, Trial},
};
use anyhow::{Context as _, bail, ensure};
use course::Course;
use fleet::{Fleet, Release};
use shell::Shell;
use std::{fmt, fs, path::PathBuf, sync::Arc};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// So many handlers and aggregators there are at most.
const MOST: usize = 4;
/// And so many when there are fewer again.
const FEWER: usize = 2;

/// How a drill is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `flotilla` program, which the services are processes of.
    pub program: PathBuf,
    /// That of another release, which is deployed and rolled back. Its views may have other definitions and its events
    /// other schemas, as long as either release reads what the other writes.
    pub next: Option<PathBuf>,
    /// A folder that is not there yet, for everything that is written.
    pub data: PathBuf,
    /// What clients' choices come from.
    pub seed: u64,
    /// No further step is begun, but for the roll back; what has happened is checked all the same.
    pub stop: CancellationToken,
    /// Told in a line what happens.
    pub tell: fn(&str),
}

/// What happens to a fleet of its own, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    RollingRestart,
    ScaleOut,
    ScaleIn,
    Deploy,
    RestartKafka,
    RestartPostgres,
    RollBack,
}

impl Step {
    const ALL: [Self; 7] = [
        Self::RollingRestart,
        Self::ScaleOut,
        Self::ScaleIn,
        Self::Deploy,
        Self::RestartKafka,
        Self::RestartPostgres,
        Self::RollBack,
    ];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RollingRestart => f.write_str("rolling restart of every service"),
            Self::ScaleOut => write!(f, "handlers and aggregators: 1 to {MOST}"),
            Self::ScaleIn => write!(f, "handlers and aggregators: {MOST} to {FEWER}"),
            Self::Deploy => f.write_str("the next release is deployed"),
            Self::RestartKafka => f.write_str("Kafka restarts"),
            Self::RestartPostgres => f.write_str("Postgres restarts"),
            Self::RollBack => f.write_str("the next release is rolled back"),
        }
    }
}

/// Does all of it to a fleet of its own. Dropping the future ends all that it has started; the folder stays.
///
/// # Errors
/// The fleet could not be started or asked, a process did not become ready, or a command of `flotilla` failed;
/// anomalies are no error but part of the report.
pub async fn run(options: &Options, progress: Arc<dyn Progress>) -> anyhow::Result<Report> {
    let this = Release { name: "this release", program: options.program.clone() };
    let opening = Fleet::open(&this, options.data.clone(), Arc::clone(&progress));
    let mut fleet = tokio::select! {
        fleet = opening => fleet?,
        () = options.stop.cancelled() => bail!("stopped while it was starting"),
    };
    let report = whole(&mut fleet, &this, options).await;
    fleet.close(progress).await;
    report
}

async fn whole(fleet: &mut Fleet, this: &Release, options: &Options) -> anyhow::Result<Report> {
    let next = options.next.clone().map(|program| Release { name: "the next release", program });
    let ground = fleet.ground.clone();
    let mut dice = Dice::new(options.seed);
    let trial = Trial::begin(&ground, &mut dice, options.tell);
    let mut course = Course::begin(&trial).await;
    let mut is_deployed = false;
    for step in Step::ALL {
        let is_left_out = match step {
            Step::Deploy => next.is_none() || options.stop.is_cancelled(),
            Step::RollBack => !is_deployed,
            _ => options.stop.is_cancelled(),
        };
        if is_left_out {
            continue;
        }
        is_deployed |= step == Step::Deploy;
        course.step(&step.to_string());
        perform(step, fleet, this, next.as_ref(), &trial).await?;
        course.done(async || fleet.not_ready().await).await;
    }
    let course = course.ends();
    let mut verdict = trial.ends().await?;
    (options.tell)("auditing");
    // It fails where it finds a difference, and says which.
    if let Err(error) = fleet.command(this, &["audit"]).await {
        let seen = format!("{error:#}");
        verdict.anomalies.push(Anomaly { promise: "the audit finds no difference", seen });
    }
    let logs = fleet.stack.logs();
    verdict.keep(&logs)?;
    let kept = (!verdict.anomalies.is_empty()).then(|| options.data.clone());
    Ok(course.report(options.seed, &verdict, ground.partitions(), kept))
}

async fn perform(
    step: Step,
    fleet: &mut Fleet,
    this: &Release,
    next: Option<&Release>,
    trial: &Trial<'_>,
) -> anyhow::Result<()> {
    let scaled = [Service::Handler, Service::Aggregator];
    match step {
        Step::RollingRestart => {
            for service in Service::ALL {
                fleet.roll(service, this, trial).await?;
            }
        }
        Step::ScaleOut => {
            for service in scaled {
                while fleet.count(service) < MOST {
                    fleet.add(service, this).await?;
                }
            }
        }
        Step::ScaleIn => {
            for service in scaled {
                while fleet.count(service) > FEWER {
                    fleet.remove(service, None, trial).await?;
                }
            }
        }
        Step::Deploy => fleet.deploy(next.context("no next release")?, this, trial).await?,
        Step::RestartKafka => fleet.restart(Server::Kafka).await?,
        Step::RestartPostgres => fleet.restart(Server::Postgres).await?,
        Step::RollBack => {
            fleet.deploy(this, next.context("no next release")?, trial).await?;
            fleet.forget_versions(this, trial).await?;
        }
    }
    Ok(())
}

/// A drill of a fleet that is somebody else's to run.
#[derive(Clone)]
pub struct Elsewhere {
    /// Where its BFFs are, as `http://127.0.0.1:8080`: at least one.
    pub bffs: Vec<String>,
    /// What talks to its servers.
    pub shell: Shell,
    /// What happens to it: names, and commands for `sh -c`, which end when the step is done.
    pub steps: Vec<(String, String)>,
    /// What clients' choices come from.
    pub seed: u64,
    /// Where the history is written to, if something is wrong.
    pub data: PathBuf,
    /// No further step is begun; what has happened is checked all the same.
    pub stop: CancellationToken,
    /// Told in a line what happens.
    pub tell: fn(&str),
}

/// Has the steps done to a fleet while clients use it, and checks what came of it (`flotilla audit` is a step away).
///
/// # Errors
/// The fleet has events that these clients did not cause, so that nothing could be said of it; a server or BFF cannot
/// be asked; a command failed.
pub async fn run_elsewhere(options: Elsewhere) -> anyhow::Result<Report> {
    let Elsewhere { bffs, shell, steps, seed, data, stop, tell } = options;
    let ground = Ground { shell, bffs: Bffs::new(bffs) };
    let events = ground.query("select count(*) from write.event").await?;
    ensure!(
        events == "0",
        "this fleet has {events} events already, so that nobody could tell what they should be: drill a fleet without data (another --namespace)"
    );
    let trial = Trial::begin(&ground, &mut Dice::new(seed), tell);
    let mut course = Course::begin(&trial).await;
    for (name, command) in steps {
        if stop.is_cancelled() {
            break;
        }
        course.step(&name);
        let status = Command::new("sh").args(["-c", &command]).kill_on_drop(true).status().await?;
        ensure!(status.success(), "the step {name:?} failed: `{command}` ended with {status}");
        // Whether services are ready is the command's to know.
        course.done(async || Vec::new()).await;
    }
    let course = course.ends();
    let verdict = trial.ends().await?;
    let mut kept = None;
    if !verdict.anomalies.is_empty() {
        fs::create_dir_all(&data).with_context(|| format!("make {}", data.display()))?;
        verdict.keep(&data)?;
        kept = Some(data);
    }
    Ok(course.report(seed, &verdict, ground.partitions(), kept))
}
