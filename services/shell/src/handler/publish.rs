//! From the ledger to the log: a cursor over the events of each partition (protocol.md W7).
use super::shard::{Handler, Part, Trouble};
use crate::{
    defect::{self, Defect},
    port::{
        log::{Consumer as _, Log, Receipt},
        store::{EventRow, Ledger as _, Store},
    },
    telemetry::metric,
};
use shared_events::{Fingerprint, headers::EventHeaders, known_schema};
use std::time::Duration;

/// Events handed to the producer.
pub(crate) struct Sent {
    /// The last of them.
    pub(crate) pseq: i64,
    pub(crate) receipt: Receipt,
    /// When they were handed over.
    pub(crate) at: Duration,
}

/// Once the events up to `pseq` are published and the replies delivered, the group may know `next_offset`.
pub(crate) struct Mark {
    pub(crate) next_offset: i64,
    pub(crate) pseq: i64,
    pub(crate) replies: Receipt,
}

impl<L: Log, S: Store> Handler<L, S> {
    /// Hands over what a former owner, or a failed delivery, left unpublished: a chunk of each partition, so
    /// that deciding goes on meanwhile.
    pub(crate) async fn publish_backlog(&mut self) -> Result<(), Trouble> {
        let now = self.clock.elapsed();
        let behind: Vec<(i32, i64)> = self
            .parts
            .iter()
            .filter(|(_, it)| it.cursor < it.row.pseq && it.sent.len() < 4)
            .filter(|(_, it)| it.publish_after <= now)
            .filter(|(part, it)| {
                !self.untold.as_ref().is_some_and(|untold| untold.follows(**part, it.cursor))
            })
            .map(|(part, it)| (*part, it.cursor))
            .collect();
        for (part, cursor) in behind {
            let events = self.ledger.events_after(part, cursor, BACKLOG_CHUNK).await?;
            let expected = cursor + 1..;
            if let Some((event, pseq)) = events.iter().zip(expected).find(|(it, n)| it.pseq != *n) {
                let why = format!(
                    "event {} stands where {pseq} should: the ledger has a gap",
                    event.pseq
                );
                self.stuck(part, &why);
                continue;
            }
            let mut known = 0;
            for event in &events {
                if let Err(why) = self.register(event).await {
                    tracing::warn!(context = self.settings.context, part, pseq = event.pseq, %why, "cannot publish yet");
                    let again = self.clock.elapsed() + PUBLISH_PAUSE;
                    self.parts.entry(part).and_modify(|it| it.publish_after = again);
                    break;
                }
                known += 1;
            }
            self.split().0.publish(part, &events[..known]).await;
        }
        Ok(())
    }

    /// Asks the registry about a schema that events are to be published with, if it was not asked before.
    async fn register(&mut self, event: &EventRow) -> Result<(), String> {
        let topic = self.deciders.event_topic(&event.record);
        if self.codec.known_id(topic, event.schema).is_none() {
            let json = self.schema_json(event.schema).await?;
            let id = self.codec.id(topic, &event.record, event.schema, &json).await;
            id.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn schema_json(&mut self, fingerprint: Fingerprint) -> Result<String, String> {
        match known_schema(fingerprint) {
            Some(schema) => Ok(schema.json().to_owned()),
            None => match self.ledger.schema(fingerprint).await {
                Ok(Some(json)) => Ok(json),
                Ok(None) => Err(format!("the schema {fingerprint} is nowhere")),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    /// Takes note of what was delivered, oldest first: it moves `published`, and then the group's offsets.
    pub(crate) async fn settle(&mut self) -> Result<(), Trouble> {
        let mut failed = false;
        let mut lost = Vec::new();
        for (part, it) in &mut self.parts {
            while let Some(front) = it.sent.front()
                && front.receipt.is_done()
            {
                if front.receipt.has_failed() && !defect::is(Defect::FailedDeliveryIgnored) {
                    failed = true;
                    break;
                }
                let first = front.receipt.offset_min();
                if first <= it.row.published_offset && !defect::is(Defect::LostEventsNotNoticed) {
                    // What was delivered later stands earlier: in another topic of the same name.
                    lost.push((*part, first));
                    break;
                }
                // Of events that are published once more the ledger need not know.
                if front.pseq > it.row.published {
                    it.row.published = front.pseq;
                    it.row.published_offset = front.receipt.offset_max();
                }
                let took = self.clock.elapsed().saturating_sub(front.at);
                metrics::histogram!(metric::PUBLISH_DURATION.name, "context" => self.settings.context)
                    .record(took.as_secs_f64());
                it.sent.pop_front();
                self.unsaved = true;
            }
            while let Some(front) = it.marks.front()
                && it.row.published >= front.pseq
                && front.replies.is_done()
            {
                self.hints.insert(*part, front.next_offset);
                it.marks.pop_front();
            }
        }
        for (part, offset) in lost {
            self.publish_all_again(part, offset + 1).await;
        }
        if failed {
            tracing::warn!(
                context = self.settings.context,
                "a delivery failed: publishing again from what is certain"
            );
            self.producer = self.log.producer()?;
            let again = self.clock.elapsed() + PUBLISH_PAUSE;
            for it in self.parts.values_mut() {
                it.sent.clear();
                it.cursor = it.row.published;
                it.publish_after = again;
            }
        }
        Ok(())
    }

    /// Events that are missed somewhere are published again, in order and before anything newer (V4).
    pub(crate) fn publish_again(&mut self, part: i32, from_pseq: i64) {
        if let Some(it) = self.parts.get_mut(&part)
            && (1..=it.cursor).contains(&from_pseq)
        {
            tracing::info!(
                context = self.settings.context,
                part,
                from_pseq,
                "publishing again on request"
            );
            it.cursor = from_pseq - 1;
        }
    }

    /// Whether the log still has the events that it once took (W8).
    /// False if no broker answers.
    pub(crate) async fn check_events(&mut self, part: i32) -> bool {
        let Ok((_, high)) = self.consumer.ends(&self.settings.event_topic, part).await else {
            return false;
        };
        let is_lost = |it: &Part| it.row.published > 0 && high <= it.row.published_offset;
        if self.parts.get(&part).is_some_and(is_lost) && !defect::is(Defect::LostEventsNotNoticed) {
            self.publish_all_again(part, high).await;
        }
        true
    }

    /// Whether the last event that the log took still stands where it took it: a log that lost its end may have grown
    /// beyond that place again, and nobody misses events after which nothing comes (W8). Asked once for each place.
    pub(crate) async fn check_last_event(&mut self, part: i32) {
        let (topic, Some(it)) = (&self.settings.event_topic, self.parts.get_mut(&part)) else {
            return;
        };
        let (pseq, offset) = (it.row.published, it.row.published_offset);
        let Ok((low, high)) = self.consumer.ends(topic, part).await else { return };
        if pseq == 0 || offset < low || it.seen == Some((offset, high)) {
            return;
        }
        let Ok(record) = self.consumer.record_at(topic, part, offset).await else { return };
        let headers = record.map(|it| EventHeaders::read(&it.headers));
        if headers.is_some_and(|it| it.is_ok_and(|it| it.pseq == pseq))
            || defect::is(Defect::LostEventsNotNoticed)
        {
            it.seen = Some((offset, high));
        } else {
            self.publish_all_again(part, high).await;
        }
    }

    /// The event topic has lost its end, which is now at `end`: all of the partition again (W8). The ledger is told
    /// first, so that an owner to come does not take for published what this one did not come to.
    async fn publish_all_again(&mut self, part: i32, end: i64) {
        let Some(row) = self.parts.get(&part).map(|it| &it.row) else { return };
        tracing::warn!(
            context = self.settings.context,
            part,
            end,
            published_offset = row.published_offset,
            "the event topic has lost its end: publishing all of the partition again"
        );
        let marks = [(part, row.epoch, 0, -1)];
        if let Err(error) = self.ledger.published(&marks).await {
            // Found again at the next delivery or check.
            tracing::warn!(context = self.settings.context, part, %error, "not yet: the store is away");
            return;
        }
        if let Some(it) = self.parts.get_mut(&part) {
            it.row.published = 0;
            it.row.published_offset = -1;
            it.cursor = 0;
            it.sent.clear();
        }
    }

    pub(crate) async fn save_published(&mut self) -> Result<(), Trouble> {
        let marks: Vec<_> = self
            .parts
            .iter()
            .map(|(part, it)| (*part, it.row.epoch, it.row.published, it.row.published_offset))
            .collect();
        self.ledger.published(&marks).await?;
        self.unsaved = false;
        Ok(())
    }
}

const BACKLOG_CHUNK: i64 = 1000;
/// Until publishing is tried again where it did not succeed.
pub(super) const PUBLISH_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);
