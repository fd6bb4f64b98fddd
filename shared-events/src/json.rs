//! Messages from JSON, as people edit them.
use crate::{
    __private::json as json_of,
    clip,
    wire::{Reading, Wire},
};
use serde_json::Value;

/// JSON that is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// No record of the family has this name.
    #[error("there is no {record} here; there are {known}")]
    UnknownRecord {
        /// The name that was given.
        record: String,
        /// The names of the family.
        known: String,
    },
    /// A field is absent or of another type.
    #[error("this JSON is no {record}: {reason}")]
    Malformed {
        /// The record's full name.
        record: String,
        /// What is wrong.
        reason: String,
    },
    /// A field that the record does not have; readers of Avro pass over such fields, editors of JSON mistype them.
    #[error("{record} has no field {field:?}")]
    UnknownField {
        /// The record's full name.
        record: String,
        /// Where it stands.
        field: String,
    },
}

/// A record from JSON, with the defaults of fields that are absent.
///
/// # Errors
/// A field is missing, unknown, or of another type.
#[doc(hidden)]
pub fn from_json<T: Wire>(record: &str, json: &Value) -> Result<T, JsonError> {
    let Reading(value): Reading<T> =
        serde::Deserialize::deserialize(json).map_err(|error: serde_json::Error| {
            JsonError::Malformed {
                record: record.to_owned(),
                reason: clip(&error.to_string(), 300),
            }
        })?;
    match unknown(json, &json_of(&value)) {
        None => Ok(value),
        Some(field) => Err(JsonError::UnknownField {
            record: record.to_owned(),
            field: clip(field.trim_start_matches('.'), 120),
        }),
    }
}

/// The path of a field that was given and is not among those that were read.
fn unknown(given: &Value, read: &Value) -> Option<String> {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => given.iter().find_map(|(name, value)| {
            let Some(known) = read.get(name) else { return Some(format!(".{name}")) };
            Some(format!(".{name}{}", unknown(value, known)?))
        }),
        (Value::Array(given), Value::Array(read)) => {
            given.iter().zip(read).find_map(|(given, read)| unknown(given, read))
        }
        _ => None,
    }
}
