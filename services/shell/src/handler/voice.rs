//! What the world is told of a batch once it is in the ledger: replies, events, and how far the group may go on.
//!
//! It needs no store, so that it is told while the store works on the next batch.
use super::{
    decider::Deciders,
    envelope::event_headers,
    operate::Answer,
    publish::{Mark, PUBLISH_PAUSE, Sent},
    receive::Receiver,
    shard::{Handler, Part, Settings},
};
use crate::{
    clock::Clock,
    codec::Codec,
    port::{
        log::{Deliveries, Log, Outgoing, Producer as _, Receipt, SendError},
        store::{EventRow, Store},
    },
};
use shared_events::{Message as _, fleet::Reply, frame, headers::ReplyHeaders};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What of a batch that is in the ledger was not told yet.
pub(crate) struct Untold {
    pub(crate) answers: Vec<Answer>,
    pub(crate) replies: Receipt,
    /// By partition, with the number of the event before them.
    pub(crate) events: BTreeMap<i32, (i64, Vec<EventRow>)>,
    pub(crate) marks: Vec<(i32, Mark)>,
}

impl Untold {
    /// Whether the events of this partition that follow on `cursor` are among what is to be told.
    pub(crate) fn follows(&self, part: i32, cursor: i64) -> bool {
        self.events.get(&part).is_some_and(|(before, _)| *before == cursor)
    }
}

/// Speaks to the log.
pub(crate) struct Voice<'a, L: Log> {
    settings: &'a Settings,
    producer: &'a L::Producer,
    codec: &'a Codec,
    deciders: &'a Deciders,
    clock: &'a Clock,
    parts: &'a mut BTreeMap<i32, Part>,
}

impl<L: Log, S: Store> Handler<L, S> {
    /// The parts of the loop that can work at the same time: one speaks, one writes, one reads ahead.
    pub(crate) fn split(&mut self) -> (Voice<'_, L>, &mut S::Ledger, &mut L::Consumer) {
        let Self { settings, producer, codec, deciders, clock, parts, ledger, consumer, .. } = self;
        (Voice { settings, producer, codec, deciders, clock, parts }, ledger, consumer)
    }

    /// Tells what was not told yet.
    pub(crate) async fn tell(&mut self) {
        let untold = self.untold.take();
        self.split().0.tell(untold).await;
    }
}

impl<L: Log> Voice<'_, L> {
    /// Understands what comes in.
    pub(crate) fn receiver(&self) -> Receiver<'_> {
        let Self { codec, deciders, clock, .. } = self;
        Receiver { codec, deciders, partitions: self.settings.partitions, now: clock.now() }
    }

    /// Replies, and publishes the events of those partitions whose events before are all handed over; the others'
    /// are part of the backlog (protocol.md W7).
    pub(crate) async fn tell(&mut self, untold: Option<Untold>) {
        let Some(Untold { answers, replies, events, marks }) = untold else { return };
        for (part, mark) in marks {
            if let Some(it) = self.parts.get_mut(&part) {
                it.marks.push_back(mark);
            }
        }
        self.reply(&answers, &replies).await;
        for (part, (before, events)) in events {
            if self.parts.get(&part).is_some_and(|it| it.cursor == before) {
                self.publish(part, &events).await;
            }
        }
    }

    /// Hands events over that follow directly on what was handed over before.
    pub(crate) async fn publish(&mut self, part: i32, events: &[EventRow]) {
        let (receipt, at) = (Deliveries::receipt(), self.clock.elapsed());
        let mut last = None;
        for event in events {
            match self.outgoing(event) {
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
            it.sent.push_back(Sent { pseq, receipt, at });
        }
    }

    /// The record that carries an event; its schema must be known to the registry already.
    pub(super) fn outgoing(&self, event: &EventRow) -> Result<Outgoing, String> {
        let topic = self.deciders.event_topic(&event.record);
        let id = self.codec.known_id(topic, event.schema);
        let id =
            id.ok_or_else(|| format!("the registry was not asked about {} yet", event.schema))?;
        let incarnation = self.parts.get(&event.part).map_or(0, |it| it.row.incarnation);
        let headers = event_headers(self.settings.context, incarnation, event)?;
        Ok(Outgoing {
            topic: Arc::clone(&self.settings.event_topic),
            part: event.part,
            key: event.stream.to_string().into_bytes(),
            headers: headers.write(),
            payload: frame::frame(id, &event.data),
        })
    }

    /// Sends replies: accelerators, never the truth (R1), so that one that cannot be sent is only missed.
    pub(crate) async fn reply(&self, answers: &[Answer], receipt: &Receipt) {
        if answers.is_empty() {
            return;
        }
        let topic = Reply::family().topic;
        for it in answers {
            let Answer { record, .. } = it;
            let id = self.codec.id(topic, record.name(), record.fingerprint(), record.json()).await;
            let Ok(id) = id else { continue };
            let headers = ReplyHeaders {
                command_id: it.command_id,
                request_hash: it.request_hash,
                instance: it.to.instance.clone(),
                fingerprint: record.fingerprint(),
                rests_on: it.rests_on,
                traceparent: it.traceparent.clone(),
            };
            let record = Outgoing {
                topic: Arc::clone(&self.settings.reply_topic),
                part: it.to.partition,
                key: it.command_id.to_string().into_bytes(),
                headers: headers.write(),
                payload: frame::frame(id, &it.datum),
            };
            self.send(record, receipt).await;
        }
    }

    pub(crate) async fn send(&self, mut record: Outgoing, receipt: &Receipt) {
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
}
