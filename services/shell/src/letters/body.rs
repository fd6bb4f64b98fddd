//! What is in a dead letter, as people read it.
use super::Letter;
use crate::codec::{Codec, hex};
use serde_json::Value;
use shared_events::{WriterSchema, frame, headers::names, known_schema};
use std::sync::Arc;

/// The body of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// It can be read.
    Record {
        /// The record's full name.
        record: String,
        /// Its fields.
        json: Value,
    },
    /// It cannot.
    Bytes {
        /// Two digits a byte.
        hex: String,
        /// Why it cannot be read.
        why: String,
    },
}

impl Body {
    /// Reads a letter's body as far as it can be, by the schema that its frame names, or else by the one in its headers.
    pub(super) async fn of(letter: &Letter, codec: &Codec) -> Self {
        let payload = letter.payload.as_deref().unwrap_or_default();
        match schema_and_datum(letter, codec).await {
            Ok((schema, datum)) => match schema.json_of(datum) {
                Ok(json) => Self::Record { record: schema.name().to_owned(), json },
                Err(error) => Self::Bytes { hex: hex(payload), why: error.to_string() },
            },
            Err(why) => Self::Bytes { hex: hex(payload), why },
        }
    }
}

/// A schema, from the registry or from this build.
pub(super) enum Schema {
    Registered(Arc<WriterSchema>),
    Known(&'static WriterSchema),
}

impl std::ops::Deref for Schema {
    type Target = WriterSchema;

    fn deref(&self) -> &WriterSchema {
        match self {
            Self::Registered(it) => it,
            Self::Known(it) => it,
        }
    }
}

/// What a letter's body was written with, and the datum in it. The error says why that is not known.
pub(super) async fn schema_and_datum<'a>(
    letter: &'a Letter,
    codec: &Codec,
) -> Result<(Schema, &'a [u8]), String> {
    let payload = letter.payload.as_deref();
    match codec.open(payload, None).await {
        Ok((schema, datum)) => Ok((Schema::Registered(schema), datum)),
        Err(error) => {
            let claimed = header(letter, names::SCHEMA).and_then(|it| it.parse().ok());
            let schema = claimed.and_then(known_schema).map(Schema::Known);
            let datum = payload.and_then(|it| frame::unframe(it).ok()).map(|(_, datum)| datum);
            schema.zip(datum).ok_or_else(|| error.to_string())
        }
    }
}

/// A header of a letter.
pub(super) fn header(letter: &Letter, name: &str) -> Option<String> {
    let headers: Value = serde_json::from_str(&letter.headers).ok()?;
    Some(headers.get(name)?.as_str()?.to_owned())
}
