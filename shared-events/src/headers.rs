//! The envelope of a message: Kafka headers with the names of `CloudEvents`, all values UTF-8 text.
//!
//! Reading is strict, as two ways to write one thing end in two readings of it: ids and fingerprints in lower case,
//! numbers decimal without plus sign or leading zeros, instants in UTC. Headers that are not named here are other
//! people's and do not matter; of a name that comes twice, the first counts.
mod read;
mod value;

use crate::Fingerprint;
use chrono::{DateTime, Utc};
pub use read::{HEADER_BYTES_MAX, HeaderError};
use read::{Read, Write};
use uuid::Uuid;

/// Headers as Kafka has them.
pub type RawHeaders = Vec<(String, Vec<u8>)>;

/// The names of the headers.
pub mod names {
    /// The message's id.
    pub const ID: &str = "ce_id";
    /// The record's full name.
    pub const TYPE: &str = "ce_type";
    /// Who sent it.
    pub const SOURCE: &str = "ce_source";
    /// The version of `CloudEvents`: always `1.0`.
    pub const SPEC_VERSION: &str = "ce_specversion";
    /// When it was made.
    pub const TIME: &str = "ce_time";
    /// The stream.
    pub const SUBJECT: &str = "ce_subject";
    /// The fingerprint of the schema.
    pub const SCHEMA: &str = "schema";
    /// What it all began with.
    pub const CORRELATION: &str = "correlation";
    /// The message that led to this one.
    pub const CAUSATION: &str = "causation";
    /// The trace, as W3C has it.
    pub const TRACEPARENT: &str = "traceparent";
    /// On whose behalf.
    pub const ACTOR: &str = "actor";
    /// The version that the stream must have.
    pub const EXPECTED_VERSION: &str = "expected_version";
    /// The partition of the topic of replies that the sender listens to.
    pub const REPLY_PARTITION: &str = "reply_partition";
    /// The process that waits for the reply.
    pub const REPLY_INSTANCE: &str = "reply_instance";
    /// The number of the event within its partition.
    pub const PSEQ: &str = "pseq";
    /// The number of the event within its stream.
    pub const VERSION: &str = "version";
    /// The life of the context's history.
    pub const INCARNATION: &str = "incarnation";
    /// The command that a reply answers.
    pub const COMMAND_ID: &str = "command_id";
    /// The hash of what the answered command asked for.
    pub const REQUEST_HASH: &str = "request_hash";
}

/// The envelope of a command, a question or a control record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandHeaders {
    /// `ce_id`: the command's id; the same id again is the same command.
    pub id: Uuid,
    /// `ce_type`: the record's full name.
    pub record: String,
    /// `ce_source`: who sent it.
    pub source: String,
    /// `ce_time`: when it was sent, by the sender's clock.
    pub time: DateTime<Utc>,
    /// `schema`: what the datum was written with.
    pub fingerprint: Fingerprint,
    /// `correlation`: the same for all that follows from one request.
    pub correlation: Uuid,
    /// `causation`: the message that led to this one, if one did.
    pub causation: Option<Uuid>,
    /// `traceparent`: the trace; malformed ones are neither written nor read.
    pub traceparent: Option<String>,
    /// `actor`: on whose behalf.
    pub actor: Option<String>,
    /// `expected_version`: refuse the command if the stream's version is another.
    pub expected_version: Option<i64>,
    /// `reply_partition` and `reply_instance`: where the answer goes.
    pub reply_to: Option<ReplyTo>,
}

/// Where an answer goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReplyTo {
    /// The partition of the topic of replies that the sender listens to.
    pub partition: i32,
    /// The process that waits.
    pub instance: String,
}

/// The envelope of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHeaders {
    /// `ce_id`: the event's id.
    pub id: Uuid,
    /// `ce_type`: the record's full name.
    pub record: String,
    /// `ce_source`: who decided it.
    pub source: String,
    /// `ce_time`: when it was decided, by the log's clock; never goes back within a stream.
    pub time: DateTime<Utc>,
    /// `schema`: what the datum was written with.
    pub fingerprint: Fingerprint,
    /// `correlation`: the same for all that follows from one request.
    pub correlation: Uuid,
    /// `causation`: the command that made it happen.
    pub causation: Uuid,
    /// `traceparent`: the trace; malformed ones are neither written nor read.
    pub traceparent: Option<String>,
    /// `actor`: on whose behalf.
    pub actor: Option<String>,
    /// `ce_subject`: the stream.
    pub stream: Uuid,
    /// `pseq`: its number within its partition, from 1 without gaps: a smaller one again is a duplicate.
    pub pseq: i64,
    /// `version`: its number within its stream, from 1 without gaps.
    pub version: i64,
    /// `incarnation`: the life of the context's history that `pseq` counts in.
    pub incarnation: i64,
}

/// The envelope of a reply, or of the answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyHeaders {
    /// `command_id`: the command, or the question, that is answered.
    pub command_id: Uuid,
    /// `request_hash`: what was asked under that id; who asked for something else is told so by another reply.
    pub request_hash: [u8; 16],
    /// `reply_instance`: the process that waits for it; the others on the partition pass over it.
    pub instance: String,
    /// `schema`: what the datum was written with.
    pub fingerprint: Fingerprint,
    /// `pseq` and `incarnation`: the events that the answer to a question rests on. A reply says that itself.
    pub rests_on: Option<RestsOn>,
    /// `traceparent`: the trace; malformed ones are neither written nor read.
    pub traceparent: Option<String>,
}

/// How far the partition of a question was when it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestsOn {
    /// The number of its events.
    pub pseq: i64,
    /// The life of the context's history that it counts in.
    pub incarnation: i64,
}

impl CommandHeaders {
    /// As Kafka takes them.
    #[must_use]
    pub fn write(&self) -> RawHeaders {
        let mut write = Write::default();
        write
            .cloud_event(self.id, &self.record, &self.source, self.time)
            .value(names::SCHEMA, &self.fingerprint)
            .value(names::CORRELATION, &self.correlation)
            .value_if(names::CAUSATION, self.causation.as_ref())
            .traceparent(self.traceparent.as_ref())
            .value_if(names::ACTOR, self.actor.as_ref())
            .value_if(names::EXPECTED_VERSION, self.expected_version.as_ref())
            .value_if(names::REPLY_PARTITION, self.reply_to.as_ref().map(|it| &it.partition))
            .value_if(names::REPLY_INSTANCE, self.reply_to.as_ref().map(|it| &it.instance));
        write.done()
    }

    /// Reads the envelope of a command.
    ///
    /// # Errors
    /// A header is missing or malformed.
    pub fn read(headers: &RawHeaders) -> Result<Self, HeaderError> {
        let read = Read(headers);
        let partition = read.optional(names::REPLY_PARTITION)?;
        let instance = read.optional(names::REPLY_INSTANCE)?;
        let reply_to = match (partition, instance) {
            (Some(partition), Some(instance)) => Some(ReplyTo { partition, instance }),
            (None, None) => None,
            (Some(_), None) => return Err(HeaderError::Missing { header: names::REPLY_INSTANCE }),
            (None, Some(_)) => return Err(HeaderError::Missing { header: names::REPLY_PARTITION }),
        };
        read.spec_version()?;
        Ok(Self {
            id: read.required(names::ID)?,
            record: read.required(names::TYPE)?,
            source: read.required(names::SOURCE)?,
            time: read.required(names::TIME)?,
            fingerprint: read.required(names::SCHEMA)?,
            correlation: read.required(names::CORRELATION)?,
            causation: read.optional(names::CAUSATION)?,
            traceparent: read.traceparent(),
            actor: read.optional(names::ACTOR)?,
            expected_version: read.optional(names::EXPECTED_VERSION)?,
            reply_to,
        })
    }
}

impl EventHeaders {
    /// As Kafka takes them.
    #[must_use]
    pub fn write(&self) -> RawHeaders {
        let mut write = Write::default();
        write
            .cloud_event(self.id, &self.record, &self.source, self.time)
            .value(names::SUBJECT, &self.stream)
            .value(names::SCHEMA, &self.fingerprint)
            .value(names::CORRELATION, &self.correlation)
            .value(names::CAUSATION, &self.causation)
            .traceparent(self.traceparent.as_ref())
            .value_if(names::ACTOR, self.actor.as_ref())
            .value(names::PSEQ, &self.pseq)
            .value(names::VERSION, &self.version)
            .value(names::INCARNATION, &self.incarnation);
        write.done()
    }

    /// Reads the envelope of an event.
    ///
    /// # Errors
    /// A header is missing or malformed.
    pub fn read(headers: &RawHeaders) -> Result<Self, HeaderError> {
        let read = Read(headers);
        read.spec_version()?;
        Ok(Self {
            id: read.required(names::ID)?,
            record: read.required(names::TYPE)?,
            source: read.required(names::SOURCE)?,
            time: read.required(names::TIME)?,
            fingerprint: read.required(names::SCHEMA)?,
            correlation: read.required(names::CORRELATION)?,
            causation: read.required(names::CAUSATION)?,
            traceparent: read.traceparent(),
            actor: read.optional(names::ACTOR)?,
            stream: read.required(names::SUBJECT)?,
            pseq: read.required(names::PSEQ)?,
            version: read.required(names::VERSION)?,
            incarnation: read.required(names::INCARNATION)?,
        })
    }
}

impl ReplyHeaders {
    /// As Kafka takes them.
    #[must_use]
    pub fn write(&self) -> RawHeaders {
        let mut write = Write::default();
        write
            .value(names::COMMAND_ID, &self.command_id)
            .value(names::REQUEST_HASH, &self.request_hash)
            .value(names::REPLY_INSTANCE, &self.instance)
            .value(names::SCHEMA, &self.fingerprint)
            .value_if(names::PSEQ, self.rests_on.as_ref().map(|it| &it.pseq))
            .value_if(names::INCARNATION, self.rests_on.as_ref().map(|it| &it.incarnation))
            .traceparent(self.traceparent.as_ref());
        write.done()
    }

    /// Reads the envelope of a reply.
    ///
    /// # Errors
    /// A header is missing or malformed.
    pub fn read(headers: &RawHeaders) -> Result<Self, HeaderError> {
        let read = Read(headers);
        let rests_on = match (read.optional(names::PSEQ)?, read.optional(names::INCARNATION)?) {
            (Some(pseq), Some(incarnation)) => Some(RestsOn { pseq, incarnation }),
            (None, None) => None,
            (Some(_), None) => return Err(HeaderError::Missing { header: names::INCARNATION }),
            (None, Some(_)) => return Err(HeaderError::Missing { header: names::PSEQ }),
        };
        Ok(Self {
            command_id: read.required(names::COMMAND_ID)?,
            request_hash: read.required(names::REQUEST_HASH)?,
            instance: read.required(names::REPLY_INSTANCE)?,
            fingerprint: read.required(names::SCHEMA)?,
            rests_on,
            traceparent: read.traceparent(),
        })
    }
}
