//! Client settings: stack.md section 3 has the reasons.
use super::{consumer::KafkaConsumer, producer::KafkaProducer};
use crate::{
    config::{Config, GroupProtocol, KafkaSecurity},
    port::log::{Log, LogError},
};
use rdkafka::{ClientConfig, error::KafkaError};

/// A Kafka cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Kafka {
    brokers: String,
    protocol: GroupProtocol,
    message_bytes: usize,
    security: KafkaSecurity,
}

impl Kafka {
    /// The cluster that the configuration names.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            brokers: config.kafka_brokers.to_string(),
            protocol: config.group_protocol,
            message_bytes: config.message_bytes(),
            security: config.kafka_security.clone(),
        }
    }

    pub(super) fn base(&self) -> ClientConfig {
        let mut it = ClientConfig::new();
        it.set("bootstrap.servers", &self.brokers)
            .set("client.id", "flotilla")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.propagation.max.ms", "2000")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Warning);
        self.security.tell(&mut it);
        it
    }

    pub(super) fn reader(&self) -> ClientConfig {
        let mut it = self.base();
        it.set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.queue.backoff.ms", "5")
            .set("queued.min.messages", "20000")
            .set("queued.max.messages.kbytes", "65536");
        it
    }

    /// Asks about single places.
    pub(super) fn asker(&self) -> ClientConfig {
        let mut it = self.reader();
        // Required by the client, never joined.
        it.set("group.id", "flotilla-asker").set("auto.offset.reset", "latest");
        it
    }

    fn member(&self, group: &str) -> ClientConfig {
        let mut it = self.reader();
        it.set("group.id", group).set("auto.offset.reset", "earliest");
        match self.protocol {
            // The session and the heartbeats are the broker's then.
            GroupProtocol::Consumer => it.set("group.protocol", "consumer"),
            GroupProtocol::Classic => it
                .set("partition.assignment.strategy", "cooperative-sticky")
                .set("session.timeout.ms", "6000")
                .set("heartbeat.interval.ms", "1000"),
        };
        it
    }

    fn writer(&self, message_timeout_ms: u32) -> ClientConfig {
        let mut it = self.base();
        // Room for keys and headers around a message of the largest size.
        let bytes = self.message_bytes + 64 * 1024;
        it.set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("compression.type", "lz4")
            .set("batch.size", "1000000")
            .set("message.max.bytes", bytes.to_string())
            .set("queue.buffering.max.messages", "1000000")
            .set("delivery.timeout.ms", message_timeout_ms.to_string());
        it
    }

    /// A producer for commands: what is not delivered in this time is given up (protocol.md R5).
    ///
    /// # Errors
    /// If the settings are refused.
    pub fn command_producer(&self, message_timeout_ms: u32) -> Result<KafkaProducer, LogError> {
        KafkaProducer::new(&self.writer(message_timeout_ms))
    }
}

impl Log for Kafka {
    type Consumer = KafkaConsumer;
    type Producer = KafkaProducer;

    fn consumer(&self, group: &str, topics: &[String]) -> Result<KafkaConsumer, LogError> {
        KafkaConsumer::new(&self.member(group), &self.asker(), topics)
    }

    /// For events and replies: tries for ever.
    fn producer(&self) -> Result<KafkaProducer, LogError> {
        KafkaProducer::new(&self.writer(0))
    }
}

impl From<KafkaError> for LogError {
    fn from(error: KafkaError) -> Self {
        Self(error.to_string())
    }
}
