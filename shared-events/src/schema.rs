//! Schemas: those that this build writes, and those that something was written with.
use crate::{
    avro::Defined,
    clip,
    message::{DecodeError, decode},
    wire::Wire,
};
use apache_avro::{Schema, writer::datum::GenericDatumWriter};
use serde_avro_fast::schema::{RegularType, SchemaMut};
use std::{fmt, str::FromStr};

/// The namespace of every record is this, a dot, and its context.
pub const NAMESPACE: &str = "flotilla";

/// The longest schema that is read, in bytes: a registry may hold anything.
pub const SCHEMA_BYTES_MAX: usize = 256 * 1024;

/// Names a schema by its content: CRC-64-AVRO of the parsing canonical form. Docs, defaults and logical types do
/// not count, as they do not change what is written. Its text is the 8 bytes as Avro's single-object encoding has
/// them (little-endian), in 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// Not apache-avro's, whose canonical form keeps a trace of logical types: it differs from everybody else's.
    fn of(schema: &serde_avro_fast::Schema) -> Self {
        Self(u64::from_le_bytes(*schema.rabin_fingerprint()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{:016x}", self.0.swap_bytes())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 16
            && text.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it));
        let bits = if digits { u64::from_str_radix(text, 16).ok() } else { None };
        bits.map(|it| Self(it.swap_bytes())).ok_or_else(|| FingerprintError(clip(text, 40)))
    }
}

/// A text that is no [`Fingerprint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fingerprint of a schema: 16 lower-case hex digits are")]
pub struct FingerprintError(String);

/// A record as this build writes it.
pub struct RecordSchema {
    name: String,
    json: String,
    schema: &'static Schema,
    fingerprint: Fingerprint,
    pub(crate) writer: GenericDatumWriter<'static>,
}

impl RecordSchema {
    /// The schema of a Rust type; the macros keep one for each message.
    ///
    /// # Panics
    /// The type's own declaration makes no valid schema (say, two fields of a name): a mistake in the source, found
    /// by the test that compares every type with its committed schema.
    #[doc(hidden)]
    #[must_use]
    pub fn of<T: Wire>() -> Self {
        let shape = T::shape(&mut Defined::default());
        let mut json =
            serde_json::to_string_pretty(&shape).expect("a shape has only texts as keys");
        json.push('\n');
        let schema = Schema::parse_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
        // Once a record and process: the writer borrows its schema.
        let schema: &'static Schema = Box::leak(Box::new(schema));
        let writer = GenericDatumWriter::builder(schema).human_readable(false).build();
        let itself = WriterSchema::parse(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
        Self {
            name: itself.name,
            fingerprint: itself.fingerprint,
            writer: writer.unwrap_or_else(|error| panic!("{json}: {error}")),
            schema,
            json,
        }
    }

    /// The full name: `flotilla.customers.CustomerInvited`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As it is committed and registered, docs included.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// As apache-avro has it.
    #[must_use]
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Names the schema by its content.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl fmt::Debug for RecordSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "RecordSchema({} {})", self.name, self.fingerprint)
    }
}

/// A schema that something was written with.
pub struct WriterSchema {
    name: String,
    json: String,
    fingerprint: Fingerprint,
    pub(crate) fast: serde_avro_fast::Schema,
}

impl WriterSchema {
    /// Takes in a schema from a registry, a ledger, or a file.
    ///
    /// # Errors
    /// It is no Avro schema, is no record, or is longer than [`SCHEMA_BYTES_MAX`].
    pub fn parse(json: &str) -> Result<Self, SchemaError> {
        if json.len() > SCHEMA_BYTES_MAX {
            return Err(SchemaError::TooLong { bytes: json.len() });
        }
        let malformed = |error: serde_avro_fast::schema::SchemaError| SchemaError::Malformed {
            reason: clip(&error.to_string(), 300),
            schema: clip(json, 120),
        };
        let schema: SchemaMut = json.parse().map_err(malformed)?;
        let name = match &schema.root().type_ {
            RegularType::Record(record) => record.name.fully_qualified_name().to_owned(),
            _ => return Err(SchemaError::NoRecord { schema: clip(json, 120) }),
        };
        let fast = schema.freeze().map_err(malformed)?;
        Ok(Self { name, json: json.to_owned(), fingerprint: Fingerprint::of(&fast), fast })
    }

    /// The full name of the record: `flotilla.customers.CustomerInvited`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names the schema by its content.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// As it was given.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// What a datum of this schema says, as JSON: for people, and for tools that do not know the record.
    ///
    /// # Errors
    /// It is none.
    pub fn json_of(&self, datum: &[u8]) -> Result<serde_json::Value, DecodeError> {
        decode(self, datum)
    }

    /// Refuses a message whose headers speak of another record or schema than its frame does (protocol.md L4).
    ///
    /// # Errors
    /// They disagree.
    pub fn agrees_with(
        &self,
        record: &str,
        fingerprint: Fingerprint,
    ) -> Result<(), SchemaMismatch> {
        if self.name == record && self.fingerprint == fingerprint {
            return Ok(());
        }
        Err(SchemaMismatch {
            said: format!("{} {fingerprint}", clip(record, 120)),
            is: format!("{} {}", self.name, self.fingerprint),
        })
    }
}

impl fmt::Debug for WriterSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "WriterSchema({} {})", self.name, self.fingerprint)
    }
}

/// A text that is no schema of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Longer than anything the fleet writes.
    #[error("a schema of {bytes} bytes is refused; at most {SCHEMA_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not Avro.
    #[error("malformed schema: {reason}; it begins with {schema:?}")]
    Malformed {
        /// What the parser says.
        reason: String,
        /// Its beginning.
        schema: String,
    },
    /// Avro, but messages are records.
    #[error("a message's schema must be a record; this one begins with {schema:?}")]
    NoRecord {
        /// Its beginning.
        schema: String,
    },
}

/// A message whose frame and headers name different schemas.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the headers say {said}, but the frame's schema is {is}; the sender mixed up two messages")]
pub struct SchemaMismatch {
    said: String,
    is: String,
}
