//! What the client library says about brokers that it does not reach.
use super::settings::Kafka;
use crate::telemetry::metric;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, ConsumerContext},
    error::KafkaError,
    types::RDKafkaErrorCode as Code,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Logs and counts an error that is about no request. Signing in and certificates do not mend themselves, so that
/// somebody should see it; all else is tried again, and told by whoever needs it.
pub(super) fn heard(error: &KafkaError, reason: &str) {
    metrics::counter!(metric::SERVER_ERRORS.name, "server" => "kafka").increment(1);
    let lasts = [Code::Authentication, Code::SaslAuthenticationFailed, Code::SSL];
    if error.rdkafka_error_code().is_some_and(|it| lasts.contains(&it)) {
        tracing::warn!(%error, reason, "kafka");
    } else {
        tracing::debug!(%error, reason, "kafka");
    }
}

/// Keeps the first reason.
#[derive(Clone, Default)]
struct Words(Arc<Mutex<Option<String>>>);

impl Words {
    fn first(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Words {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        heard(&error, reason);
        // That all are away follows from it.
        if error.rdkafka_error_code() != Some(Code::AllBrokersDown) {
            let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| reason.to_owned());
        }
    }
}

impl ConsumerContext for Words {}

impl Kafka {
    /// Why no broker is reached, in the words of the client: whoever asks for metadata is told only that there was no
    /// answer. `error`: what was told.
    pub(super) fn why(&self, error: &KafkaError) -> String {
        let words = Words::default();
        let asker: Result<BaseConsumer<Words>, _> = self.asker().create_with_context(words.clone());
        for asker in asker.iter().cycle().take(PULSES) {
            if words.first().is_some() {
                break;
            }
            drop(asker.poll(PULSE));
        }
        words.first().map_or_else(|| error.to_string(), |it| format!("{error}: {it}"))
    }
}

const PULSE: Duration = Duration::from_millis(100);
const PULSES: usize = 30;
