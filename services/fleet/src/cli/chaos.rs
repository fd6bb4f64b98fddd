//! `flotilla chaos`.
use super::{
    console::{self, Steps},
    signals::Signals,
    tally,
};
use crate::{
    chaos::{self, Length, Report},
    stack::{Stopwatch, reset},
};
use anyhow::{Context as _, bail, ensure};
use shell::clock::Clock;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// The options of `chaos`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Everything it starts is its own and gone in the end; the folder is kept, and named, if there were anomalies. \
    The exit code is 0 only if there were none."
)]
pub(super) struct Options {
    /// How long faults come, such as 10 or 0.5; starting and checking take a minute more
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0)]
    minutes: f64,
    /// How many faults come instead, however long they take
    #[arg(long, value_name = "COUNT", conflicts_with = "minutes")]
    faults: Option<usize>,
    /// Makes the plan of faults; another one each time if absent
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Only faults with this in their names, as the result names them: "handler killed", "Postgres"
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Also write the result to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Lets faults happen to a fleet of its own, and says what came of it.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let signals = Signals::listen()?;
    let longest = 24.0 * 60.0;
    let minutes = options.minutes;
    ensure!(
        (0.0..=longest).contains(&minutes),
        "--minutes {minutes} is not between 0 and {longest}"
    );
    let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()));
    let data = env::temp_dir().join(format!("flotilla-chaos-{}-{seed}", std::process::id()));
    ensure!(!data.exists(), "{} is there already: delete it", data.display());
    let watch = Stopwatch::start();
    let (length, told) = match options.faults {
        Some(count) => (Length::Faults(count), format!("{count} faults")),
        None => {
            (Length::Time(Duration::from_secs_f64(minutes * 60.0)), format!("{minutes} minutes"))
        }
    };
    console::note(&format!("chaos: {told}, seed {seed}, in {}", data.display()));
    let run = chaos::Options {
        program: env::current_exe().context("find this program")?,
        data: data.clone(),
        length,
        seed,
        only: options.only,
        stop: signals.soft.clone(),
        tell: |it| console::note(&format!("  {it}")),
    };
    let report = tokio::select! {
        report = chaos::run(&run, Arc::new(Steps::new())) => report,
        () = signals.hard.cancelled() => Err(anyhow::anyhow!("stopped at once, nothing was checked")),
    };
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            forget(&data).await;
            return Err(error);
        }
    };
    if report.kept.is_none() {
        forget(&data).await;
    }
    print(&report);
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
    }
    console::note(&format!("chaos: {:.0} s in all", watch.took().as_secs_f64()));
    if let Some(kept) = &report.kept {
        bail!(
            "{} anomalies with seed {seed}; logs and data are in {}",
            report.tally.anomalies.len(),
            kept.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// A server that was just being started when all was dropped takes a moment to end.
pub(super) async fn forget(data: &Path) {
    let (clock, watch) = (Clock::system(), Stopwatch::start());
    while let Err(error) = reset(data) {
        if watch.took() > PATIENCE {
            console::note(&format!("{} is left behind: {error}", data.display()));
            return;
        }
        clock.sleep(Duration::from_millis(100)).await;
    }
}

fn print(report: &Report) {
    let count: usize = report.faults.values().sum();
    tally::title(&format!("Faults: {count} in {:.0} s, seed {}", report.took_s, report.seed));
    let rows: Vec<Vec<String>> = report
        .felt
        .iter()
        .map(|it| {
            let longest = format!("{:.3}", it.longest_s);
            vec![it.fault.clone(), it.count.to_string(), longest, it.attempts_failed.to_string()]
        })
        .collect();
    let header = ["fault", "times", "longest wait for a key, s", "attempts failed"];
    console::line(console::columns(&header, &rows).trim_end());
    tally::title("Recovery, the longest");
    console::table(&recovery(report));
    tally::print(&report.tally);
}

fn recovery(report: &Report) -> Vec<(&'static str, String)> {
    let it = &report.recovery;
    let told = |value: Option<f64>, digits: usize, unit: &str, count: usize| {
        value.map_or("not measured".to_owned(), |value| {
            format!("{value:.digits$} {unit} ({count} times)")
        })
    };
    vec![
        (
            "handler killed, to the next answer in each of its partitions (7 s)",
            told(it.handler_killed_s, 2, "s", it.handlers_killed),
        ),
        (
            "Kafka back, to the next answer in every partition (5 s)",
            told(it.broker_back_s, 2, "s", it.broker_returns),
        ),
        (
            "handler stopped, the longest mutation (200 ms)",
            told(it.planned_pause_ms, 0, "ms", it.planned_stops),
        ),
        ("attempts that failed meanwhile (0)", it.planned_failures.to_string()),
    ]
}
