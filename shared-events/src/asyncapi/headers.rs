//! The headers, as JSON schema.
use crate::{Kind, headers::names};
use serde_json::{Value, json};

/// A header of the envelope: its name, whether a message without it is refused, its form, its meaning.
type Header = (&'static str, bool, fn() -> Value, &'static str);

const COMMON: &[Header] = &[
    (names::SPEC_VERSION, false, spec_version, "The version of CloudEvents."),
    (names::ID, true, id, "The message's id; a command's id again is the same command again."),
    (names::TYPE, true, text, "The record's full name."),
    (names::SOURCE, true, text, "Who sent the message."),
    (names::SCHEMA, true, fingerprint, FINGERPRINT),
    (names::CORRELATION, true, id, "The same for all that follows from one request."),
    (names::TRACEPARENT, false, traceparent, TRACE),
    (names::ACTOR, false, text, "On whose behalf the request was made."),
];

const COMMAND: &[Header] = &[
    (names::TIME, true, instant, "When the command was sent, by the sender's clock."),
    (names::CAUSATION, false, id, "The message that led to this one, if one did."),
    (
        names::EXPECTED_VERSION,
        false,
        number,
        "Refuse the command if the stream's version is another.",
    ),
    (
        names::REPLY_PARTITION,
        false,
        number,
        "The partition of `replies` that the sender listens to.",
    ),
    (names::REPLY_INSTANCE, false, text, "The process that waits; goes with `reply_partition`."),
];

const EVENT: &[Header] = &[
    (
        names::TIME,
        true,
        instant,
        "When the event was decided, by the log's clock; never goes back within a stream.",
    ),
    (names::SUBJECT, true, id, "The stream."),
    (names::CAUSATION, true, id, "The command that made the event happen."),
    (
        names::PSEQ,
        true,
        number,
        "The event's number within its partition, from 1 without gaps; not above the highest one seen: a duplicate.",
    ),
    (names::VERSION, true, number, "The event's number within its stream, from 1 without gaps."),
    (
        names::INCARNATION,
        true,
        number,
        "The life of the context's history that `pseq` counts in; another one: begin again.",
    ),
];

const REPLY: &[Header] = &[
    (names::COMMAND_ID, true, id, "The command, or the question, that is answered."),
    (names::REQUEST_HASH, true, hash, "The hash of what was asked under that id."),
    (names::REPLY_INSTANCE, true, text, "The process that waits; others pass over the reply."),
    (names::SCHEMA, true, fingerprint, FINGERPRINT),
    (
        names::PSEQ,
        false,
        number,
        "Of an answer to a question: the events of its partition that it rests on.",
    ),
    (names::INCARNATION, false, number, "The life of the context's history that `pseq` counts in."),
    (names::TRACEPARENT, false, traceparent, TRACE),
];

const FINGERPRINT: &str =
    "The fingerprint of the schema: CRC-64-AVRO, as in Avro's single-object encoding.";
const TRACE: &str = "The trace, as W3C's Trace Context has it.";

/// The name of an envelope in the document.
pub(super) fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Command | Kind::Control | Kind::Question => "commandHeaders",
        Kind::Event => "eventHeaders",
        Kind::Reply | Kind::Answer => "replyHeaders",
    }
}

/// The header that ties a message to its request.
pub(super) fn correlation(kind: Kind) -> String {
    let is_reply = matches!(kind, Kind::Reply | Kind::Answer);
    let name = if is_reply { names::COMMAND_ID } else { names::CORRELATION };
    format!("$message.header#/{name}")
}

/// An envelope as JSON schema.
pub(super) fn schema(kind: Kind) -> Value {
    let headers: Vec<&Header> = match kind {
        Kind::Command | Kind::Control | Kind::Question => COMMON.iter().chain(COMMAND).collect(),
        Kind::Event => COMMON.iter().chain(EVENT).collect(),
        Kind::Reply | Kind::Answer => REPLY.iter().collect(),
    };
    let required: Vec<_> = headers.iter().filter(|it| it.1).map(|it| it.0).collect();
    let properties = headers.iter().map(|(name, _, form, meaning)| {
        let mut property = form();
        property["description"] = json!(meaning);
        ((*name).to_owned(), property)
    });
    json!({
        "type": "object",
        "description": "Every value is UTF-8 text.",
        "required": required,
        "properties": super::object(properties),
    })
}

fn spec_version() -> Value {
    json!({ "type": "string", "const": "1.0" })
}

fn id() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

fn text() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": crate::headers::HEADER_BYTES_MAX })
}

fn instant() -> Value {
    json!({ "type": "string", "format": "date-time", "examples": ["2027-01-31T12:00:00.000000Z"] })
}

fn number() -> Value {
    json!({ "type": "string", "pattern": "^(0|-?[1-9][0-9]*)$" })
}

fn hash() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" })
}

fn fingerprint() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{16}$" })
}

fn traceparent() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}" })
}
