//! `flotilla migrate`.
use super::console;
use crate::{schemas, services::CONTEXTS, up};
use anyhow::{bail, ensure};
use shell::{kafka::Kafka, postgres::Postgres, registry::HttpRegistry};
use std::{process::ExitCode, time::Duration};

/// The options of `migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Make nothing: wait until another process has made all that this build needs. A service needs no more rights for it
    /// than for its work
    #[arg(long)]
    wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "wait")]
    patience_seconds: u64,
    #[command(flatten)]
    shell: shell::Config,
}

/// Creates or verifies databases, topics and schemas.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let config = options.shell;
    if options.wait {
        wait(&config, Duration::from_secs(options.patience_seconds)).await?;
    } else {
        up::migrate(&config).await?;
        console::note("  ✓ databases and schemas are as they must be");
        Kafka::new(&config).ensure_topics(&config, CONTEXTS).await?;
    }
    console::note("  ✓ topics are as they must be");
    Ok(ExitCode::SUCCESS)
}

async fn wait(config: &shell::Config, patience: Duration) -> anyhow::Result<()> {
    let (clock, watch) = (shell::clock::Clock::system(), crate::stack::Stopwatch::start());
    let mut told = String::new();
    while let Err(missing) = look(config).await {
        let missing = format!("{missing:#}");
        if watch.took() > patience {
            bail!("waited {patience:?} for `flotilla migrate`: {missing}");
        }
        if told != missing {
            console::note(&format!("waiting for `flotilla migrate`: {missing}"));
            told = missing;
        }
        clock.sleep(PULSE).await;
    }
    Ok(())
}

/// Whether all is there; what is not is the error.
async fn look(config: &shell::Config) -> anyhow::Result<()> {
    let postgres = Postgres::new(config);
    for context in CONTEXTS {
        let is_migrated = postgres.is_migrated(context).await?;
        ensure!(is_migrated, "the database of {context} is that of an older build");
    }
    schemas::are_registered(&HttpRegistry::new(config.schema_registry_url.as_str())?).await?;
    Kafka::new(config).verify_topics(config, CONTEXTS).await?;
    Ok(())
}

const PULSE: Duration = Duration::from_millis(500);
