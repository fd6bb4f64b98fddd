//! Values of columns, typed, so that they are compared as Postgres compares them.
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use functions::{ColumnKind, Key};
use std::fmt;
use uuid::Uuid;

/// A value of a column. Values of one kind are ordered as the column orders them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Of a [`ColumnKind::Uuid`].
    Uuid(Uuid),
    /// Of a [`ColumnKind::Text`].
    Text(String),
    /// Of a [`ColumnKind::Integer`].
    Integer(i64),
    /// Of a [`ColumnKind::Boolean`].
    Boolean(bool),
    /// Of a [`ColumnKind::Instant`], to the microsecond.
    Instant(DateTime<Utc>),
    /// Of a [`ColumnKind::Date`].
    Date(NaiveDate),
}

impl Value {
    /// The value of a column that a row's JSON form has; `None` for null, and for what is no such value.
    #[must_use]
    pub fn of_json(kind: ColumnKind, json: &serde_json::Value) -> Option<Self> {
        match json {
            serde_json::Value::String(text) if kind != ColumnKind::Integer => {
                Self::of_text(kind, text)
            }
            serde_json::Value::Number(number) if kind == ColumnKind::Integer => {
                number.as_i64().map(Self::Integer)
            }
            serde_json::Value::Bool(it) if kind == ColumnKind::Boolean => Some(Self::Boolean(*it)),
            _ => None,
        }
    }

    /// Reads the text form.
    #[must_use]
    pub fn of_text(kind: ColumnKind, text: &str) -> Option<Self> {
        match kind {
            ColumnKind::Uuid => text.parse().ok().map(Self::Uuid),
            ColumnKind::Text => (!text.contains('\0')).then(|| Self::Text(text.to_owned())),
            ColumnKind::Integer => text.parse().ok().map(Self::Integer),
            ColumnKind::Boolean => text.parse().ok().map(Self::Boolean),
            ColumnKind::Instant => {
                let at: DateTime<Utc> = text.parse().ok()?;
                // As the column has it, or two that are written alike would not be equal.
                DateTime::from_timestamp_micros(at.timestamp_micros()).map(Self::Instant)
            }
            ColumnKind::Date => text.parse().ok().map(Self::Date),
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn of_key<K: Key>(key: &K) -> Option<Self> {
        Self::of_text(K::KIND, &key.to_string())
    }

    /// What kind of column has such values.
    #[must_use]
    pub fn kind(&self) -> ColumnKind {
        match self {
            Self::Uuid(_) => ColumnKind::Uuid,
            Self::Text(_) => ColumnKind::Text,
            Self::Integer(_) => ColumnKind::Integer,
            Self::Boolean(_) => ColumnKind::Boolean,
            Self::Instant(_) => ColumnKind::Instant,
            Self::Date(_) => ColumnKind::Date,
        }
    }
}

/// The text form: what [`Value::of_text`] reads, and Postgres too.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(it) => write!(f, "{it}"),
            Self::Text(it) => f.write_str(it),
            Self::Integer(it) => write!(f, "{it}"),
            Self::Boolean(it) => write!(f, "{it}"),
            Self::Instant(it) => f.write_str(&it.to_rfc3339_opts(SecondsFormat::Micros, true)),
            Self::Date(it) => write!(f, "{it}"),
        }
    }
}
