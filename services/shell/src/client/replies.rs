//! Replies: read from the partition that this process was given, and looked up where they do not come
//! (protocol.md R1).
use super::command::{Client, reply_for};
use crate::{handler::received::RequestHash, port::log::Record};
use shared_events::{Decoded, Message as _, fleet::Reply, headers::ReplyHeaders};
use std::{collections::BTreeMap, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A reply that has not come after this is looked up.
const PATIENCE: Duration = Duration::from_millis(300);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Hands replies to those who wait, until the sender of records is gone.
pub(crate) async fn follow_replies(
    client: Client,
    mut records: tokio::sync::mpsc::Receiver<Record>,
) {
    while let Some(record) = records.recv().await {
        client.take_reply(&record).await;
    }
}

/// Looks up, again and again, what became of commands whose replies are late.
pub(crate) async fn look_up_late_replies(client: Client, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        client.0.clock.sleep(LOOK_AGAIN).await;
        client.look_up_late().await;
    }
}

impl Client {
    /// A record of the replies: for us, for somebody else, or rubbish.
    async fn take_reply(&self, record: &Record) {
        let Ok(headers) = ReplyHeaders::read(&record.headers) else { return };
        if headers.instance != self.0.settings.instance.to_string() {
            return;
        }
        let payload = record.payload.as_deref();
        let opened = self.0.codec.open(payload, Some(headers.fingerprint)).await;
        let Ok((schema, datum)) = opened else { return };
        match Reply::decode(&schema, datum) {
            Ok(Decoded::Messages(replies)) => {
                for reply in replies {
                    self.0.answer(headers.command_id, headers.request_hash, &reply);
                    self.0.asking.replied(&headers, reply);
                }
            }
            Ok(Decoded::FromTheFuture) => self.0.asking.answered(&headers, &schema, datum),
            Err(_) => {}
        }
    }

    /// Asks the ledger about all commands whose replies are late, in one query a context.
    async fn look_up_late(&self) {
        let now = self.0.clock.elapsed();
        let mut late: BTreeMap<&'static str, Vec<(Uuid, RequestHash)>> = BTreeMap::new();
        for (key, it) in self.0.waiting().iter() {
            if now.saturating_sub(it.since) >= PATIENCE {
                late.entry(it.context).or_default().push(*key);
            }
        }
        for (context, keys) in late {
            let ids: Vec<Uuid> = keys.iter().map(|(id, _)| *id).collect();
            let Ok(rows) = self.0.reads.outcomes(context, &ids).await else { continue };
            for row in rows {
                for (id, hash) in keys.iter().filter(|(id, _)| *id == row.command_id) {
                    if let Ok(reply) = reply_for(&row, *hash) {
                        self.0.answer(*id, *hash, &reply);
                    }
                }
            }
        }
    }
}
