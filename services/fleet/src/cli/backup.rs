//! `flotilla backup` and `flotilla restore`.
use super::{console, progress::Meter, target::Target};
use crate::services::CONTEXTS;
use anyhow::{Context as _, bail};
use shell::backup::{Life, Manifest, backup, restore as fill};
use std::{fs, path::PathBuf, process::ExitCode};

/// The options of `backup`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It is of one instant. Snapshots, views and topics are not in it: they are made again from what is."
)]
pub(super) struct Options {
    #[command(flatten)]
    target: Target,
    /// Whose write side
    #[arg(value_name = "CONTEXT")]
    context: String,
    /// A folder that does not exist yet
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// The options of `restore`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The fleet must have decided nothing yet, and its event topic must be empty. Its services may run: they go on with what was restored."
)]
pub(super) struct RestoreOptions {
    #[command(flatten)]
    target: Target,
    /// Whose write side
    #[arg(value_name = "CONTEXT")]
    context: String,
    /// The folder of the backup
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Nothing was decided after the backup, say because its fleet was stopped before: positions stay valid
    #[arg(long)]
    complete: bool,
}

fn check(context: &str) -> anyhow::Result<()> {
    if CONTEXTS.contains(&context) {
        return Ok(());
    }
    bail!("there is no context {context}: there are {}", CONTEXTS.join(", "))
}

/// Makes a backup.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    check(&options.context)?;
    let shell = options.target.shell()?;
    let mut meter = Meter::new("bytes");
    let mut tell = |table: &str, bytes: u64| meter.at(table, bytes, 0);
    let manifest = backup(&shell, &options.context, &options.folder, &mut tell).await?;
    meter.done();
    show(&manifest);
    let folder = fs::canonicalize(&options.folder).context("find the folder that was made")?;
    console::line(&format!(
        "{} events of {} as of {} are in {} ({:.1} MB).",
        manifest.events(),
        manifest.context,
        manifest.taken_at,
        folder.display(),
        megabytes(manifest.bytes()),
    ));
    Ok(ExitCode::SUCCESS)
}

/// Restores one.
pub(super) async fn restore(options: RestoreOptions) -> anyhow::Result<ExitCode> {
    check(&options.context)?;
    let shell = options.target.shell()?;
    let life = if options.complete { Life::Same } else { Life::Another };
    let mut meter = Meter::new("bytes");
    let mut tell = |table: &str, bytes: u64| meter.at(table, bytes, 0);
    let manifest = fill(&shell, &options.context, &options.folder, life, &mut tell).await?;
    meter.done();
    show(&manifest);
    let positions = match life {
        Life::Another => "Positions that were given out before count no more",
        Life::Same => "Positions stay valid",
    };
    console::line(&format!(
        "{} events of {} as of {} are restored. {positions}. The handler publishes them, and views are built from them: \
        `flotilla status` shows how far that is, `flotilla audit {}` whether all agrees then.",
        manifest.events(),
        manifest.context,
        manifest.taken_at,
        manifest.context,
    ));
    Ok(ExitCode::SUCCESS)
}

fn show(manifest: &Manifest) {
    let row = |it: &shell::backup::File| {
        let megabytes = format!("{:.1}", megabytes(it.bytes));
        vec![it.table.name.clone(), it.rows.to_string(), megabytes, it.sha256[..12].to_owned()]
    };
    let rows: Vec<_> = manifest.tables.iter().map(row).collect();
    console::line(console::columns(&["TABLE", "ROWS", "MB", "SHA-256"], &rows).trim_end());
}

fn megabytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "so many there will never be")]
    let bytes = bytes as f64;
    bytes / 1e6
}
