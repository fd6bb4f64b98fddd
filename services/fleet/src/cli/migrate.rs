//! `flotilla migrate`.
use std::process::ExitCode;

/// The options of `migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {}

/// Creates or verifies databases and topics.
pub(super) async fn run(_options: Options) -> anyhow::Result<ExitCode> {
    std::future::ready(()).await;
    anyhow::bail!("not in this build yet")
}
