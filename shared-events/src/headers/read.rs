//! One header after another.
use super::{
    RawHeaders, names,
    value::{Value, is_traceparent},
};
use crate::clip;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The longest value of a header, in bytes.
pub const HEADER_BYTES_MAX: usize = 1024;

/// Headers that are no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A message without it cannot be handled.
    #[error("the header {header} is missing")]
    Missing {
        /// Its name.
        header: &'static str,
    },
    /// It says something that cannot be.
    #[error("the header {header} is {value:?}, but should be {expected}")]
    Malformed {
        /// Its name.
        header: &'static str,
        /// Its value, at most the beginning of it.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// It is too long to be an honest one.
    #[error("the header {header} has {bytes} bytes; at most {HEADER_BYTES_MAX} are read")]
    TooLong {
        /// Its name.
        header: &'static str,
        /// The length of its value.
        bytes: usize,
    },
}

/// Reads headers by name.
pub(super) struct Read<'a>(pub(super) &'a RawHeaders);

impl Read<'_> {
    pub(super) fn required<T: Value>(&self, header: &'static str) -> Result<T, HeaderError> {
        self.optional(header)?.ok_or(HeaderError::Missing { header })
    }

    pub(super) fn optional<T: Value>(
        &self,
        header: &'static str,
    ) -> Result<Option<T>, HeaderError> {
        let Some(bytes) = self.find(header) else { return Ok(None) };
        if bytes.len() > HEADER_BYTES_MAX {
            return Err(HeaderError::TooLong { header, bytes: bytes.len() });
        }
        let value = std::str::from_utf8(bytes).ok().and_then(T::parse);
        value.map(Some).ok_or_else(|| HeaderError::Malformed {
            header,
            value: clip(&String::from_utf8_lossy(bytes), 60),
            expected: T::EXPECTED,
        })
    }

    /// The trace; W3C wants a malformed one passed over, not refused.
    pub(super) fn traceparent(&self) -> Option<String> {
        let text = std::str::from_utf8(self.find(names::TRACEPARENT)?).ok()?;
        is_traceparent(text).then(|| text.to_owned())
    }

    /// Refuses a later `CloudEvents` than is known here; senders outside the fleet may leave it out.
    pub(super) fn spec_version(&self) -> Result<(), HeaderError> {
        match self.find(names::SPEC_VERSION) {
            None | Some(b"1.0") => Ok(()),
            Some(other) => Err(HeaderError::Malformed {
                header: names::SPEC_VERSION,
                value: clip(&String::from_utf8_lossy(&other[..other.len().min(60)]), 60),
                expected: "1.0",
            }),
        }
    }

    fn find(&self, header: &str) -> Option<&[u8]> {
        self.0.iter().find(|(name, _)| name == header).map(|(_, value)| value.as_slice())
    }
}

/// Writes headers in order.
#[derive(Default)]
pub(super) struct Write(RawHeaders);

impl Write {
    pub(super) fn cloud_event(
        &mut self,
        id: Uuid,
        record: &String,
        source: &String,
        time: DateTime<Utc>,
    ) -> &mut Self {
        self.0.reserve(16);
        self.0.push((names::SPEC_VERSION.to_owned(), b"1.0".to_vec()));
        self.value(names::ID, &id)
            .value(names::TYPE, record)
            .value(names::SOURCE, source)
            .value(names::TIME, &time)
    }

    pub(super) fn value<T: Value>(&mut self, header: &str, value: &T) -> &mut Self {
        self.0.push((header.to_owned(), value.print().into_bytes()));
        self
    }

    pub(super) fn value_if<T: Value>(&mut self, header: &str, value: Option<&T>) -> &mut Self {
        match value {
            Some(value) => self.value(header, value),
            None => self,
        }
    }

    pub(super) fn traceparent(&mut self, value: Option<&String>) -> &mut Self {
        self.value_if(names::TRACEPARENT, value.filter(|it| is_traceparent(it)))
    }

    pub(super) fn done(self) -> RawHeaders {
        self.0
    }
}
