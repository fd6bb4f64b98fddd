//! `flotilla run`.
use std::process::ExitCode;

/// The options of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Names, as `flotilla services` lists them
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

/// Runs services until they are asked to stop.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    std::future::ready(()).await;
    anyhow::bail!("not in this build yet: {:?}", options.services)
}
