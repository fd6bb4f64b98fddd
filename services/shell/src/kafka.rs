//! The log on Kafka. Nothing outside this module names rdkafka.
mod consumer;
mod producer;
mod reader;
mod settings;
mod tail;
mod topics;
mod words;

pub use producer::KafkaProducer;
pub use reader::PartitionReader;
pub use settings::Kafka;
pub use topics::{TopicError, TopicKind};
