//! `flotilla run`.
use crate::services;
use anyhow::bail;
use std::process::ExitCode;

/// The options of `run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without options it finds the servers of a `flotilla up` with fixed ports. \
    `flotilla migrate` prepares servers of your own."
)]
pub(super) struct Options {
    /// Names, as `flotilla services` lists them
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    shell: shell::Config,
    #[command(flatten)]
    bff: bff::Config,
}

/// Runs services until they are asked to stop.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Options { services: wanted, shell, bff } = options;
    let mut all = services::all(bff);
    if let Some(unknown) = wanted.iter().find(|name| all.iter().all(|it| it.name() != *name)) {
        let known: Vec<&str> = all.iter().map(shell::Service::name).collect();
        bail!("there is no service {unknown:?}: choose among {}", known.join(", "));
    }
    all.retain(|it| wanted.iter().any(|name| it.name() == name));
    shell::start_logging();
    tokio::task::spawn_blocking(move || shell::run_with(shell, all)).await??;
    Ok(ExitCode::SUCCESS)
}
