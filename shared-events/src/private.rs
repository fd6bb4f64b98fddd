//! What the macros' expansions call; no part of the interface.
pub use crate::json::from_json;
pub use crate::message::{decode_record, encode_record};
pub use serde::de::{Deserializer, MapAccess};
pub use serde::ser::{SerializeStruct, Serializer};
pub use serde_json::Value;

use crate::wire::{KnownName, Wire, Writing};
use serde::de::{EnumAccess, Error, VariantAccess as _, Visitor};
use std::fmt;

/// The default of a field as the schema has it.
#[must_use]
pub fn default_json<T: Wire>(default: Option<T>) -> Option<serde_json::Value> {
    default.map(|it| serde_json::to_value(Writing(&it)).unwrap_or_default())
}

/// The fields of a record.
#[must_use]
pub fn json<T: Wire>(record: &T) -> Value {
    // Only a text that may not travel cannot be written, and nothing was read from one.
    serde_json::to_value(Writing(record)).unwrap_or_default()
}

/// The default of a field that the writer did not have.
///
/// # Errors
/// It has none.
pub fn or_missing<T, E: Error>(default: Option<T>, field: &'static str) -> Result<T, E> {
    default.ok_or_else(|| E::missing_field(field))
}

/// One of `words`; an unknown one gives the empty word.
///
/// # Errors
/// There is no word.
pub fn read_word<'de, D: Deserializer<'de>>(
    words: &'static [&'static str],
    deserializer: D,
) -> Result<&'static str, D::Error> {
    struct Word(&'static [&'static str]);
    impl<'de> Visitor<'de> for Word {
        type Value = &'static str;
        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            write!(formatter, "one of {:?}", self.0)
        }
        fn visit_enum<A: EnumAccess<'de>>(self, word: A) -> Result<Self::Value, A::Error> {
            let (word, rest) = word.variant_seed(KnownName(self.0))?;
            rest.unit_variant()?;
            Ok(word.unwrap_or_default())
        }
    }
    deserializer.deserialize_enum("", words, Word(words))
}

/// A word that only newer writers have.
#[must_use]
pub fn unknown_word<E: Error>(word: &str) -> E {
    E::custom(format_args!("unknown word {word:?}"))
}
