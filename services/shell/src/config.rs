//! What a process has to be told: options, each also an environment variable.
mod security;

pub use security::{KafkaSecurity, Mechanism, SecretFile, SecurityProtocol};

use crate::telemetry::TelemetryConfig;
use std::{fmt, net::SocketAddr, str::FromStr};

/// The most partitions that a topic may have: the position of a reader who has seen all of them must fit in a header.
pub const PARTITIONS_MAX: i32 = 256;

/// Where the servers are, and how the fleet is laid out on them.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Servers")]
#[group(skip)]
pub struct Config {
    /// Kafka's addresses, separated by commas.
    #[arg(
        long,
        env = "KAFKA_BROKERS",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:19092"
    )]
    pub kafka_brokers: Addresses,

    /// The schema registry (Confluent's API).
    #[arg(
        long,
        env = "SCHEMA_REGISTRY_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:18081/apis/ccompat/v7"
    )]
    pub schema_registry_url: HttpUrl,

    /// The Postgres server; each context has a database of its own there.
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        default_value = "postgres://flotilla@127.0.0.1:15432/postgres",
        hide_env_values = true
    )]
    pub database_url: DatabaseUrl,

    /// A file with the password of the user in that address, which needs none then; read once, at the start.
    #[arg(long, env = "DATABASE_PASSWORD_FILE", value_name = "FILE")]
    pub database_password_file: Option<SecretFile>,

    /// How Kafka is spoken to.
    #[command(flatten)]
    pub kafka_security: KafkaSecurity,

    /// A prefix of every topic, group and database, so that several fleets can share servers.
    #[arg(long, env = "FLOTILLA_NAMESPACE", value_name = "PREFIX", default_value = "")]
    pub namespace: Namespace,

    /// Partitions of every topic; fixed for the life of a fleet.
    #[arg(long, env = "FLOTILLA_PARTITIONS", value_name = "COUNT", default_value_t = 12,
        value_parser = clap::value_parser!(i32).range(1..=i64::from(PARTITIONS_MAX)))]
    pub partitions: i32,

    /// Copies of every partition that Kafka keeps.
    #[arg(long, env = "FLOTILLA_REPLICATION", value_name = "COUNT", default_value_t = 1,
        value_parser = clap::value_parser!(i32).range(1..=9))]
    pub replication: i32,

    /// How members of a group share partitions: `consumer` needs Kafka 4, `classic` works with older brokers.
    #[arg(long, env = "FLOTILLA_GROUP_PROTOCOL", value_name = "PROTOCOL", value_enum, default_value_t = GroupProtocol::Consumer)]
    pub group_protocol: GroupProtocol,

    /// The most records that one transaction takes in.
    #[arg(long, env = "FLOTILLA_BATCH", value_name = "RECORDS", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,

    /// Memory for the streams that a handler has seen lately, in megabytes.
    #[arg(long, env = "FLOTILLA_CACHE_MB", value_name = "MB", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub cache_mb: u32,

    /// The largest command or event, in kilobytes; Kafka's own limit must be above it.
    #[arg(long, env = "FLOTILLA_MESSAGE_KB", value_name = "KB", default_value_t = 900,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub message_kb: u32,

    /// Commands of one process that may wait for their answers; beyond that mutations answer UNAVAILABLE.
    #[arg(long, env = "FLOTILLA_COMMANDS_IN_FLIGHT", value_name = "COMMANDS", default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub commands_in_flight: u32,

    /// Where `/live`, `/ready`, `/metrics` and `/status` are, in a process that does not serve GraphQL.
    #[arg(long, env = "FLOTILLA_HEALTH", value_name = "HOST:PORT")]
    pub health: Option<SocketAddr>,

    /// Where telemetry goes.
    #[command(flatten, next_help_heading = "Telemetry")]
    pub telemetry: TelemetryConfig,
}

impl Config {
    /// The largest command or event in bytes.
    #[must_use]
    pub fn message_bytes(&self) -> usize {
        usize::try_from(self.message_kb).unwrap_or(usize::MAX).saturating_mul(1024)
    }
}

/// How members of a group share partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum GroupProtocol {
    /// Kafka 4's own: the broker decides, hand-overs are short.
    Consumer,
    /// The members decide, co-operatively.
    Classic,
}

/// A list of `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(String);

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Addresses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_address = |it: &str| {
            let split = it.trim().rsplit_once(':');
            split.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if text.split(',').all(is_address) {
            Ok(Self(text.to_owned()))
        } else {
            Err("not a list of host:port, such as kafka-1:9092,kafka-2:9092".into())
        }
    }
}

/// An `http` or `https` address without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match rest {
            Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => {
                Ok(Self(text.trim_end_matches('/').to_owned()))
            }
            _ => Err("not an address such as http://registry:8080/apis/ccompat/v7".into()),
        }
    }
}

/// Where Postgres is. It may hold a password, so it is never printed whole.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The address, with its password.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.split_once("://"), self.0.rsplit_once('@')) {
            (Some((scheme, rest)), Some((_, host))) if rest.contains('@') => {
                let user = rest.split([':', '@']).next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{}", host.split('?').next().unwrap_or_default())
            }
            _ => f.write_str(self.0.split('?').next().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if is_postgres && text.parse::<sqlx::postgres::PgConnectOptions>().is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err("not an address such as postgres://user:password@host:5432".into())
        }
    }
}

/// The beginning of a name: lower-case letters, digits and `_`, at most 24.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Namespace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_good = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
        if text.len() <= 24 && text.chars().all(is_good) {
            Ok(Self(text.to_owned()))
        } else {
            Err("at most 24 lower-case letters, digits and _, such as staging_".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        config: Config,
    }

    fn refused(args: &[&str]) -> String {
        let args = [&["program"], args].concat();
        Program::try_parse_from(args).unwrap_err().to_string()
    }

    #[test]
    fn what_is_malformed_is_refused_with_its_name_and_an_example() {
        for (option, value, example) in [
            ("--kafka-brokers", "nowhere", "kafka-1:9092"),
            ("--schema-registry-url", "registry", "http://registry:8080"),
            ("--database-url", "mysql://x", "postgres://user"),
            ("--namespace", "Ä", "staging_"),
            ("--partitions", "0", "1..=256"),
            ("--group-protocol", "eager", "classic"),
        ] {
            let message = refused(&[option, value]);
            assert!(message.contains(option) && message.contains(example), "{message}");
        }
        assert!(refused(&["--colour", "blue"]).contains("--colour"));
    }

    #[test]
    fn a_password_is_never_printed() {
        let url: DatabaseUrl = "postgres://ann:hush@db:5432?password=hush".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "postgres://ann@db:5432 postgres://ann@db:5432");
        let message = refused(&["--database-url", "postgres://ann:hush@db:port"]);
        assert!(!message.contains("hush") || message.contains("invalid value"), "{message}");
    }
}
