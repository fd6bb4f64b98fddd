//! The pure heart of the write path: a batch of commands in, what to write down and to answer out.
//!
//! Everything it needs was looked up before; nothing it does can be seen until the batch is written down: its
//! changes of state are an overlay over the cache (protocol.md W2).
mod answer;

use super::{
    claims::Claims,
    decider::{Deciders, Made, Refused, defect, known},
    envelope::Meta,
    outcome::{outcome_datum, write_outcome},
    received::{Body, Envelope, Raw, Received, RequestHash, code},
    stream::Stream,
};
use crate::{
    defect::Defect,
    ids::event_id,
    panics,
    port::store::{Batch, DeadLetter, EventRow, LedgerMove, LedgerRow, OutcomeRow},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use shared_events::{
    RecordSchema,
    fleet::{PositionEntry, Reply, Verdict},
    headers::{ReplyTo, RestsOn},
};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use uuid::Uuid;

/// What does not change from command to command.
pub(crate) struct Rules<'a> {
    pub(crate) context: &'a str,
    pub(crate) deciders: &'a Deciders,
    /// The largest event that the log takes, in bytes.
    pub(crate) event_bytes_max: usize,
}

/// A batch that was decided.
#[derive(Default)]
pub(crate) struct Decided {
    pub(crate) batch: Batch,
    pub(crate) answers: Vec<Answer>,
    /// The streams that changed, as they will be once the batch is written down.
    pub(crate) streams: BTreeMap<Uuid, Stream>,
    /// Of the outcomes, those of commands that were rejected.
    pub(crate) rejected: usize,
    /// (partition, `pseq`) after which events are missed somewhere.
    pub(crate) republish: Vec<(i32, i64)>,
    /// Whether it rests on something that was neither looked up nor is compared: to be looked up, and decided again.
    pub(crate) is_guess: bool,
}

/// A reply to be sent once the batch is written down.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) to: ReplyTo,
    pub(crate) command_id: Uuid,
    pub(crate) request_hash: RequestHash,
    pub(crate) traceparent: Option<String>,
    /// What it is: a reply, or the answer to a question.
    pub(crate) record: &'static RecordSchema,
    /// The record's Avro datum.
    pub(crate) datum: Vec<u8>,
    /// What the answer to a question rests on.
    pub(crate) rests_on: Option<RestsOn>,
}

/// Decides commands one after another.
pub(crate) struct Operation<'a> {
    rules: &'a Rules<'a>,
    heads: BTreeMap<i32, Head>,
    /// The state of every stream that the batch is about: looked up, then changed by the batch.
    streams: BTreeMap<Uuid, Stream>,
    changed: Vec<Uuid>,
    claims: Claims,
    outcomes: BTreeMap<Uuid, Known>,
    decided: Decided,
}

struct Head {
    row: LedgerRow,
    to_offset: i64,
    pseq: i64,
    /// Whether a question was answered, which rests on the partition being ours (F1).
    asked: bool,
}

/// An outcome that is in the ledger, or will be with this batch.
struct Known {
    request_hash: Vec<u8>,
    /// `None`: this build cannot read it.
    reply: Option<Arc<Reply>>,
}

/// A decision about one command, before it has a place in the batch.
struct Decision {
    stream: Uuid,
    result: Result<Vec<Made>, Refused>,
    /// Whether the record is kept as a dead letter.
    dead: bool,
    version: i64,
    /// Where what it relied on stands.
    relied_on: Vec<(i32, i64)>,
}

impl<'a> Operation<'a> {
    pub(crate) fn new(
        rules: &'a Rules<'a>,
        rows: impl IntoIterator<Item = LedgerRow>,
        streams: BTreeMap<Uuid, Stream>,
        claims: Claims,
        outcomes: impl IntoIterator<Item = (OutcomeRow, Option<Reply>)>,
    ) -> Self {
        let head = |row: LedgerRow| {
            let (to_offset, pseq) = (row.next_offset, row.pseq);
            (row.part, Head { to_offset, pseq, asked: false, row })
        };
        let known = |(row, reply): (OutcomeRow, Option<Reply>)| {
            (row.command_id, Known { request_hash: row.request_hash, reply: reply.map(Arc::new) })
        };
        Self {
            rules,
            heads: rows.into_iter().map(head).collect(),
            streams,
            changed: Vec::new(),
            claims,
            outcomes: outcomes.into_iter().map(known).collect(),
            decided: Decided::default(),
        }
    }

    /// Decides the next command of its partition.
    pub(crate) fn operate(&mut self, received: &Received) {
        let Some(head) = self.heads.get_mut(&received.part) else { return };
        // A question that comes again stands before what was decided since.
        head.to_offset = head.to_offset.max(received.offset + 1);
        let hash = match &received.body {
            Body::Question { decider, question, stream, request_hash } => {
                if received.is_asked() {
                    self.answer_question(
                        received,
                        *decider,
                        question.as_ref(),
                        *stream,
                        *request_hash,
                    );
                }
                return;
            }
            Body::Republish { from_pseq } => {
                self.decided.republish.push((received.part, *from_pseq));
                return;
            }
            Body::Command { request_hash, .. } | Body::Refused { request_hash, .. } => {
                *request_hash
            }
        };
        if let Some(id) = received.envelope.command_id
            && let Some(known) = self.outcomes.get(&id)
        {
            let is_same = known.request_hash == hash;
            let reply = known.reply.as_ref();
            let reply =
                reply.map(|it| if is_same { Arc::clone(it) } else { Arc::new(reused(id, it)) });
            if let Some(Ok(body)) = reply.map(|it| write_outcome(&it)) {
                self.answer(&received.envelope, id, hash, outcome_datum(&body));
            }
            return;
        }
        let decision = self.decide(received);
        self.note(received, hash, decision);
    }

    fn decide(&mut self, received: &Received) -> Decision {
        match &received.body {
            Body::Refused { code, reason, stream, dead, .. } => Decision {
                stream: stream.unwrap_or_default(),
                result: Err(refused(code, reason.clone())),
                dead: *dead,
                version: 0,
                relied_on: Vec::new(),
            },
            Body::Republish { .. } | Body::Question { .. } => Decision {
                stream: Uuid::nil(),
                result: Ok(Vec::new()),
                dead: false,
                version: 0,
                relied_on: Vec::new(),
            },
            Body::Command { decider, command, stream: id, asks, expected_version, .. } => {
                let fresh = || Stream::fresh(*decider, received.part, self.rules.deciders);
                let stream = self.streams.entry(*id).or_insert_with(fresh);
                let at = received.at.max(stream.at);
                let mut next = stream.clone();
                let holders: Vec<_> = asks
                    .iter()
                    .filter_map(|it| Some((it.clone(), self.claims.holder(it)?)))
                    .collect();
                self.claims.rely_on(asks);
                let relied_on = holders.iter().map(|(_, it)| (it.part, it.pseq)).collect();
                let held = holders.into_iter().map(|(unique, holder)| (unique, holder.stream));
                let known = known(at, held);
                let mut dead = false;
                let result = match &next.trouble {
                    Some(trouble) => Err(refused(code::NEWER_HISTORY, trouble.clone())),
                    None if next.decider != *decider => Err(refused(
                        code::NEWER_HISTORY,
                        format!("stream {id} belongs to another decider of this context"),
                    )),
                    None if expected_version.is_some_and(|it| it != next.version) => {
                        Err(conflict(expected_version.unwrap_or_default(), next.version))
                    }
                    None => catch_unwind(AssertUnwindSafe(|| {
                        next.state.decide(command.as_ref(), &known)
                    }))
                    .unwrap_or_else(|panic| {
                        Err(defect(panics::told("the decision", panic.as_ref())))
                    }),
                };
                let result = result.and_then(|made| self.check(*id, asks, made));
                let version = match &result {
                    Ok(made) if made.is_empty() => next.version,
                    Ok(made) => {
                        next.version += i64::try_from(made.len()).unwrap_or(i64::MAX);
                        next.at = at;
                        let version = next.version;
                        self.changed.push(*id);
                        self.streams.insert(*id, next);
                        version
                    }
                    Err(refused) => {
                        dead = matches!(refused.code.as_str(), code::PANICKED | code::TOO_LARGE);
                        self.streams.get(id).map_or(0, |it| it.version)
                    }
                };
                Decision { stream: *id, result, dead, version, relied_on }
            }
        }
    }

    /// The rules that a decider cannot be trusted with.
    fn check(
        &self,
        stream: Uuid,
        asks: &[functions::Unique],
        made: Vec<Made>,
    ) -> Result<Vec<Made>, Refused> {
        for it in &made {
            if it.datum.len() > self.rules.event_bytes_max {
                return Err(refused(
                    code::TOO_LARGE,
                    format!(
                        "{} would take {} bytes, and at most {} fit in a record",
                        it.record.name(),
                        it.datum.len(),
                        self.rules.event_bytes_max
                    ),
                ));
            }
        }
        self.claims.check(stream, asks, made.iter().flat_map(|it| &it.claims)).map_err(defect)?;
        Ok(made)
    }

    /// Gives a decision its place in the batch.
    fn note(&mut self, received: &Received, request_hash: RequestHash, decision: Decision) {
        let Some(head) = self.heads.get_mut(&received.part) else { return };
        let envelope = &received.envelope;
        let (verdict, refused) = match decision.result {
            Ok(made) => {
                let at = self.streams.get(&decision.stream).map_or(received.at, |it| it.at);
                let first = decision.version - i64::try_from(made.len()).unwrap_or_default() + 1;
                for (index, (version, it)) in (first..).zip(made).enumerate() {
                    head.pseq += 1;
                    self.claims.apply(decision.stream, &it.claims, received.part, head.pseq);
                    let id = (received.part, head.pseq);
                    let row = event(envelope, id, decision.stream, version, index, it, at);
                    self.decided.batch.events.push(row);
                }
                (Verdict::Accepted, None)
            }
            Err(refused) => (Verdict::Rejected, Some(refused)),
        };
        if decision.dead {
            let why = refused.clone().unwrap_or_else(|| defect(String::new()));
            let letter = dead_letter(received, &received.raw, &why);
            self.decided.batch.dead_letters.push(letter);
        }
        let Some(command_id) = envelope.command_id else { return };
        let off = i64::from(crate::defect::is(Defect::PositionOffByOne));
        let own = [(received.part, head.pseq - off)];
        let (context, incarnation) = (self.rules.context, head.row.incarnation);
        let entry = |&(partition, pseq): &(i32, i64)| PositionEntry {
            context: context.to_owned(),
            incarnation,
            partition,
            pseq,
        };
        let details = refused.as_ref().filter(|it| !it.details.is_null());
        let reply = Reply {
            command_id,
            verdict,
            stream: decision.stream,
            version: decision.version,
            details: details.map(|it| it.details.to_string()),
            code: refused.as_ref().map(|it| it.code.clone()),
            message: refused.map(|it| it.message),
            position: own.iter().chain(&decision.relied_on).map(entry).collect(),
        };
        let is_forgotten =
            verdict == Verdict::Rejected && crate::defect::is(Defect::OutcomeNotStored);
        if let Ok(body) = write_outcome(&reply) {
            self.answer(envelope, command_id, request_hash, outcome_datum(&body));
            self.decided.rejected += usize::from(verdict == Verdict::Rejected && !is_forgotten);
            if !is_forgotten {
                self.decided.batch.outcomes.push(OutcomeRow {
                    command_id,
                    part: received.part,
                    request_hash: request_hash.to_vec(),
                    body,
                    at: received.at,
                });
            }
        }
        let known = Known { request_hash: request_hash.to_vec(), reply: Some(Arc::new(reply)) };
        self.outcomes.insert(command_id, known);
    }

    /// What to write down; `published` tells how far each partition's events are in the log.
    pub(crate) fn finish(mut self, published: impl Fn(i32) -> (i64, i64)) -> Decided {
        self.decided.batch.moves = self
            .heads
            .into_values()
            .filter(|it| it.asked || it.to_offset != it.row.next_offset)
            .map(|it| {
                let (published, published_offset) = published(it.row.part);
                LedgerMove {
                    part: it.row.part,
                    epoch: it.row.epoch,
                    from_offset: it.row.next_offset,
                    to_offset: it.to_offset,
                    pseq: it.pseq,
                    published,
                    published_offset,
                }
            })
            .collect();
        self.decided.batch.claims = self.claims.net();
        self.decided.is_guess = self.claims.is_guess();
        for id in self.changed {
            if let Some(stream) = self.streams.remove(&id) {
                self.decided.streams.insert(id, stream);
            }
        }
        self.decided
    }
}

fn event(
    envelope: &Envelope,
    (part, pseq): (i32, i64),
    stream: Uuid,
    version: i64,
    index: usize,
    made: Made,
    at: DateTime<Utc>,
) -> EventRow {
    let causation = envelope.command_id.unwrap_or_default();
    let meta = Meta {
        id: event_id(causation, index),
        correlation: envelope.correlation.unwrap_or(causation),
        causation,
        traceparent: envelope.traceparent.clone(),
        actor: envelope.actor.clone(),
    };
    EventRow {
        part,
        pseq,
        stream,
        version,
        record: made.record.name().to_owned(),
        schema: made.record.fingerprint(),
        data: made.datum,
        meta: serde_json::to_string(&meta).unwrap_or_default(),
        at,
    }
}

fn dead_letter(received: &Received, raw: &Raw, refused: &Refused) -> DeadLetter {
    DeadLetter {
        part: received.part,
        offset: received.offset,
        digest: raw.digest(),
        command_id: received.envelope.command_id,
        code: refused.code.clone(),
        reason: refused.message.clone(),
        key: raw.key.clone(),
        headers: crate::codec::headers_json(&raw.headers),
        payload: raw.payload.clone(),
        at: received.at,
    }
}

fn refused(code: &str, message: String) -> Refused {
    Refused { code: code.to_owned(), message, details: serde_json::Value::Null }
}

fn conflict(expected: i64, actual: i64) -> Refused {
    Refused {
        code: code::VERSION_CONFLICT.to_owned(),
        message: format!("the version is {actual}, not {expected}: read again, then decide again"),
        details: json!({ "expected": expected, "actual": actual }),
    }
}

/// The id is taken; what became of its first use stays as it is.
fn reused(command_id: Uuid, first: &Reply) -> Reply {
    Reply {
        command_id,
        verdict: Verdict::Rejected,
        code: Some(code::COMMAND_ID_REUSED.to_owned()),
        message: Some(format!(
            "command id {command_id} was used for another request: take a new one"
        )),
        details: None,
        ..first.clone()
    }
}
