//! `flotilla services`.
use std::process::ExitCode;

/// The options of `services`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {}

/// Lists the services by name.
pub(super) fn run(_options: &Options) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not in this build yet")
}
