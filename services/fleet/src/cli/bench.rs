//! `flotilla bench`.
use super::console::{self, Steps};
use crate::bench::{self, Measure, Plan};
use anyhow::Context as _;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// The options of `bench`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It wants a machine that does nothing else, and a release build: `./flotilla bench` makes one."
)]
pub(super) struct Options {
    /// Only these measures, separated by commas
    #[arg(long, value_name = "P1,P3", value_delimiter = ',')]
    only: Vec<Measure>,
    /// How often the fleet, its limits and its peers take turns
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// Also with 10 million stored events, which takes much longer
    #[arg(long)]
    full: bool,
    /// Without the peers, which have to be downloaded and compiled
    #[arg(long)]
    no_peers: bool,
    /// Write all figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw latency against throughput into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the results and the picture to the folder of the benchmark, for whoever reads the sources
    #[arg(long)]
    write_results: bool,
    /// Where the sources of the peers are
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/peers"), hide_default_value = true)]
    peers: PathBuf,
    /// Where the servers keep their data meanwhile; deleted in the end
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench"), hide_default_value = true)]
    data: PathBuf,
}

/// Measures, and shows the figures.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        console::note(
            "\n  THIS IS NOT A RELEASE BUILD: its figures say nothing about the fleet.\n  \
            `./flotilla bench` builds a release and measures that.\n",
        );
    }
    let only = if options.only.is_empty() { Measure::ALL.into() } else { options.only };
    let plan = Plan {
        only: only.into_iter().collect(),
        rounds: options.rounds.into(),
        full: options.full,
        peers: !options.no_peers,
        sources: options.peers,
        data: options.data,
    };
    let report = bench::run(&plan, Arc::new(Steps::new())).await?;
    let (header, rows) = report.table();
    console::line(&console::columns(&header, &rows));
    let write = |file: &Path, text: &str| {
        fs::write(file, text).with_context(|| format!("write {}", file.display()))
    };
    if let Some(file) = options.json {
        write(&file, &(serde_json::to_string_pretty(&report.json())? + "\n"))?;
    }
    let picture = report.picture();
    if let (Some(file), Some(picture)) = (options.svg, &picture) {
        write(&file, picture)?;
    }
    if options.write_results {
        let folder = plan.sources.parent().context("the sources of the peers are in no folder")?;
        if let Some(picture) = &picture {
            write(&folder.join(PICTURE), picture)?;
        }
        let page = report.markdown(picture.as_ref().map(|_| PICTURE));
        write(&folder.join("RESULTS.md"), &page)?;
    }
    Ok(ExitCode::SUCCESS)
}

const PICTURE: &str = "latency.svg";
