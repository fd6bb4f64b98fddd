//! From a record on the command topic to something that can be decided, or refused.
use super::{
    decider::Deciders,
    received::{Arrived, Body, Envelope, Raw, Received, RequestHash, code, request_hash},
};
use crate::{
    codec::{Codec, OpenError},
    partition::partition_of,
    port::log::Record,
};
use chrono::{DateTime, TimeDelta, Utc};
use shared_events::{
    Decoded, Message as _,
    fleet::RepublishEvents,
    headers::{CommandHeaders, RawHeaders},
};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};
use uuid::Uuid;

/// Commands older than this are refused: their outcome, kept 7 days, may soon be forgotten (protocol.md W5).
pub(crate) const EXPIRY: TimeDelta = TimeDelta::days(6);

/// A question older than this is passed over: nobody waits for so long, by whatever clock.
const QUESTION_EXPIRY: TimeDelta = TimeDelta::hours(1);

/// Why a record is refused.
struct Wrong {
    code: &'static str,
    reason: String,
    stream: Option<Uuid>,
}

pub(crate) struct Receiver<'a> {
    pub(crate) codec: &'a Codec,
    pub(crate) deciders: &'a Deciders,
    pub(crate) partitions: i32,
    pub(crate) now: DateTime<Utc>,
}

impl Receiver<'_> {
    /// Understands records, in order. After one of which nothing can be said yet, nothing is said of its partition.
    pub(crate) async fn receive_all(&self, records: Vec<Record>) -> Vec<Arrived> {
        let mut all = Vec::with_capacity(records.len());
        let mut held: BTreeMap<i32, String> = BTreeMap::new();
        for record in records {
            let (part, offset, at) = (record.part, record.offset, record.at);
            let received = match held.get(&part) {
                Some(why) => Err(why.clone()),
                None => self.receive(record).await,
            };
            if let Err(why) = &received {
                held.entry(part).or_insert_with(|| why.clone());
            }
            all.push(Arrived { part, offset, at, received });
        }
        all
    }

    /// Understands a record as far as it can be.
    ///
    /// # Errors
    /// Only if waiting may help: the schema registry is away.
    pub(crate) async fn receive(&self, record: Record) -> Result<Received, String> {
        let headers = CommandHeaders::read(&record.headers);
        let mut envelope = match &headers {
            Ok(it) => Envelope {
                command_id: Some(it.id),
                correlation: Some(it.correlation),
                traceparent: it.traceparent.clone(),
                actor: it.actor.clone(),
                reply_to: it.reply_to.clone(),
            },
            Err(_) => Envelope { command_id: readable_id(&record.headers), ..Envelope::default() },
        };
        let payload = record.payload.as_deref().unwrap_or_default();
        let request_hash = match &headers {
            // As its sender counts: the datum begins after the frame's five bytes.
            Ok(it) => {
                let datum = payload.get(5..).unwrap_or_default();
                request_hash(&it.record, datum, it.expected_version)
            }
            Err(_) => request_hash("", payload, None),
        };
        let body = match headers {
            Err(error) => {
                Err(Wrong { code: code::UNDECODABLE, reason: error.to_string(), stream: None })
            }
            Ok(headers) => self.body(&record, &headers, request_hash).await?,
        };
        if matches!(body, Ok(Body::Question { .. })) && self.now - record.at >= QUESTION_EXPIRY {
            envelope.reply_to = None;
        }
        let Record { part, offset, at, key, headers, payload, .. } = record;
        let raw = Raw { key, headers, payload };
        let body = body.unwrap_or_else(|wrong| Body::Refused {
            code: wrong.code,
            reason: wrong.reason,
            request_hash,
            stream: wrong.stream,
            // An expired command can be read: whoever sent it knows what it said.
            dead: wrong.code != code::COMMAND_EXPIRED,
        });
        Ok(Received { part, offset, at, envelope, body, raw })
    }

    async fn body(
        &self,
        record: &Record,
        headers: &CommandHeaders,
        request_hash: RequestHash,
    ) -> Result<Result<Body, Wrong>, String> {
        let opened = self.codec.open(record.payload.as_deref(), Some(headers.fingerprint)).await;
        let (schema, datum) = match opened {
            Ok(it) => it,
            Err(OpenError::Away(why)) => return Err(why),
            Err(OpenError::Unreadable(reason)) => {
                return Ok(Err(Wrong { code: code::UNDECODABLE, reason, stream: None }));
            }
        };
        Ok(self.understand(record, headers, &schema, datum, request_hash))
    }

    fn understand(
        &self,
        record: &Record,
        headers: &CommandHeaders,
        schema: &shared_events::WriterSchema,
        datum: &[u8],
        request_hash: RequestHash,
    ) -> Result<Body, Wrong> {
        let wrong = |code, reason| Wrong { code, reason, stream: None };
        if schema.name() != headers.record {
            let reason = format!(
                "the header says {}, the body is a {}: one of them is wrong",
                headers.record,
                schema.name()
            );
            return Err(wrong(code::UNDECODABLE, reason));
        }
        if RepublishEvents::family().knows(schema.name()) {
            return match RepublishEvents::decode(schema, datum) {
                Ok(Decoded::Messages(it)) if it.len() == 1 => {
                    Ok(Body::Republish { from_pseq: it[0].from_pseq })
                }
                Ok(_) => Err(wrong(code::UNDECODABLE, "an unknown control record".into())),
                Err(error) => Err(wrong(code::UNDECODABLE, error.to_string())),
            };
        }
        if let Some((fact, decider)) = self.deciders.for_question(schema.name()) {
            let question =
                fact.question(schema, datum).map_err(|reason| wrong(code::UNDECODABLE, reason))?;
            let stream = question.stream();
            self.check_place(record, stream)?;
            return Ok(Body::Question { decider, question, stream, request_hash });
        }
        let decider = self.deciders.for_command(schema.name()).ok_or_else(|| {
            let reason = format!("no decider of this context takes a {}", schema.name());
            wrong(code::UNKNOWN_COMMAND, reason)
        })?;
        let command = self
            .deciders
            .at(decider)
            .command(schema, datum)
            .map_err(|reason| wrong(code::UNDECODABLE, reason))?;
        let stream = command.stream();
        self.check_place(record, stream)?;
        let wrong = |code, reason| Wrong { code, reason, stream: Some(stream) };
        if self.now - record.at >= EXPIRY {
            let reason =
                format!("sent at {}, too long ago: send it again with a new id", record.at);
            return Err(wrong(code::COMMAND_EXPIRED, reason));
        }
        let asks = catch_unwind(AssertUnwindSafe(|| command.asks()))
            .map_err(|_| wrong(code::PANICKED, "asking for unique values panicked".into()))?;
        if asks.iter().any(|it| it.value.contains('\0')) {
            let reason = "a unique value has a character U+0000".to_owned();
            return Err(wrong(code::UNSTORABLE, reason));
        }
        let expected_version = headers.expected_version;
        Ok(Body::Command { decider, command, stream, asks, expected_version, request_hash })
    }
}

impl Receiver<'_> {
    /// Whether partition and key are those of the stream (protocol.md L1).
    fn check_place(&self, record: &Record, stream: Uuid) -> Result<(), Wrong> {
        let right = partition_of(stream, self.partitions);
        if record.key.as_deref() == Some(stream.to_string().as_bytes()) && record.part == right {
            return Ok(());
        }
        let key = record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let reason = format!(
            "stream {stream} belongs in partition {right} under its own id, not in {} under {key:?}",
            record.part
        );
        Err(Wrong { code: code::MISROUTED, reason, stream: Some(stream) })
    }
}

/// The command's id, where the rest of the envelope is rubbish.
fn readable_id(headers: &RawHeaders) -> Option<Uuid> {
    let (_, value) = headers.iter().find(|(name, _)| name == "ce_id")?;
    Uuid::try_parse_ascii(value).ok()
}
