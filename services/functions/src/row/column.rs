//! The types a column can have, and their one JSON form.
use super::{ColumnKind, Texts};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use uuid::Uuid;

/// A type that a column can have. [`row!`](crate::row!) writes and reads every field by these functions, so the form
/// of a type is decided here and nowhere else.
pub trait ColumnType: Serialize + DeserializeOwned {
    /// What its column holds.
    const KIND: ColumnKind;
    /// Whether its column may be null.
    const NULLABLE: bool = false;
    /// The texts that its column can have, if they are few and known.
    const TEXTS: Option<&'static Texts> = None;

    /// Writes the JSON form.
    ///
    /// # Errors
    /// Whatever the serializer refuses.
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.serialize(to)
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// What is read is no such value.
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::deserialize(from)
    }
}

impl ColumnType for Uuid {
    const KIND: ColumnKind = ColumnKind::Uuid;
}

impl ColumnType for String {
    const KIND: ColumnKind = ColumnKind::Text;
}

impl ColumnType for i64 {
    const KIND: ColumnKind = ColumnKind::Integer;
}

impl ColumnType for i32 {
    const KIND: ColumnKind = ColumnKind::Integer;
}

impl ColumnType for bool {
    const KIND: ColumnKind = ColumnKind::Boolean;
}

impl ColumnType for NaiveDate {
    const KIND: ColumnKind = ColumnKind::Date;
}

impl ColumnType for DateTime<Utc> {
    const KIND: ColumnKind = ColumnKind::Instant;

    /// Always six digits: the text of an instant does not depend on the instant. Reading takes any RFC 3339 form,
    /// Postgres' `+00:00` among them.
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl<T: ColumnType> ColumnType for Option<T> {
    const KIND: ColumnKind = T::KIND;
    const NULLABLE: bool = {
        assert!(
            !T::NULLABLE,
            "a column is null or not: an Option of an Option cannot be told apart"
        );
        true
    };
    const TEXTS: Option<&'static Texts> = T::TEXTS;

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(it) => to.serialize_some(&Writing(it)),
            None => to.serialize_none(),
        }
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Option::<Reading<T>>::deserialize(from)?.map(|it| it.0))
    }
}

struct Writing<'a, T>(&'a T);

impl<T: ColumnType> Serialize for Writing<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.write(to)
    }
}

struct Reading<T>(T);

impl<'de, T: ColumnType> Deserialize<'de> for Reading<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::read(from).map(Self)
    }
}

/// For `#[serde(with = "functions::row::serde_form")]` on a field of any [`ColumnType`]; [`row!`](crate::row!) puts it
/// on every field.
pub mod serde_form {
    use super::ColumnType;
    use serde::{Deserializer, Serializer};

    /// Writes the column's form.
    ///
    /// # Errors
    /// Whatever the serializer refuses.
    pub fn serialize<T: ColumnType, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        value.write(to)
    }

    /// Reads the column's form.
    ///
    /// # Errors
    /// What is read is no such value.
    pub fn deserialize<'de, T: ColumnType, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        T::read(from)
    }
}
