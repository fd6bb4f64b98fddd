//! The three servers by name.
use std::fmt;

/// A server of the development stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Server {
    /// The schema registry.
    Registry,
    /// The log.
    Kafka,
    /// The databases.
    Postgres,
}

impl Server {
    /// All of them, in the order in which they are stopped.
    pub const ALL: [Self; 3] = [Self::Registry, Self::Kafka, Self::Postgres];

    /// Names its folder and its log file.
    pub(super) fn slug(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Kafka => "kafka",
            Self::Postgres => "postgres",
        }
    }

    /// The variable, and the flag of `up`, that give the address of another one to use instead.
    pub(super) fn elsewhere(self) -> &'static str {
        match self {
            Self::Registry => "SCHEMA_REGISTRY_URL or --schema-registry-url",
            Self::Kafka => "KAFKA_BROKERS or --kafka-brokers",
            Self::Postgres => "DATABASE_URL or --database-url",
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registry => "the schema registry",
            Self::Kafka => "Kafka",
            Self::Postgres => "Postgres",
        })
    }
}
