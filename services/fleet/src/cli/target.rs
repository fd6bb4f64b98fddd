//! Which fleet an operator's command is about: the one that `up` runs here, or servers that are named.
use super::DataFolder;
use crate::stack::{Addresses, Description, Discovery, discover};
use anyhow::bail;
use clap::Parser as _;
use shell::Shell;
use tokio_util::sync::CancellationToken;

/// Names the fleet. Without any option it is the one that `flotilla up` runs in the data folder.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which fleet")]
pub(super) struct Target {
    #[command(flatten)]
    folder: DataFolder,
    /// Kafka's addresses; name all three servers, or none
    #[arg(long, env = "KAFKA_BROKERS", value_name = "HOST:PORT")]
    kafka_brokers: Option<String>,
    /// The schema registry (Confluent's API)
    #[arg(long, env = "SCHEMA_REGISTRY_URL", value_name = "URL")]
    schema_registry_url: Option<String>,
    /// The Postgres server
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// The prefix of the fleet's topics, groups and databases
    #[arg(long, env = "FLOTILLA_NAMESPACE", value_name = "PREFIX", default_value = "")]
    namespace: String,
    /// Partitions of every topic, as the fleet was made
    #[arg(long, env = "FLOTILLA_PARTITIONS", value_name = "COUNT", default_value_t = 12)]
    partitions: i32,
}

/// Only what the services share is read; the rest is theirs.
#[derive(clap::Parser)]
struct Settings {
    #[command(flatten)]
    shell: shell::Config,
}

impl Target {
    /// Something that talks to the fleet's servers. Nothing is connected yet.
    ///
    /// # Errors
    /// No fleet runs in the data folder and no servers are named, only some are, or an address is malformed.
    pub(super) fn shell(&self) -> anyhow::Result<Shell> {
        let Addresses { kafka_brokers, schema_registry_url, database_url } = self.addresses()?;
        let partitions = self.partitions.to_string();
        let arguments = [
            ("--kafka-brokers", kafka_brokers),
            ("--schema-registry-url", schema_registry_url),
            ("--database-url", database_url),
            ("--namespace", self.namespace.clone()),
            ("--partitions", partitions),
        ];
        let arguments = arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        let settings =
            Settings::try_parse_from(["flotilla".to_owned()].into_iter().chain(arguments))?;
        Shell::new(settings.shell, CancellationToken::new())
    }

    fn addresses(&self) -> anyhow::Result<Addresses> {
        let named = (&self.kafka_brokers, &self.schema_registry_url, &self.database_url);
        if let (Some(kafka), Some(registry), Some(postgres)) = named {
            return Ok(Addresses {
                kafka_brokers: kafka.clone(),
                schema_registry_url: registry.clone(),
                database_url: postgres.clone(),
            });
        }
        if named != (&None, &None, &None) {
            bail!(
                "name all three servers (--kafka-brokers, --schema-registry-url, --database-url), or none of them"
            );
        }
        match discover(&self.folder.data) {
            Discovery::Known(Description { kafka, registry, postgres, .. }) => Ok(Addresses {
                kafka_brokers: kafka,
                schema_registry_url: registry,
                database_url: postgres,
            }),
            Discovery::Stopped | Discovery::Between { .. } => bail!(
                "no fleet runs in {}: start it with `flotilla up`, or name the servers of another one",
                self.folder.data.display()
            ),
        }
    }
}
