//! What an aggregator tells of a batch that is shown: metrics, and a span for each event that is traced.
use super::{shard::Aggregator, show::Next};
use crate::{
    port::{log::Log, store::Store},
    telemetry::{
        metric,
        trace::{self, Done},
    },
};
use functions::View;
use opentelemetry::KeyValue;
use std::time::Duration;

impl<V: View, L: Log, S: Store> Aggregator<V, L, S> {
    /// Counting begins at nothing: the first of a kind is an increase too.
    pub(super) fn begin_counting(&self) {
        let view = self.view.table;
        for it in [metric::PARKED_EVENTS, metric::FOREIGN_RECORDS, metric::EVENTS_FROM_THE_FUTURE] {
            metrics::counter!(it.name, "view" => view).increment(0);
        }
        metrics::counter!(metric::REBALANCES.name, "loop" => view).increment(0);
    }

    /// The batch, taken up at `begun`, is in the view.
    pub(super) fn measure(&self, events: &[Next<V>], begun: Duration) {
        let view = self.view.table;
        let (took, ended) = (self.clock.elapsed().saturating_sub(begun), self.clock.now());
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return };
        let labels = [
            ("messaging.destination.name", first.record.topic.to_string()),
            ("messaging.consumer.group.name", format!("{view}.{}", self.generation.generation)),
        ];
        metrics::histogram!(metric::PROCESS_DURATION.name, &labels).record(took.as_secs_f64());
        metrics::counter!(metric::CONSUMED.name, &labels).increment(events.len() as u64);
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let size = events.len() as f64;
        metrics::histogram!(metric::BATCH_SIZE.name, "loop" => view).record(size);
        // Of a generation that is being built, events are as old as they are.
        if !last.after.caught_up {
            return;
        }
        let age = metrics::histogram!(metric::EVENT_AGE.name, "view" => view);
        for it in events {
            age.record((ended - it.headers.time).to_std().unwrap_or_default().as_secs_f64());
        }
        let is_traced = |it: &&Next<V>| trace::is_wanted(it.headers.traceparent.as_deref());
        let done = |it: &Next<V>| {
            Some(Done {
                name: format!("process {} into {view}", it.record.topic),
                began: it.headers.time.min(ended),
                ended,
                traceparent: it.headers.traceparent.clone()?,
                attributes: vec![
                    KeyValue::new("messaging.destination.name", it.record.topic.to_string()),
                    KeyValue::new("messaging.destination.partition.id", it.record.part.to_string()),
                    KeyValue::new("messaging.kafka.offset", it.record.offset),
                    KeyValue::new("messaging.message.id", it.headers.id.to_string()),
                    KeyValue::new("flotilla.view", view),
                    KeyValue::new("flotilla.stream", it.headers.stream.to_string()),
                    KeyValue::new("flotilla.pseq", it.headers.pseq),
                ],
            })
        };
        let done: Vec<Done> = events.iter().filter(is_traced).filter_map(done).collect();
        trace::record("fold and commit", "process", done);
    }
}
