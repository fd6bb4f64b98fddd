//! Somebody who reads the events from the beginning, as a new view does, and asks for what the log has lost
//! (protocol.md V4).
//!
//! A topic that lost its end, and has grown beyond it before anybody looked, has a gap that its offsets do not show;
//! views that were past it do not miss it either. Whoever reads all of it does.
use super::{
    cluster::Cluster,
    disturbance::{COMMANDS, CONTEXT},
    plan::Kind,
};
use shared_events::{Message as _, fleet::RepublishEvents, frame, headers::CommandHeaders};
use shell::{codec::Codec, port::log::Outgoing};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

pub(super) struct Reader {
    codec: Codec,
    next: Duration,
}

impl Reader {
    pub(super) fn new(cluster: &Cluster) -> Self {
        let next = cluster.kernel.now() + PATIENCE;
        Self { codec: Codec::new(cluster.fleet.registry.clone()), next }
    }

    /// Asks the handler for an event that is not in the log, if the log has lost any.
    pub(super) async fn misses(&mut self, cluster: &Cluster, part: i32, pseq: i64) {
        let struck = cluster.gremlin.struck();
        let is_lost =
            [Kind::EventsTruncated, Kind::EventsRecreated].iter().any(|it| struck.contains_key(it));
        let now = cluster.kernel.now();
        if !is_lost || now < self.next {
            return;
        }
        self.next = now + PATIENCE;
        let message =
            RepublishEvents { context: CONTEXT.to_owned(), partition: part, from_pseq: pseq };
        let record = message.record();
        let id = self.codec.id(COMMANDS, record.name(), record.fingerprint(), record.json()).await;
        let mut datum = Vec::new();
        let (Ok(id), Ok(())) = (id, message.encode(&mut datum)) else { return };
        let command_id = Uuid::from_u128(now.as_nanos());
        let headers = CommandHeaders {
            id: command_id,
            record: record.name().to_owned(),
            source: "simulation".to_owned(),
            time: chrono::DateTime::UNIX_EPOCH,
            fingerprint: record.fingerprint(),
            correlation: command_id,
            causation: None,
            traceparent: None,
            actor: None,
            expected_version: None,
            reply_to: None,
        };
        cluster.fleet.log.append(Outgoing {
            topic: Arc::from(COMMANDS),
            part,
            key: command_id.to_string().into_bytes(),
            headers: headers.write(),
            payload: frame::frame(id, &datum),
        });
        cluster.gremlin.note(0, || format!("a reader asks for event {pseq} of partition {part}"));
    }
}

/// The fleet itself looks every 10 s.
const PATIENCE: Duration = Duration::from_secs(15);
