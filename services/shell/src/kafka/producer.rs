//! An idempotent Kafka producer.
use super::words::heard;
use crate::port::log::{LogError, Outgoing, Producer, Receipt, SendError};
use rdkafka::{
    ClientConfig, ClientContext,
    config::FromClientConfigAndContext as _,
    error::KafkaError,
    message::{Header, Message as _, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// An idempotent producer. Cheap to clone.
#[derive(Clone)]
pub struct KafkaProducer {
    producer: Arc<ThreadedProducer<Receipts>>,
    is_away: Arc<AtomicBool>,
}

impl KafkaProducer {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, LogError> {
        let is_away = Arc::new(AtomicBool::new(false));
        let context = Receipts { is_away: Arc::clone(&is_away) };
        let producer = ThreadedProducer::from_config_and_context(config, context)?;
        Ok(Self { producer: Arc::new(producer), is_away })
    }

    /// Asks a broker, and waits for its answer. Blocks.
    ///
    /// # Errors
    /// If none answers in time.
    pub fn probe(&self, limit: Duration) -> Result<(), LogError> {
        self.producer.client().fetch_metadata(Some(PROBED), limit)?;
        self.is_away.store(false, Ordering::Release);
        Ok(())
    }

    /// Why it will never send again, if it will not.
    #[must_use]
    pub fn fatal_error(&self) -> Option<String> {
        self.producer.client().fatal_error().map(|(code, reason)| format!("{code}: {reason}"))
    }

    /// Whether all brokers went away.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Acquire)
    }
}

/// Any name does: who answers that there is no such topic, answers.
const PROBED: &str = "flotilla-probe";

impl Producer for KafkaProducer {
    fn send(&self, record: Outgoing, receipt: &Receipt) -> Result<(), SendError> {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let base = BaseRecord::with_opaque_to(&record.topic, Arc::clone(receipt))
            .partition(record.part)
            .key(record.key.as_slice())
            .payload(record.payload.as_slice())
            .headers(headers);
        match self.producer.send(base) {
            Ok(()) => Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                Err(SendError::Full(Box::new(record)))
            }
            Err((error, _)) => Err(SendError::Refused(error.to_string())),
        }
    }

    fn trouble(&self) -> Option<String> {
        self.is_away().then(|| "no kafka broker answers".to_owned())
    }
}

/// Passes delivery reports on to the receipts that travel with the records.
struct Receipts {
    is_away: Arc<AtomicBool>,
}

impl ClientContext for Receipts {
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if matches!(error, KafkaError::Global(RDKafkaErrorCode::AllBrokersDown)) {
            self.is_away.store(true, Ordering::Release);
        }
        heard(&error, reason);
    }
}

impl ProducerContext for Receipts {
    type DeliveryOpaque = Receipt;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Receipt) {
        match result {
            Ok(message) => {
                self.is_away.store(false, Ordering::Release);
                receipt.done(Some(message.offset()));
            }
            Err((error, message)) => {
                tracing::warn!(%error, topic = message.topic(), part = message.partition(), "a record was not delivered");
                receipt.done(None);
            }
        }
    }
}
