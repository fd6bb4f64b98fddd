//! `flotilla fetch`.
use super::{
    console::{self, Steps},
    signals::Signals,
};
use crate::stack::prepare;
use std::process::ExitCode;

/// The options of `fetch`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {}

/// Does now what the first `up` would do, where its progress is seen and its time is not measured.
pub(super) async fn run(_options: Options) -> anyhow::Result<ExitCode> {
    let signals = Signals::listen()?;
    let fetch = move || prepare(None, &Steps::new(), &signals.soft);
    tokio::task::spawn_blocking(fetch).await??;
    console::note("Kafka, the schema registry and the page are in the cache.");
    Ok(ExitCode::SUCCESS)
}
