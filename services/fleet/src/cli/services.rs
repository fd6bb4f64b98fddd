//! `flotilla services`.
use super::console;
use crate::services;
use std::process::ExitCode;

/// The options of `services`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {}

/// Lists the services by name.
pub(super) fn run(_options: &Options) -> ExitCode {
    let all = services::all(bff::Config::default());
    let rows: Vec<(&str, String)> =
        all.iter().map(|it| (it.name(), it.about().to_owned())).collect();
    console::table(&rows);
    ExitCode::SUCCESS
}
