//! `flotilla reset`.
use super::{DataFolder, console};
use crate::stack::{Discovery, discover, reset};
use anyhow::bail;
use std::process::ExitCode;

/// The options of `reset`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    folder: DataFolder,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Deletes the data folder's content, if that is what the person wants.
pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let data = &options.folder.data;
    let shown = data.display();
    if !data.exists() {
        console::line(&format!("There is no data: {shown} does not exist."));
        return Ok(ExitCode::SUCCESS);
    }
    // A fleet that runs is refused before anybody is asked; the lock refuses it once more.
    let asking = !options.yes && discover(data) == Discovery::Stopped;
    if asking {
        let question = format!(
            "This deletes everything in {shown}: all topics, schemas and databases of that fleet. Type yes to do it:"
        );
        match console::ask(&question).as_deref() {
            Some("yes" | "y") => {}
            Some(_) => {
                console::line("Nothing was deleted.");
                return Ok(ExitCode::FAILURE);
            }
            None => bail!(
                "nobody is there to be asked: `flotilla reset --yes` deletes {shown} without asking"
            ),
        }
    }
    reset(data)?;
    console::line(&format!("Deleted the data of the fleet in {shown}."));
    Ok(ExitCode::SUCCESS)
}
