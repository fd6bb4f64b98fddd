//! What came in on the command topic, understood as far as it can be.
use super::{decider::AnyCommand, fact::AnyQuestion};
use chrono::{DateTime, Utc};
use functions::Unique;
use sha2::{Digest, Sha256};
use shared_events::headers::ReplyTo;
use uuid::Uuid;

/// One record of the command topic as it was handed out.
pub(crate) struct Arrived {
    pub(crate) part: i32,
    pub(crate) offset: i64,
    pub(crate) at: DateTime<Utc>,
    /// Why it cannot be said yet what it is: waiting may help.
    pub(crate) received: Result<Received, String>,
}

/// One record of the command topic, understood.
pub(crate) struct Received {
    pub(crate) part: i32,
    pub(crate) offset: i64,
    /// When the log took it.
    pub(crate) at: DateTime<Utc>,
    pub(crate) envelope: Envelope,
    pub(crate) body: Body,
    /// The record itself, for the dead letters.
    pub(crate) raw: Raw,
}

impl Received {
    /// Whether it is a question that somebody waits for the answer to.
    pub(crate) fn is_asked(&self) -> bool {
        let Envelope { command_id, reply_to, .. } = &self.envelope;
        matches!(self.body, Body::Question { .. }) && command_id.is_some() && reply_to.is_some()
    }
}

/// What of a command's envelope goes on to its events and its reply.
#[derive(Clone, Debug, Default)]
pub(crate) struct Envelope {
    /// `None` if it cannot be read: nobody can be told what became of the command.
    pub(crate) command_id: Option<Uuid>,
    pub(crate) correlation: Option<Uuid>,
    pub(crate) traceparent: Option<String>,
    pub(crate) actor: Option<String>,
    pub(crate) reply_to: Option<ReplyTo>,
}

pub(crate) enum Body {
    Command {
        /// Which decider of the context it is for.
        decider: usize,
        command: Box<dyn AnyCommand>,
        stream: Uuid,
        asks: Vec<Unique>,
        expected_version: Option<i64>,
        request_hash: RequestHash,
    },
    /// Refused before any decider sees it.
    Refused {
        code: &'static str,
        reason: String,
        request_hash: RequestHash,
        stream: Option<Uuid>,
        dead: bool,
    },
    /// Changes nothing, and is answered from the stream as it is then (protocol.md F1).
    Question {
        /// Which decider of the context answers.
        decider: usize,
        question: Box<dyn AnyQuestion>,
        stream: Uuid,
        request_hash: RequestHash,
    },
    /// An aggregator misses events after this `pseq` (protocol.md V4).
    Republish { from_pseq: i64 },
}

/// The record as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Raw {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: shared_events::headers::RawHeaders,
    pub(crate) payload: Option<Vec<u8>>,
}

impl Raw {
    pub(crate) fn digest(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(self.key.as_deref().unwrap_or_default());
        hash.update([0]);
        hash.update(self.payload.as_deref().unwrap_or_default());
        hash.finalize()[..16].to_vec()
    }
}

/// What was asked: the same command id with another hash is refused (protocol.md W6).
pub(crate) type RequestHash = [u8; 16];

/// The hash of a command's input: its record name, what it says, and the version it expects.
#[must_use]
pub(crate) fn request_hash(
    record: &str,
    datum: &[u8],
    expected_version: Option<i64>,
) -> RequestHash {
    let mut hash = Sha256::new();
    hash.update(record.as_bytes());
    hash.update([0]);
    hash.update(expected_version.unwrap_or(-1).to_be_bytes());
    hash.update(datum);
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

/// The codes by which the shell itself refuses a command; a context's own codes are its `Rejection`s'.
pub mod code {
    /// The bytes are no command.
    pub const UNDECODABLE: &str = "UNDECODABLE";
    /// No decider of this context takes commands of this name.
    pub const UNKNOWN_COMMAND: &str = "UNKNOWN_COMMAND";
    /// Partition, key and body disagree about the stream (protocol.md L1).
    pub const MISROUTED: &str = "MISROUTED";
    /// The same command id was used for another request (W6).
    pub const COMMAND_ID_REUSED: &str = "COMMAND_ID_REUSED";
    /// Too old to be sure that it was not decided before (W5).
    pub const COMMAND_EXPIRED: &str = "COMMAND_EXPIRED";
    /// The stream has another version than expected.
    pub const VERSION_CONFLICT: &str = "VERSION_CONFLICT";
    /// The stream's history has an event from the future (W11).
    pub const NEWER_HISTORY: &str = "NEWER_HISTORY";
    /// What it makes happen does not fit in a record (W9).
    pub const TOO_LARGE: &str = "TOO_LARGE";
    /// The decider panicked, or broke a rule of deciders.
    pub const PANICKED: &str = "PANICKED";
    /// The store cannot hold one of its values (W9).
    pub const UNSTORABLE: &str = "UNSTORABLE";
}
