//! The headers of commands, events and replies.
use shared_events::headers::{CommandHeaders, EventHeaders, RawHeaders, ReplyHeaders, names};
use shell::codec::headers_json;

const NAMES: [&str; 20] = [
    names::ID,
    names::TYPE,
    names::SOURCE,
    names::SPEC_VERSION,
    names::TIME,
    names::SUBJECT,
    names::SCHEMA,
    names::CORRELATION,
    names::CAUSATION,
    names::TRACEPARENT,
    names::ACTOR,
    names::EXPECTED_VERSION,
    names::REPLY_PARTITION,
    names::REPLY_INSTANCE,
    names::PSEQ,
    names::VERSION,
    names::INCARNATION,
    names::COMMAND_ID,
    names::REQUEST_HASH,
    "",
];

/// Lines, each a byte that names a header and its value.
pub(super) fn headers(bytes: &[u8]) {
    let raw = lines(bytes);
    check(CommandHeaders::read(&raw), CommandHeaders::write, CommandHeaders::read);
    check(EventHeaders::read(&raw), EventHeaders::write, EventHeaders::read);
    check(ReplyHeaders::read(&raw), ReplyHeaders::write, ReplyHeaders::read);
    let json = headers_json(&raw);
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(value.as_object().is_some_and(|it| it.len() <= raw.len()));
    assert!(
        json.len() <= 8 * bytes.len() + 64 * raw.len() + 2,
        "{} of {}",
        json.len(),
        bytes.len()
    );
}

fn lines(bytes: &[u8]) -> RawHeaders {
    let lines = bytes.split(|it| *it == b'\n');
    let header = |line: &[u8]| {
        let (name, value) = line.split_first()?;
        let name = match NAMES.get(usize::from(name.wrapping_sub(b'a'))) {
            Some(name) => (*name).to_owned(),
            None => char::from(*name).to_string(),
        };
        Some((name, value.to_vec()))
    };
    lines.filter_map(header).collect()
}

/// What is read can be written, and is read as the same.
fn check<T: PartialEq + std::fmt::Debug, E: std::fmt::Display + std::fmt::Debug + PartialEq>(
    read: Result<T, E>,
    write: impl Fn(&T) -> RawHeaders,
    again: impl Fn(&RawHeaders) -> Result<T, E>,
) {
    match read {
        Ok(it) => assert_eq!(again(&write(&it)), Ok(it)),
        Err(error) => assert!(error.to_string().len() <= 1_000, "{error}"),
    }
}
