//! `flotilla simulate`: seeds against the promises.
use crate::simulation::{Plan, Progress, Search, Timeline, run_caught, search, shrink};
use shell::defect::Defect;
use std::{process::ExitCode, time::Duration};

/// What to simulate.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Run this seed alone, exactly as before; where it fails, show what happened in the smallest run that still does
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "minutes", "from"])]
    seed: Option<u64>,
    /// Try so many seeds
    #[arg(long, value_name = "COUNT")]
    seeds: Option<u64>,
    /// Stop after so many minutes
    #[arg(long, value_name = "MINUTES", default_value = "1")]
    minutes: f64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value = "1")]
    from: u64,
    /// Make a deliberate mistake, by its number; --defect 0 lists them (debug builds only)
    #[arg(long, value_name = "NUMBER")]
    defect: Option<usize>,
    /// Show what happened in the run of --seed, even if it keeps every promise
    #[arg(long, requires = "seed")]
    timeline: bool,
}

/// On a thread of its own: within a runtime, tokio would ration how often a task goes on.
pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    std::thread::scope(|scope| scope.spawn(|| simulate(options)).join())
        .unwrap_or_else(|_| anyhow::bail!("the simulator itself panicked"))
}

#[expect(clippy::print_stdout, reason = "the result is what it is run for")]
fn simulate(options: &Options) -> anyhow::Result<ExitCode> {
    let defect = match options.defect {
        None => None,
        Some(number) => match number.checked_sub(1).and_then(|it| Defect::ALL.get(it)) {
            Some(defect) if cfg!(debug_assertions) => Some(*defect),
            Some(_) => {
                anyhow::bail!("--defect {number}: this build cannot make mistakes on purpose")
            }
            None => {
                for (index, defect) in Defect::ALL.iter().enumerate() {
                    println!("{:>3}  {defect}", index + 1);
                }
                return Ok(ExitCode::SUCCESS);
            }
        },
    };
    if let Some(seed) = options.seed {
        return Ok(replay(&Plan { defect, ..Plan::of(seed) }, options.timeline));
    }
    let time = Duration::try_from_secs_f64(options.minutes * 60.0);
    let what = Search {
        from: options.from,
        seeds: options.seeds.unwrap_or(u64::MAX),
        time: time.map_err(|_| {
            anyhow::anyhow!("--minutes {}: give a positive number", options.minutes)
        })?,
        failures_max: 1,
        defect,
    };
    let found = search(&what, |it| eprintln!("{}", line(it)));
    println!("{}", line(&found));
    let mut kinds: Vec<_> = found.faults.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (kind, count) in kinds {
        println!("{count:>10}  {kind}");
    }
    let Some((plan, _)) = found.failures.first() else {
        println!("every promise was kept");
        return Ok(ExitCode::SUCCESS);
    };
    Ok(replay(plan, false))
}

fn line(it: &Progress) -> String {
    format!(
        "{} schedules, {} commands, {} queries, {:.0} h of virtual time in {:.0} s: {:.0} schedules a second and core, {} failed",
        it.schedules,
        it.commands,
        it.reads,
        it.virtual_time.as_secs_f64() / 3600.0,
        it.took.as_secs_f64(),
        it.rate(),
        it.failures.len()
    )
}

#[expect(clippy::print_stdout, reason = "the result is what it is run for")]
fn replay(plan: &Plan, show: bool) -> ExitCode {
    let timeline = if show { Timeline::kept() } else { Timeline::default() };
    let outcome = run_caught(plan, &timeline);
    timeline.lines().iter().for_each(|it| println!("{it}"));
    if outcome.anomalies.is_empty() {
        println!(
            "seed {}: every promise was kept: {} commands and {} queries answered, {} faults, {:.1} s of virtual time, {} steps, trace {:016x}",
            plan.seed,
            outcome.answered,
            outcome.reads,
            outcome.numbers.len(),
            outcome.took.as_secs_f64(),
            outcome.trace.0,
            outcome.trace.1
        );
        return ExitCode::SUCCESS;
    }
    println!(
        "seed {} fails: {} anomalies. Looking for a smaller run …",
        plan.seed,
        outcome.anomalies.len()
    );
    let (small, runs) = shrink(plan, &outcome, RUNS_MAX);
    let timeline = Timeline::kept();
    let least = run_caught(&small, &timeline);
    println!(
        "{} of {} faults and {} of {} commands are enough (found in {runs} runs):\n",
        least.numbers.len(),
        outcome.numbers.len(),
        small.commands,
        plan.commands
    );
    timeline.lines().iter().for_each(|it| println!("{it}"));
    println!();
    least.anomalies.iter().take(ANOMALIES_SHOWN).for_each(|it| println!("{it}"));
    println!("\nAgain: flotilla simulate --seed {}", plan.seed);
    ExitCode::FAILURE
}

const RUNS_MAX: usize = 500;
const ANOMALIES_SHOWN: usize = 10;
