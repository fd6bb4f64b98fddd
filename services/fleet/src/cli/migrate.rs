//! `flotilla migrate`.
use super::console;
use crate::{services::CONTEXTS, up};
use shell::kafka::Kafka;
use std::process::ExitCode;

/// The options of `migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    shell: shell::Config,
}

/// Creates or verifies databases, topics and schemas.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let config = options.shell;
    up::migrate(&config).await?;
    console::note("  ✓ databases and schemas are as they must be");
    Kafka::new(&config).ensure_topics(&config, CONTEXTS).await?;
    console::note("  ✓ topics are as they must be");
    Ok(ExitCode::SUCCESS)
}
