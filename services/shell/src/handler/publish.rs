//! From the ledger to the log: a cursor over the events of each partition (protocol.md W7).
use super::{
    operate::{Answer, Meta},
    shard::{Handler, Part, Trouble},
};
use crate::{
    defect::{self, Defect},
    port::{
        log::{Consumer as _, Deliveries, Log, Outgoing, Producer as _, Receipt, SendError},
        store::{EventRow, Ledger as _, Store},
    },
};
use shared_events::{
    Fingerprint, Message as _, frame,
    headers::{EventHeaders, ReplyHeaders},
    known_schema,
};
use std::{sync::Arc, time::Duration};

/// Events handed to the producer.
pub(crate) struct Sent {
    /// The last of them.
    pub(crate) pseq: i64,
    pub(crate) receipt: Receipt,
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
            self.publish(part, &events).await?;
        }
        Ok(())
    }

    /// Hands events over that follow directly on what was handed over before.
    pub(crate) async fn publish(&mut self, part: i32, events: &[EventRow]) -> Result<(), Trouble> {
        let receipt = Deliveries::receipt();
        let mut last = None;
        for event in events {
            match self.outgoing(event).await {
                Ok(record) => self.send(record, &receipt).await,
                Err(why) => {
                    // The cursor stays before this event; the backlog tries again.
                    tracing::warn!(context = self.settings.context, part, pseq = event.pseq, %why, "cannot publish yet");
                    let again = self.clock.elapsed() + PUBLISH_PAUSE;
                    if let Some(it) = self.parts.get_mut(&part) {
                        it.publish_after = again;
                    }
                    break;
                }
            }
            last = Some(event.pseq);
        }
        if let (Some(pseq), Some(it)) = (last, self.parts.get_mut(&part)) {
            it.cursor = pseq;
            it.sent.push_back(Sent { pseq, receipt });
        }
        Ok(())
    }

    pub(super) async fn outgoing(&mut self, event: &EventRow) -> Result<Outgoing, String> {
        let topic = self.logical_topic(&event.record);
        let id = if let Some(id) = self.codec.known_id(topic, event.schema) {
            id
        } else {
            let json = self.schema_json(event.schema).await?;
            let id = self.codec.id(topic, &event.record, event.schema, &json).await;
            id.map_err(|error| error.to_string())?
        };
        let incarnation = self.parts.get(&event.part).map_or(0, |it| it.row.incarnation);
        let meta: Meta = serde_json::from_str(&event.meta)
            .map_err(|error| format!("the meta of event {} is damaged: {error}", event.pseq))?;
        let headers = EventHeaders {
            id: meta.id,
            record: event.record.clone(),
            source: format!("flotilla/{}", self.settings.context),
            time: event.at,
            fingerprint: event.schema,
            correlation: meta.correlation,
            causation: meta.causation,
            traceparent: meta.traceparent,
            actor: meta.actor,
            stream: event.stream,
            pseq: event.pseq,
            version: event.version,
            incarnation,
        };
        Ok(Outgoing {
            topic: Arc::clone(&self.settings.event_topic),
            part: event.part,
            key: event.stream.to_string().into_bytes(),
            headers: headers.write(),
            payload: frame::frame(id, &event.data),
        })
    }

    /// The topic as the schema registry's subjects name it: without the namespace.
    fn logical_topic(&self, record: &str) -> &'static str {
        let decider = self.deciders.for_event(record).unwrap_or_default();
        self.deciders.at(decider).events().topic
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

    /// Sends replies: accelerators, never the truth (R1), so that one that cannot be sent is only missed.
    pub(crate) async fn reply(&self, answers: &[Answer], receipt: &Receipt) {
        for it in answers {
            let record = it.reply.record();
            let id = self.codec.id("replies", record.name(), record.fingerprint(), record.json());
            let Ok(id) = id.await else { continue };
            let mut datum = Vec::with_capacity(96);
            if it.reply.encode(&mut datum).is_err() {
                continue;
            }
            let headers = ReplyHeaders {
                command_id: it.command_id,
                request_hash: it.request_hash,
                instance: it.to.instance.clone(),
                fingerprint: record.fingerprint(),
                traceparent: it.traceparent.clone(),
            };
            let record = Outgoing {
                topic: Arc::clone(&self.settings.reply_topic),
                part: it.to.partition,
                key: it.command_id.to_string().into_bytes(),
                headers: headers.write(),
                payload: frame::frame(id, &datum),
            };
            self.send(record, receipt).await;
        }
    }

    pub(super) async fn send(&self, mut record: Outgoing, receipt: &Receipt) {
        receipt.sent();
        loop {
            match self.producer.send(record, receipt) {
                Ok(()) => return,
                Err(SendError::Full(back)) => {
                    record = *back;
                    self.clock.sleep(Duration::from_millis(1)).await;
                }
                Err(SendError::Refused(why)) => {
                    tracing::warn!(context = self.settings.context, %why, "a record was not taken");
                    receipt.done(None);
                    return;
                }
            }
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
                it.row.published = it.row.published.max(front.pseq);
                it.row.published_offset = it.row.published_offset.max(front.receipt.offset_max());
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
const PUBLISH_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);
