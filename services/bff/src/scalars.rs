//! The scalars of the schema. They know a bad value when they see one, so that it is refused before anything is
//! executed, with the path of the argument.
use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

/// An id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uuid(pub uuid::Uuid);

/// A UUID as text: `0189f7b4-9c55-7a3e-8d7a-6f2f0c8f7a11`.
#[Scalar(name = "UUID", specified_by_url = "https://www.rfc-editor.org/rfc/rfc9562")]
impl ScalarType for Uuid {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Ok(Self(text.parse()?)),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if text.parse::<uuid::Uuid>().is_ok())
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub NaiveDate);

impl Date {
    fn read(text: &str) -> Option<NaiveDate> {
        // Exactly ten characters: chrono also takes years of other lengths and signs, which do not sort as text.
        let exact = text.len() == 10 && text.as_bytes()[0].is_ascii_digit();
        text.parse().ok().filter(|_| exact)
    }
}

/// A day of the calendar, in UTC: `2026-01-31`.
#[Scalar(name = "Date", specified_by_url = "https://scalars.graphql.org/andimarek/local-date")]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Self::read(text)
                .map(Self)
                .ok_or_else(|| InputValueError::custom("write it like 2026-01-31")),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if Self::read(text).is_some())
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// An instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant(pub DateTime<Utc>);

/// An instant in UTC, to the microsecond: `2026-01-31T12:00:00.000000Z`.
#[Scalar(name = "DateTime", specified_by_url = "https://scalars.graphql.org/andimarek/date-time")]
impl ScalarType for Instant {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Ok(Self(text.parse()?)),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if text.parse::<DateTime<Utc>>().is_ok())
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_form() {
        let valid = |text: &str| Date::is_valid(&Value::from(text));
        assert!(valid("2026-01-31"));
        for wrong in ["2026-02-30", "2026-1-31", "+2026-01-3", "-026-01-31", "12026-01-1", "", "x"]
        {
            assert!(!valid(wrong), "{wrong}");
        }
        assert!(!Date::is_valid(&Value::from(20_260_131)));
    }

    #[test]
    fn an_instant_is_written_to_the_microsecond() {
        let at = Instant(DateTime::from_timestamp_micros(1).expect("an instant"));
        assert_eq!(at.to_value(), Value::from("1970-01-01T00:00:00.000001Z"));
    }

    #[test]
    fn an_id_is_text() {
        assert!(Uuid::is_valid(&Value::from("0189f7b4-9c55-7a3e-8d7a-6f2f0c8f7a11")));
        assert!(!Uuid::is_valid(&Value::from("0189f7b4")));
        assert!(!Uuid::is_valid(&Value::from(1)));
    }
}
