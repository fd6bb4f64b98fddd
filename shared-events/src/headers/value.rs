//! What a header may hold, and its one text form.
use crate::Fingerprint;
use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};
use uuid::Uuid;

/// A type that a header may hold.
pub(super) trait Value: Sized {
    /// Completes "the header … should be …".
    const EXPECTED: &'static str;
    fn print(&self) -> String;
    fn parse(text: &str) -> Option<Self>;
}

impl Value for Uuid {
    const EXPECTED: &'static str = "an id of 36 characters in lower case";

    fn print(&self) -> String {
        self.to_string()
    }

    fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 36 && !text.bytes().any(|it| it.is_ascii_uppercase());
        if plain { Uuid::try_parse(text).ok() } else { None }
    }
}

impl Value for String {
    const EXPECTED: &'static str = "a text without control characters, and not empty";

    fn print(&self) -> String {
        self.clone()
    }

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
    }
}

impl Value for [u8; 16] {
    const EXPECTED: &'static str = "32 hexadecimal digits in lower case";

    fn print(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(*self))
    }

    fn parse(text: &str) -> Option<Self> {
        let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
        let plain = text.len() == 32 && text.bytes().all(is_digit);
        if plain { u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes) } else { None }
    }
}

impl Value for i64 {
    const EXPECTED: &'static str = "a whole decimal number";

    fn print(&self) -> String {
        self.to_string()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|_| is_plain_number(text))
    }
}

impl Value for i32 {
    const EXPECTED: &'static str = "a whole decimal number of 32 bits";

    fn print(&self) -> String {
        self.to_string()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|_| is_plain_number(text))
    }
}

/// No plus sign, no leading zeros, no `-0`.
fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    text == "0" || digits.starts_with(|it: char| ('1'..='9').contains(&it))
}

impl Value for DateTime<Utc> {
    const EXPECTED: &'static str = "an instant such as 2027-01-31T12:00:00.000000Z";

    fn print(&self) -> String {
        self.to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    fn parse(text: &str) -> Option<Self> {
        let instant = DateTime::parse_from_rfc3339(text).ok()?;
        // To the microsecond, as instants are written: of a finer one, two readings would differ.
        text.ends_with('Z').then(|| instant.to_utc().trunc_subsecs(6))
    }
}

impl Value for Fingerprint {
    const EXPECTED: &'static str = "the fingerprint of a schema: 16 hex digits in lower case";

    fn print(&self) -> String {
        self.to_string()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Whether a text is the `traceparent` of W3C's Trace Context, version 00 or a later one that begins alike.
pub(super) fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, digits: usize| {
        part.len() == digits
            && part.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
    };
    let zeros = |part: &str| part.bytes().all(|it| it == b'0');
    let mut parts = text.splitn(5, '-');
    let (Some(version), Some(trace), Some(parent), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let rest = parts.next().is_some();
    text.len() <= 256
        && !text.contains(char::is_control)
        && hex(version, 2)
        && version != "ff"
        && hex(trace, 32)
        && !zeros(trace)
        && hex(parent, 16)
        && !zeros(parent)
        && hex(flags, 2)
        && !(version == "00" && rest)
}
