//! `flotilla dead-letters`.
mod act;
mod edit;
mod look;

use super::target::Target;
use anyhow::Context as _;
use shell::letters::{By, Desk, Kind, LetterId, Wanted};
use std::{env, fs, process::ExitCode};
use uuid::Uuid;

/// The options of `dead-letters`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "\
A view sets an event aside that it cannot fold; later events of the same stream wait behind it, all others are shown.
A handler rejects a command that it cannot decide, and keeps its bytes.
Letters are named as `list` does: customers/customer/3:17 is event 17 of partition 3 in the view customer of the context
customers, customers/commands/3:42 the command at offset 42 of partition 3.";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what waits to be dealt with
    List(look::List),
    /// Show one letter: its headers, its reason, what is in it, and what was done about it
    Show(look::Show),
    /// Try parked events again, in order, once their cause is gone
    Retry(act::Retry),
    /// Pass over an event for good, or take a command for dealt with
    Discard(act::Discard),
    /// Send a command again under a new id, edited or not, and tell what becomes of it
    Resubmit(edit::Resubmit),
    /// Show who did what, and why
    Log(look::Log),
}

/// Does what the subcommand says.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::List(it) => look::list(it).await,
        Command::Show(it) => look::show(it).await,
        Command::Retry(it) => act::retry(it).await,
        Command::Discard(it) => act::discard(it).await,
        Command::Resubmit(it) => edit::resubmit(it).await,
        Command::Log(it) => look::log(it).await,
    }
}

/// Which letters.
#[derive(Debug, clap::Args)]
struct Which {
    /// Those of this context only
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
    /// Events of this view only: `customer`, or `customers/customer`
    #[arg(long, value_name = "VIEW")]
    view: Option<String>,
    /// Those of this stream only
    #[arg(long, value_name = "ID")]
    stream: Option<Uuid>,
}

impl Which {
    /// The context, and what is wanted of it.
    fn wanted(self) -> (Option<String>, Wanted) {
        let Self { mut context, view, stream } = self;
        let view = view.map(|it| match it.split_once('/') {
            Some((of, view)) => {
                context = Some(of.to_owned());
                view.to_owned()
            }
            None => it,
        });
        (context, Wanted { kind: view.map(Kind::View), stream, ..Wanted::default() })
    }
}

/// Who does it, and why.
#[derive(Debug, clap::Args)]
struct Author {
    /// Who does it [default: you, at this machine]
    #[arg(long = "by", value_name = "WHO")]
    actor: Option<String>,
    /// Why; it is kept for whoever wonders
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

impl Author {
    fn by(&self) -> anyhow::Result<By> {
        let actor = self.actor.clone().unwrap_or_else(user_at_host);
        Ok(By::new(&actor, &self.reason)?)
    }
}

fn user_at_host() -> String {
    let variable = |name: &str| env::var(name).ok().filter(|it| !it.trim().is_empty());
    let user = variable("USER").or_else(|| variable("LOGNAME"));
    let user = user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    let host = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| variable("HOSTNAME")).map(|it| it.trim().to_owned());
    format!("{user}@{}", host.unwrap_or_else(|| "localhost".to_owned()))
}

fn desk(target: &Target) -> anyhow::Result<Desk> {
    Ok(Desk::of(&target.shell()?, crate::services::CONTEXTS))
}

fn letter_id(text: &str) -> anyhow::Result<LetterId> {
    text.parse().context("which letter?")
}
