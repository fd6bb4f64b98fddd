//! What every message can do.
use crate::{
    JsonError, RecordSchema, WriterSchema, clip,
    wire::{Reading, Wire, Writing},
};
use apache_avro::error::Details;
use serde::de::DeserializeOwned;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState, read::SliceRead};
use std::{fmt::Debug, io::BufRead as _};
use uuid::Uuid;

/// A message of the fleet: a family's enum, or a family of one record.
/// [`messages!`](crate::messages!) and [`message!`](crate::message!) write it.
pub trait Message: Clone + Debug + PartialEq + Send + Sync + Sized + 'static {
    /// What this family of messages is.
    fn family() -> &'static Family;

    /// The stream that the message belongs to: its key on the topic. Nil for [`Kind::Control`], which is addressed
    /// to a partition.
    fn stream(&self) -> Uuid;

    /// The record that this message is written as.
    fn record(&self) -> &'static RecordSchema;

    /// Appends the Avro datum, without a frame.
    ///
    /// # Errors
    /// A value may not travel (a text with U+0000); nothing is appended then.
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// The fields of the record, for people: as Avro's JSON has them, but for unions, which are the bare value. An
    /// instant is its microseconds since 1970.
    fn json(&self) -> serde_json::Value;

    /// Reads a datum written with `writer`. Records that are no longer written become today's messages here, and
    /// nowhere else.
    ///
    /// # Errors
    /// The bytes are not a datum of that schema, all of it and nothing more.
    fn decode(writer: &WriterSchema, datum: &[u8]) -> Result<Decoded<Self>, DecodeError>;

    /// A message from the full name of a record that is written today, and its fields.
    ///
    /// # Errors
    /// There is no such record, or a field is missing, unknown or of another type.
    fn from_json(record: &str, json: &serde_json::Value) -> Result<Self, JsonError>;
}

/// What a datum turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded<M> {
    /// One message; of a retired record perhaps several, or none.
    Messages(Vec<M>),
    /// A record that this build does not know (yet).
    FromTheFuture,
}

/// What a family of messages is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Asks for something.
    Command,
    /// Says what happened.
    Event,
    /// Answers a command.
    Reply,
    /// Asks something of a handler itself, on a command topic, beside the commands.
    Control,
    /// Asks what is so, on a command topic among the commands, and changes nothing.
    Question,
    /// Answers a question, beside the replies.
    Answer,
}

/// The messages of one topic that belong together.
#[derive(Debug)]
pub struct Family {
    /// The bounded context that owns it.
    pub context: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// The topic that carries it, without the installation's prefix; `*.commands` is every command topic.
    pub topic: &'static str,
    /// What it means, in a sentence or two.
    pub doc: &'static str,
    #[doc(hidden)]
    pub written: &'static [fn() -> &'static RecordSchema],
    #[doc(hidden)]
    pub read: &'static [fn() -> &'static RecordSchema],
}

impl Family {
    /// The records that are written today.
    pub fn records(&self) -> impl Iterator<Item = &'static RecordSchema> + use<> {
        self.written.iter().map(|record| record())
    }

    /// Whether a record of this full name is one of the family's, written or still read.
    #[must_use]
    pub fn knows(&self, record: &str) -> bool {
        self.records().chain(self.retired()).any(|it| it.name() == record)
    }

    /// A record of this name is not written.
    #[doc(hidden)]
    #[must_use]
    pub fn unknown(&self, record: &str) -> JsonError {
        let known: Vec<&str> = self.records().map(RecordSchema::name).collect();
        JsonError::UnknownRecord { record: clip(record, 120), known: known.join(", ") }
    }

    /// The records that are still read, but no longer written.
    pub fn retired(&self) -> impl Iterator<Item = &'static RecordSchema> + use<> {
        self.read.iter().map(|record| record())
    }
}

/// A message that may not travel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{record} cannot be written: {reason}")]
pub struct EncodeError {
    /// The record's full name.
    pub record: String,
    /// What is wrong with which value.
    pub reason: String,
}

/// Bytes that are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Cut short, or something else altogether.
    #[error("{bytes} bytes are no {record}: {reason}")]
    Malformed {
        /// The full name of the record that they should be.
        record: String,
        /// How many there are.
        bytes: usize,
        /// Where reading ended.
        reason: String,
    },
    /// More than one message: written with another schema, most likely.
    #[error(
        "{bytes} bytes after the end of {record}; it was written with another schema than it names"
    )]
    Trailing {
        /// The full name of the record that they follow.
        record: String,
        /// How many there are.
        bytes: usize,
    },
}

/// More items than any message has: with items that take no bytes, a few bytes could announce any number.
const ITEMS_MAX: usize = 1_000_000;

#[doc(hidden)]
/// Appends one record.
///
/// # Errors
/// See [`Message::encode`].
pub fn encode_record<T: Wire>(
    schema: &RecordSchema,
    value: &T,
    into: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let before = into.len();
    schema.writer.write_ser(into, &Writing(value)).map(|_| ()).map_err(|error| {
        into.truncate(before);
        EncodeError { record: schema.name().to_owned(), reason: reason(&error) }
    })
}

#[doc(hidden)]
/// Reads one record.
///
/// # Errors
/// See [`Message::decode`].
pub fn decode_record<T: Wire>(writer: &WriterSchema, datum: &[u8]) -> Result<T, DecodeError> {
    let Reading(value) = decode(writer, datum)?;
    Ok(value)
}

/// Reads all of a datum as whatever can be made of it.
pub(crate) fn decode<T: DeserializeOwned>(
    writer: &WriterSchema,
    datum: &[u8],
) -> Result<T, DecodeError> {
    let mut config = DeserializerConfig::new(&writer.fast);
    config.max_seq_size = ITEMS_MAX;
    let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
    let value =
        T::deserialize(state.deserializer()).map_err(|error: serde_avro_fast::de::DeError| {
            DecodeError::Malformed {
                record: writer.name().to_owned(),
                bytes: datum.len(),
                reason: clip(&error.to_string(), 300),
            }
        })?;
    match state.into_reader().fill_buf() {
        Ok([]) => Ok(value),
        rest => Err(DecodeError::Trailing {
            record: writer.name().to_owned(),
            bytes: rest.map_or(0, <[u8]>::len),
        }),
    }
}

/// Which field, and why. apache-avro tells the whole schema before the cause, which comes last.
fn reason(error: &apache_avro::Error) -> String {
    let cause = |text: &str| clip(text.rsplit(": ").next().unwrap_or_default(), 300);
    match error.details() {
        Details::SerializeRecordFieldWithSchema { field_name, error, .. } => {
            format!("field {field_name}: {}", cause(error))
        }
        other => cause(&other.to_string()),
    }
}
