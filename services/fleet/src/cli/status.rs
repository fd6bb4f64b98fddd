//! `flotilla status`.
use super::{DataFolder, console};
use crate::stack::{Discovery, Stopwatch, discover};
use serde_json::{Value, json};
use std::{process::ExitCode, time::Duration};

/// The options of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    folder: DataFolder,
    /// Wait until the fleet is ready, at most so many seconds [default when given: 120]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "120")]
    wait: Option<u64>,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

/// How often a fleet that is not ready is looked at.
const PULSE: Duration = Duration::from_millis(100);

/// Shows what is known about the fleet. Succeeds only when it is ready.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let found = found(&options).await;
    if options.json {
        console::line(&serde_json::to_string_pretty(&as_json(&found)?)?);
    } else {
        show(&options, &found);
    }
    Ok(if matches!(found, Discovery::Ready(_)) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn found(options: &Options) -> Discovery {
    let watch = Stopwatch::start();
    let patience = Duration::from_secs(options.wait.unwrap_or_default());
    let mut pulse = tokio::time::interval(PULSE);
    loop {
        pulse.tick().await;
        let found = discover(&options.folder.data);
        if matches!(found, Discovery::Ready(_)) || watch.took() >= patience {
            return found;
        }
    }
}

fn as_json(found: &Discovery) -> anyhow::Result<Value> {
    Ok(match found {
        Discovery::Stopped => json!({ "state": "stopped" }),
        Discovery::NotReady { pid } => json!({ "state": "not ready", "pid": pid }),
        Discovery::Ready(description) => {
            let mut value = serde_json::to_value(description)?;
            value["state"] = json!("ready");
            value
        }
    })
}

fn show(options: &Options, found: &Discovery) {
    let data = options.folder.data.display();
    match found {
        Discovery::Stopped => {
            console::line(&format!("No fleet runs in {data}. Start it with `flotilla up`."));
        }
        Discovery::NotReady { pid } => {
            let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            console::line(&format!("The fleet in {data}{pid} is starting or stopping."));
        }
        Discovery::Ready(it) => {
            console::line(&format!("The fleet in {data} (pid {}) is ready.\n", it.pid));
            console::table(&[
                ("HTTP", it.http.clone()),
                ("Kafka", it.kafka.clone()),
                ("schema registry", it.registry.clone()),
                ("Postgres", it.postgres.clone()),
                ("data folder", it.data.display().to_string()),
                ("logs", it.logs.display().to_string()),
            ]);
        }
    }
}
