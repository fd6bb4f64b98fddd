//! The command line. Each command is a module; what they share is here.
mod audit;
mod backup;
mod bench;
mod chaos;
mod console;
mod dead_letters;
mod difference;
mod drill;
mod explain;
mod fetch;
mod healthcheck;
mod history;
mod migrate;
mod mistakes;
pub mod options;
mod past;
mod progress;
mod rebuild;
mod replay;
mod republish;
mod reset;
mod rollback;
mod run;
mod schema;
mod services;
mod signals;
mod simulate;
mod status;
mod streams;
mod tally;
mod target;
mod up;
mod view_of;
mod views;

use clap::{Parser, Subcommand};
use shell::telemetry::{self, REVISION};
use std::{path::PathBuf, process::ExitCode, sync::LazyLock};

/// A fleet of services on one machine: GraphQL in front, events on Kafka, views in Postgres.
///
/// `flotilla up` starts all of it. Nothing needs Docker, and nothing is left behind when it stops.
#[derive(Debug, Parser)]
#[command(name = "flotilla", version = VERSION.as_str(), arg_required_else_help = true, after_help = FIRST_STEPS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// As `0.1.0 (4bf92f3)`, where whoever built it said from what.
static VERSION: LazyLock<String> = LazyLock::new(|| match REVISION {
    Some(revision) => format!("{} ({revision})", telemetry::VERSION),
    None => telemetry::VERSION.to_owned(),
});

const FIRST_STEPS: &str = "\
First steps:
  flotilla up                    everything, until Ctrl-C; then open the GraphiQL page that it names
  flotilla status --wait --json  for scripts: waits until it is ready, says where everything is
  flotilla reset                 forget all data";

#[derive(Debug, Subcommand)]
enum Command {
    /// Start Kafka, the schema registry, Postgres and every service; Ctrl-C stops them
    Up(up::Options),
    /// Fetch what `up` needs, without starting anything
    Fetch(fetch::Options),
    /// Delete the data of a fleet that is not running
    Reset(reset::Options),
    /// Show what is up, where, how far it is, and what to do where it makes no progress
    Status(status::Options),
    /// List the services
    Services(services::Options),
    /// Run some of the services against servers that are already there
    Run(Box<run::Options>),
    /// Ask whether a service of this machine is ready: the health check of a container
    Healthcheck(healthcheck::Options),
    /// Deal with commands that could not be decided, and events that a view could not fold
    DeadLetters(dead_letters::Options),
    /// Print, check and register the schemas of all messages
    Schema(schema::Options),
    /// Run the whole fleet in virtual time with faults by seed, and check every promise
    Simulate(simulate::Options),
    /// Let processes, servers and connections of a fleet of its own fail, and check what it promises
    Chaos(chaos::Options),
    /// Restart, scale, deploy and roll back a fleet under load, and check what it promises
    Drill(Box<drill::Options>),
    /// Compare all that is stored with each other while the fleet runs, and repair what is derived
    Audit(audit::Options),
    /// Copy the write side of a context into a folder, while the fleet runs
    Backup(backup::Options),
    /// Fill the empty write side of a context from a backup
    Restore(backup::RestoreOptions),
    /// Copy the events of a context into a new topic, or a file
    Replay(replay::Options),
    /// Publish events of the event table again, say into a Kafka that lost them
    Republish(republish::Options),
    /// Create or verify databases, schemas and topics on servers of your own
    Migrate(migrate::Options),
    /// Build a view again beside what is read, compare, and have it read
    Rebuild(Box<rebuild::Options>),
    /// Have what was read of a view before read again
    Rollback(rollback::Options),
    /// List what is kept of each view; compare, cut over, drop
    Views(Box<views::Options>),
    /// Show what happened to a stream, what it was at some time, and what changed between two versions
    History(history::Options),
    /// List the streams of a context by what they are
    Streams(streams::Options),
    /// Say why a row of a view is what it is: which events set it, and where those come from
    Explain(explain::Options),
    /// Measure how fast the fleet is, against the limit of its parts and against its peers
    Bench(bench::Options),
}

/// Which fleet of this machine is meant.
#[derive(Debug, clap::Args)]
struct DataFolder {
    /// The folder with everything that lasts; one fleet at a time can use it
    #[arg(long, env = "FLOTILLA_DATA", value_name = "FOLDER", default_value = ".flotilla")]
    data: PathBuf,
}

/// Runs the command that the arguments of this process name.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| mistakes::explain(error).exit());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return console::failed(&anyhow::Error::new(error).context("start the runtime"));
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Up(options) => up::run(options).await,
            Command::Fetch(options) => fetch::run(options).await,
            Command::Reset(options) => reset::run(&options),
            Command::Status(options) => status::run(options).await,
            Command::Services(options) => Ok(services::run(&options)),
            Command::Run(options) => run::run(*options).await,
            Command::Healthcheck(options) => healthcheck::run(&options).await,
            Command::DeadLetters(options) => dead_letters::run(options).await,
            Command::Chaos(options) => chaos::run(options).await,
            Command::Drill(options) => drill::run(*options).await,
            Command::Schema(options) => schema::run(options).await,
            Command::Simulate(options) => simulate::run(&options),
            Command::Audit(options) => audit::run(options).await,
            Command::Backup(options) => backup::run(options).await,
            Command::Restore(options) => backup::restore(options).await,
            Command::Replay(options) => replay::run(options).await,
            Command::Republish(options) => republish::run(options).await,
            Command::Migrate(options) => migrate::run(options).await,
            Command::Rebuild(options) => rebuild::run(*options).await,
            Command::Rollback(options) => rollback::run(options).await,
            Command::Views(options) => views::run(*options).await,
            Command::History(options) => history::run(options).await,
            Command::Streams(options) => streams::run(options).await,
            Command::Explain(options) => explain::run(options).await,
            Command::Bench(options) => bench::run(options).await,
        }
    });
    result.unwrap_or_else(|error| console::failed(&error))
}
