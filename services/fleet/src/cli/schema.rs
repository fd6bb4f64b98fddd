//! `flotilla schema`.
use super::console;
use crate::schemas;
use shared_events::compatibility::check_committed;
use shell::{config::HttpUrl, registry::HttpRegistry};
use std::process::ExitCode;

/// The options of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print every schema that is written today, by subject
    Print,
    /// Check that no schema breaks a reader, against all earlier versions
    Check,
    /// Register every schema at the registry, which checks them as well
    Register {
        /// The schema registry (Confluent's API)
        #[arg(
            long,
            env = "SCHEMA_REGISTRY_URL",
            value_name = "URL",
            default_value = "http://127.0.0.1:18081/apis/ccompat/v7"
        )]
        schema_registry_url: HttpUrl,
    },
    /// Print an `AsyncAPI` document of all topics, messages and headers
    Asyncapi {
        /// Partitions of every topic
        #[arg(long, env = "FLOTILLA_PARTITIONS", value_name = "COUNT", default_value_t = 12)]
        partitions: u32,
    },
}

/// Does what the subcommand says.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::Print => {
            for (subject, _, record) in schemas::written() {
                console::line(&format!("{subject}\n{}\n", record.json()));
            }
        }
        Command::Check => {
            let breaks = check_committed()?;
            for it in &breaks {
                console::line(&it.to_string());
            }
            if !breaks.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
            console::line("Every schema can be read by everybody who has to.");
        }
        Command::Register { schema_registry_url } => {
            let registry = HttpRegistry::new(schema_registry_url.as_str())?;
            for (subject, id) in schemas::register(&registry).await? {
                console::line(&format!("{id:>6}  {subject}"));
            }
        }
        Command::Asyncapi { partitions } => {
            let document = shared_events::asyncapi::asyncapi("", partitions);
            console::line(&serde_json::to_string_pretty(&document)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}
