//! `flotilla rollback`: what was read before is read again.
use super::{rebuild::cut_over, target::Target, view_of::view_of};
use anyhow::bail;
use shell::port::store::{Generation, Store as _};
use std::process::ExitCode;

/// The options of `rollback`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The generation that was read before has been kept up to date, so nobody goes back in time. \
    A changed definition is rolled back by deploying the build before: its version is kept as well."
)]
pub(super) struct Options {
    /// The view, as `flotilla views` lists them
    view: String,
    #[command(flatten)]
    target: Target,
}

/// Goes back to the generation that was read before.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let view = view_of(&options.view)?;
    let shell = options.target.shell()?;
    let versions = shell.postgres.versions(view.context).await?;
    let live =
        versions.iter().find(|it| it.is_live && it.hash == view.hash && it.view == view.table);
    let Some(generation) = live.and_then(|it| it.previous) else {
        bail!(
            "nothing else was read before of this definition of {}: `flotilla views` lists what is kept",
            view.table
        );
    };
    let of = Generation { table: view.table, hash: view.hash.clone(), generation };
    let mut views = shell.postgres.views(view.context);
    cut_over(&shell, &mut views, &view, &of).await?;
    Ok(ExitCode::SUCCESS)
}
