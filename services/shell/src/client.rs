//! The fleet as those who send commands and read views see it.
mod command;
mod connect;
mod fact;
mod live;
mod past;
mod read;
mod replies;

pub use crate::reads::{Count, Counts, Exported, Query, ReadError, Rows};
pub use command::Client;
pub(crate) use command::{Inner, Settings};
pub use fact::{Fact, FactError};
pub(crate) use live::feeds;
pub use live::{Followed, Lost, Place, Update};
pub(crate) use replies::{follow_replies, look_up_late_replies};

use crate::position::Position;
use serde_json::Value;
use shared_events::fleet::{Reply, Verdict};
use std::time::Duration;
use uuid::Uuid;

/// What travels with a command.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The command's id and idempotency key: sent again, it has one effect and the same answer.
    pub command_id: Uuid,
    /// What all that follows from one request has in common.
    pub correlation: Uuid,
    /// The W3C trace context.
    pub traceparent: Option<String>,
    /// On whose behalf.
    pub actor: Option<String>,
    /// The version that the stream must have for the command to be decided.
    pub expected_version: Option<i64>,
    /// How long to wait for the answer.
    pub deadline: Duration,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Whether it was accepted.
    pub verdict: Verdict,
    /// The stream that it was about.
    pub stream: Uuid,
    /// The stream's version after it.
    pub version: i64,
    /// Why it was refused, if it was.
    pub rejection: Option<Rejected>,
    /// Where a view shows its effect.
    pub position: Position,
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// For programs: `EMAIL_TAKEN`.
    pub code: String,
    /// For whoever sent the command.
    pub message: String,
    /// The fields of the rejection.
    pub details: Value,
}

/// A command without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It was not sent and has no effect.
    #[error("the command could not be sent: {0}; try again")]
    Unavailable(String),
    /// It may yet be decided.
    #[error(
        "no answer yet to command {command_id}: ask for its status, or send it again with the same id"
    )]
    Pending {
        /// The command.
        command_id: Uuid,
    },
    /// Too many commands wait for their answers; this one was not sent.
    #[error("{in_flight} commands wait for their answers already: try again later")]
    Overloaded {
        /// How many wait.
        in_flight: usize,
    },
    /// It does not fit in a record; it was not sent.
    #[error("the command takes {bytes} bytes, and at most {limit} are allowed: make it smaller")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest that is sent.
        limit: usize,
    },
    /// A value that the message's schema cannot hold; it was not sent.
    #[error("the command cannot be written: {0}")]
    Invalid(String),
}

/// What is known of a command id.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandStatus {
    /// Sent from here, not decided yet.
    Pending,
    /// Decided: accepted or rejected.
    Decided(Answer),
    /// Never sent, not arrived, or forgotten (outcomes are kept 7 days).
    Unknown,
}

/// The servers that would know do not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; try again")]
pub struct Unavailable(pub String);

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        let details = |text: String| serde_json::from_str(&text).unwrap_or(Value::Null);
        let rejection = reply.code.map(|code| Rejected {
            code,
            message: reply.message.unwrap_or_default(),
            details: reply.details.map_or(Value::Null, details),
        });
        Self {
            verdict: reply.verdict,
            stream: reply.stream,
            version: reply.version,
            rejection,
            position: reply.position.into_iter().collect(),
        }
    }
}
