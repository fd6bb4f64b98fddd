//! How a Rust type travels: its Avro type, and how it is written and read through serde.
//!
//! Not plain `Serialize`, because Avro's types are chosen here once for all messages: an id is a string with the
//! logical type `uuid` (never Rust's fixed(16), which no other language knows), an instant is a long of microseconds.
use crate::avro::{Defined, Shape};
use chrono::{DateTime, Utc};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde::ser::{Error as _, SerializeSeq as _, Serializer};
use serde::{Deserialize, Serialize};
use std::{fmt, marker::PhantomData};
use uuid::Uuid;

/// A type that may be a field of a message.
pub trait Wire: Sized {
    /// The Avro type.
    fn shape(defined: &mut Defined) -> Shape;

    /// Writes the value.
    ///
    /// # Errors
    /// The value may not travel, or the serializer fails.
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads a value.
    ///
    /// # Errors
    /// Another type was written, or the deserializer fails.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// What a reader takes where the writer did not have the field, if nothing else is said.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }
}

/// A [`Wire`] value as serde wants it for writing.
#[derive(Debug)]
pub struct Writing<'a, T>(pub &'a T);

impl<T: Wire> Serialize for Writing<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

/// A [`Wire`] value as serde wants it for reading.
#[derive(Debug)]
pub struct Reading<T>(pub T);

impl<'de, T: Wire> Deserialize<'de> for Reading<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Self)
    }
}

/// Types that serde and Avro agree on.
macro_rules! plain {
    ($($type:ty = $name:literal),+) => {$(
        impl Wire for $type {
            fn shape(_: &mut Defined) -> Shape {
                Shape::Name($name.to_owned())
            }
            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }
            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }
        }
    )+};
}

plain!(bool = "boolean", i32 = "int", i64 = "long");

impl Wire for String {
    fn shape(_: &mut Defined) -> Shape {
        Shape::Name("string".to_owned())
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.contains('\0') {
            Err(S::Error::custom(NUL))
        } else {
            serializer.serialize_str(self)
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Self::deserialize(deserializer)?;
        if text.contains('\0') { Err(D::Error::custom(NUL)) } else { Ok(text) }
    }
}

const NUL: &str = "a text holds U+0000, which the fleet's databases cannot keep; leave it out";

impl Wire for Uuid {
    fn shape(_: &mut Defined) -> Shape {
        Shape::Logical { r#type: "string", logical: "uuid" }
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Uuid;
            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an id of 36 characters")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Uuid, E> {
                Uuid::try_parse(text).map_err(|_| {
                    E::custom(format_args!("{:?} is no id of 36 characters", crate::clip(text, 60)))
                })
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl Wire for DateTime<Utc> {
    fn shape(_: &mut Defined) -> Shape {
        Shape::Logical { r#type: "long", logical: "timestamp-micros" }
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.timestamp_micros())
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let micros = i64::deserialize(deserializer)?;
        Self::from_timestamp_micros(micros).ok_or_else(|| {
            D::Error::custom(format_args!("{micros} microseconds is no instant of the calendar"))
        })
    }
}

impl<T: Wire> Wire for Option<T> {
    fn shape(defined: &mut Defined) -> Shape {
        Shape::Union(vec![Shape::Name("null".to_owned()), T::shape(defined)])
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            None => serializer.serialize_none(),
            Some(value) => serializer.serialize_some(&Writing(value)),
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Reading<T>>::deserialize(deserializer)?.map(|it| it.0))
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn shape(defined: &mut Defined) -> Shape {
        Shape::Array { r#type: "array", items: Box::new(T::shape(defined)) }
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut items = serializer.serialize_seq(Some(self.len()))?;
        for item in self {
            items.serialize_element(&Writing(item))?;
        }
        items.end()
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Wire> Visitor<'de> for Items<T> {
            type Value = Vec<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
                // Grows with what is really there: the announced length may be a lie.
                let mut read = Vec::new();
                while let Some(Reading(item)) = items.next_element()? {
                    read.push(item);
                }
                Ok(read)
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// A type with named fields, as the macros write it.
#[doc(hidden)]
pub trait Fields: Sized {
    /// The record's name without its namespace.
    const NAME: &'static str;
    /// The names of the fields.
    const FIELDS: &'static [&'static str];

    /// Reads the fields; unknown ones are skipped, absent ones take their default.
    ///
    /// # Errors
    /// A field without default is absent, or the deserializer fails.
    fn collect<'de, A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error>;
}

/// Reads a record.
///
/// # Errors
/// See [`Fields::collect`].
#[doc(hidden)]
pub fn read_fields<'de, T: Fields, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Record<T>(PhantomData<T>);
    impl<'de, T: Fields> Visitor<'de> for Record<T> {
        type Value = T;
        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            write!(formatter, "the record {}", T::NAME)
        }
        fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
            T::collect(fields)
        }
    }
    deserializer.deserialize_struct(T::NAME, T::FIELDS, Record(PhantomData))
}

/// The value of the next field, or nothing of a field that this build does not have.
///
/// # Errors
/// The deserializer fails.
#[doc(hidden)]
pub fn skip<'de, A: MapAccess<'de>>(fields: &mut A) -> Result<(), A::Error> {
    fields.next_value::<IgnoredAny>().map(|_| ())
}

/// Finds the name of a field, or of an enum's word, among those that are known, without copying it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct KnownName(pub &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for KnownName {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KnownName {
    type Value = Option<&'static str>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|it| **it == name).copied())
    }
}
