//! What a handler tells of a batch that was written down: metrics, and a span for each command that is traced.
use super::{
    received::{Body, Received},
    shard::Handler,
};
use crate::{
    port::{log::Log, store::Store},
    telemetry::{
        metric,
        trace::{self, Done},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use opentelemetry::KeyValue;
use std::time::Duration;

/// When a batch was taken up, by both clocks.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    at: DateTime<Utc>,
    elapsed: Duration,
}

impl<L: Log, S: Store> Handler<L, S> {
    /// Counting begins at nothing: the first of a kind is an increase too.
    pub(super) fn begin_counting(&self) {
        let context = self.settings.context;
        for it in [metric::DEAD_LETTERS, metric::FENCED] {
            metrics::counter!(it.name, "context" => context).increment(0);
        }
        metrics::counter!(metric::REBALANCES.name, "loop" => context).increment(0);
    }

    pub(super) fn begin(&self) -> Begun {
        Begun { at: self.clock.now(), elapsed: self.clock.elapsed() }
    }

    /// The batch is in the ledger.
    pub(super) fn measure(&self, work: &[Received], begun: Begun) {
        let context = self.settings.context;
        let took = self.clock.elapsed().saturating_sub(begun.elapsed);
        let ended = self.clock.now();
        let labels = [
            ("messaging.destination.name", self.settings.command_topic.to_string()),
            ("messaging.consumer.group.name", self.settings.group.clone()),
        ];
        metrics::histogram!(metric::PROCESS_DURATION.name, &labels).record(took.as_secs_f64());
        metrics::counter!(metric::CONSUMED.name, &labels).increment(work.len() as u64);
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let size = work.len() as f64;
        metrics::histogram!(metric::BATCH_SIZE.name, "loop" => context).record(size);
        let age = metrics::histogram!(metric::COMMAND_AGE.name, "context" => context);
        for it in work {
            age.record(seconds(ended - it.at));
        }
        self.trace(work, begun, ended);
    }

    fn trace(&self, work: &[Received], begun: Begun, ended: DateTime<Utc>) {
        let is_traced = |it: &&Received| trace::is_wanted(it.envelope.traceparent.as_deref());
        let topic = &self.settings.command_topic;
        let done = |it: &Received| {
            Some(Done {
                name: format!("process {topic}"),
                // The broker's clock may be another one.
                began: it.at.min(begun.at),
                ended,
                traceparent: it.envelope.traceparent.clone()?,
                attributes: attributes(it, topic),
            })
        };
        let done: Vec<Done> = work.iter().filter(is_traced).filter_map(done).collect();
        trace::record("decide and commit", "process", done);
    }
}

fn attributes(it: &Received, topic: &str) -> Vec<KeyValue> {
    let mut all = vec![
        KeyValue::new("messaging.destination.name", topic.to_owned()),
        KeyValue::new("messaging.destination.partition.id", it.part.to_string()),
        KeyValue::new("messaging.kafka.offset", it.offset),
    ];
    if let Some(id) = it.envelope.command_id {
        all.push(KeyValue::new("messaging.message.id", id.to_string()));
    }
    match &it.body {
        Body::Command { stream, .. } | Body::Question { stream, .. } => {
            all.push(KeyValue::new("flotilla.stream", stream.to_string()));
        }
        Body::Refused { code, .. } => all.push(KeyValue::new("flotilla.refused", *code)),
        Body::Republish { .. } => {}
    }
    all
}

/// Clocks of different machines may differ: nothing is younger than now.
fn seconds(age: TimeDelta) -> f64 {
    age.to_std().unwrap_or_default().as_secs_f64()
}
