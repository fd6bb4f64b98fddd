//! `flotilla views`: what is kept of each view, and what is done with it.
use super::{
    console, difference,
    rebuild::cut_over,
    target::Target,
    view_of::{all_views, view_of},
};
use crate::services::CONTEXTS;
use anyhow::bail;
use clap::Subcommand;
use shell::{
    Shell,
    port::store::{Generation, Generations as _, Store as _},
    postgres::Version,
    view::ViewDefinition,
};
use std::process::ExitCode;

/// The options of `views`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List every generation of every view (what `flotilla views` does by itself)
    List(List),
    /// Show in which rows a generation differs from what is read
    Diff(Diff),
    /// Have a complete generation read from now on
    CutOver(One),
    /// Forget a generation that is not read, or a version that no build has any more
    Drop(Forget),
}

#[derive(Debug, clap::Args)]
struct List {
    /// For scripts
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The view
    view: String,
    /// The generation
    generation: i32,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct Diff {
    #[command(flatten)]
    one: One,
    /// Compare it with what another build reads: its version, as `flotilla views` lists it
    #[arg(long, value_name = "HASH")]
    against: Option<String>,
    #[command(flatten)]
    difference: difference::Shown,
}

#[derive(Debug, clap::Args)]
struct Forget {
    /// The view
    view: String,
    /// The generation of this build's version
    #[arg(required_unless_present = "version")]
    generation: Option<i32>,
    /// All generations of another version instead, which no build has any more
    #[arg(long, value_name = "HASH", conflicts_with = "generation")]
    version: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Does what was asked.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        None => list(&options.list).await?,
        Some(Command::List(options)) => list(&options).await?,
        Some(Command::Diff(Diff { one, against, difference })) => {
            let (shell, view, of) = one.named()?;
            let all = shell.postgres.versions(view.context).await?;
            let is = |it: &&Version, hash: &str| it.view == view.table && it.hash == hash;
            if !all.iter().any(|it| is(&it, &of.hash) && it.generation == of.generation) {
                bail!("there is no generation {} of {}", of.generation, view.table);
            }
            let hash = against.unwrap_or_else(|| view.hash.clone());
            let Some(live) = all.iter().find(|it| is(it, &hash) && it.is_live) else {
                bail!("no generation of {} {hash} is read", view.table);
            };
            let live = Generation { table: view.table, hash, generation: live.generation };
            difference::show(&shell, &view, &live, &of, &difference).await?;
        }
        Some(Command::CutOver(one)) => {
            let (shell, view, of) = one.named()?;
            cut_over(&shell, &mut shell.postgres.views(view.context), &view, &of).await?;
        }
        Some(Command::Drop(Forget { view, generation: Some(generation), target, .. })) => {
            let (shell, view, of) = One { view, generation, target }.named()?;
            let name = format!("generation {} of {}", of.generation, of.table);
            if !shell.postgres.views(view.context).drop_generation(&of).await? {
                bail!("{name} is not there, or is the one that is read");
            }
            console::note(&format!("{name} is gone"));
        }
        Some(Command::Drop(Forget { view, generation: None, version, target })) => {
            let (view, hash) = (view_of(&view)?, version.unwrap_or_default());
            if hash == view.hash {
                bail!(
                    "{hash} is this build's own version of {}: drop a generation of it",
                    view.table
                );
            }
            let gone = target.shell()?.postgres.forget_version(&view, &hash).await?;
            if gone == 0 {
                bail!("there is no version {hash} of {}: `flotilla views` lists them", view.table);
            }
            console::note(&format!("{gone} generations of {} {hash} are gone", view.table));
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl One {
    fn named(&self) -> anyhow::Result<(Shell, ViewDefinition, Generation)> {
        let view = view_of(&self.view)?;
        let of =
            Generation { table: view.table, hash: view.hash.clone(), generation: self.generation };
        Ok((self.target.shell()?, view, of))
    }
}

async fn list(options: &List) -> anyhow::Result<()> {
    let shell = options.target.shell()?;
    let mut all = Vec::new();
    for context in CONTEXTS {
        all.extend(shell.postgres.versions(context).await?);
    }
    if options.json {
        console::line(&serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    let known = all_views();
    let header =
        ["VIEW", "VERSION", "GENERATION", "STATE", "EVENTS", "ROWS (ABOUT)", "MB", "BEGUN"];
    let rows: Vec<Vec<String>> = all.iter().map(|it| row(it, &known)).collect();
    console::line(console::columns(&header, &rows).trim_end());
    Ok(())
}

fn row(it: &Version, known: &[ViewDefinition]) -> Vec<String> {
    let is_ours = known.iter().any(|view| view.table == it.view && view.hash == it.hash);
    let state = match (it.is_live, it.is_complete, it.as_of) {
        (true, ..) => "read".to_owned(),
        (false, true, Some(as_of)) => format!("as of {as_of}"),
        (false, true, None) => "complete".to_owned(),
        (false, false, _) => "is being built".to_owned(),
    };
    let state = if is_ours { state } else { format!("{state}, by another build") };
    vec![
        it.view.clone(),
        it.hash.clone(),
        it.generation.to_string(),
        state,
        it.events.to_string(),
        it.rows.to_string(),
        (it.bytes >> 20).to_string(),
        it.made_at.format("%Y-%m-%d %H:%M:%S").to_string(),
    ]
}
