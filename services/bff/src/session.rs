//! One request: where its reader has been, which trace it belongs to, which commands it sent.
use crate::errors::Failure;
use axum::http::HeaderMap;
use shell::{ids, position::Position, telemetry::trace::Span};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// The header, of requests and answers, with the position.
pub const POSITION: &str = "flotilla-position";
/// The header with the command id of a request's only mutation.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header with the longest time, in milliseconds, that a view is waited for; never more than is configured.
pub const WAIT_MS: &str = "flotilla-wait-ms";
/// The header, of requests and answers, with the correlation id.
pub const CORRELATION: &str = "x-correlation-id";
/// The header with the operators' token.
pub const OPERATOR: &str = "flotilla-operator";
const TRACE_PARENT: &str = "traceparent";
/// What a connection can say of all that comes over it.
pub(crate) const OF_CONNECTION: [&str; 4] = [POSITION, WAIT_MS, CORRELATION, TRACE_PARENT];

/// What the resolvers of one request share.
#[derive(Debug)]
pub struct Session {
    /// What all that follows from the request has in common.
    pub correlation: Uuid,
    /// What the request is in its trace: the client's, or a new one.
    span: Mutex<Span>,
    traceparent: String,
    /// The id of the request's only command, if the client gave it in a header.
    pub idempotency_key: Option<Uuid>,
    wait: Option<Duration>,
    operator: Secret,
    seen: Mutex<Position>,
    sent: Mutex<Vec<Uuid>>,
}

impl Session {
    /// Begins with what the request's headers say.
    ///
    /// # Errors
    /// A malformed position, time to wait or idempotency key. A malformed trace context or correlation id is not the client's
    /// business (a proxy may have put it there): new ones are used then.
    pub fn open(headers: &HeaderMap) -> Result<Self, Failure> {
        let seen = match text(headers, POSITION)? {
            Some(it) => it.parse().map_err(|e| wrong(POSITION, format!("{e}")))?,
            None => Position::new(),
        };
        let idempotency_key = match text(headers, IDEMPOTENCY_KEY)? {
            Some(it) => Some(unquoted(it).parse().map_err(|_| {
                wrong(
                    IDEMPOTENCY_KEY,
                    format!("not a UUID: {it:?}; send a new one for each command"),
                )
            })?),
            None => None,
        };
        let wait = match text(headers, WAIT_MS)? {
            Some(it) => Some(it.parse().map(Duration::from_millis).map_err(|_| {
                wrong(WAIT_MS, format!("no number of milliseconds: {it:?}; send 0 not to wait"))
            })?),
            None => None,
        };
        let given = |name| text(headers, name).ok().flatten();
        let correlation = given(CORRELATION).and_then(|it| it.parse().ok());
        let traceparent = given(TRACE_PARENT).filter(|it| is_traceparent(it));
        let span = Span::begin("POST /graphql", traceparent);
        Ok(Self {
            correlation: correlation.unwrap_or_else(ids::new_id),
            traceparent: span.traceparent().to_owned(),
            span: Mutex::new(span),
            idempotency_key,
            wait,
            operator: Secret(given(OPERATOR).map(str::to_owned)),
            seen: Mutex::new(seen),
            sent: Mutex::default(),
        })
    }

    /// The trace context of all that follows from the request.
    #[must_use]
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// The trace that the request belongs to, for those who look for it.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.traceparent.split('-').nth(1).unwrap_or_default()
    }

    /// What the request's span says of it.
    pub fn describe(&self, describe: impl FnOnce(&mut Span)) {
        describe(&mut self.span.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What the client says to be an operator by.
    #[must_use]
    pub fn operator(&self) -> Option<&str> {
        self.operator.0.as_deref()
    }

    /// How long a view is waited for: as configured, or less if the client asks so.
    #[must_use]
    pub fn patience(&self, configured: Duration) -> Duration {
        self.wait.map_or(configured, |it| it.min(configured))
    }

    /// All that this request's reader has seen up to now.
    pub fn seen(&self) -> Position {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of what the reader sees next.
    pub fn saw(&self, position: &Position) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).merge(position);
    }

    /// Takes note of a command that is about to be sent.
    pub fn sends(&self, command_id: Uuid) {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(command_id);
    }

    /// The commands that were sent: where the request ends before they are answered, they may yet be decided.
    pub fn sent(&self) -> Vec<Uuid> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A text that is never shown.
struct Secret(Option<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

fn wrong(header: &str, message: String) -> Failure {
    Failure::invalid(["headers", header], message)
}

/// The value of a header that may be there once.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong(name, format!("{name} is there more than once: send it once")));
    }
    let text = value.to_str().map_err(|_| wrong(name, format!("{name} has signs beyond ASCII")))?;
    Ok(Some(text.trim()))
}

/// The header's standard has its value in quotes; most clients leave them out.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(text)
}

/// Version 00 of the W3C trace context: `00-<32 hex>-<16 hex>-<2 hex>`, ids not all zero. A higher version may
/// have more behind.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |digits: usize| {
        parts.next().filter(|it| {
            it.len() == digits && it.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    let (Some(version), Some(trace), Some(parent), Some(_)) = (hex(2), hex(32), hex(16), hex(2))
    else {
        return false;
    };
    let nothing = |it: &str| it.bytes().all(|b| b == b'0');
    let ends = parts.next().is_none();
    text.len() <= 128
        && version != "ff"
        && (ends || version != "00")
        && !nothing(trace)
        && !nothing(parent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    const ID: &str = "0189f7b4-9c55-7a3e-8d7a-6f2f0c8f7a11";
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
            })
            .collect()
    }

    #[test]
    fn what_the_client_gives_is_taken() {
        let quoted = format!("\"{ID}\"");
        let given =
            headers(&[(IDEMPOTENCY_KEY, &quoted), (CORRELATION, ID), (TRACE_PARENT, TRACE)]);
        let session = Session::open(&given).expect("opens");
        assert_eq!(session.idempotency_key, ID.parse().ok());
        assert_eq!(session.correlation.to_string(), ID);
        assert_eq!(session.traceparent(), TRACE);
    }

    #[test]
    fn what_is_missing_is_made_up() {
        let (one, other) = (Session::open(&HeaderMap::new()), Session::open(&HeaderMap::new()));
        let (one, other) = (one.expect("opens"), other.expect("opens"));
        assert_ne!(one.correlation, other.correlation);
        assert_ne!(one.traceparent(), other.traceparent());
        assert!(is_traceparent(one.traceparent()), "{}", one.traceparent());
        assert_eq!(one.idempotency_key, None);
        assert!(one.seen().is_empty());
    }

    #[test]
    fn a_malformed_key_or_position_is_refused() {
        for (header, value) in [
            (IDEMPOTENCY_KEY, "once"),
            (POSITION, "@@"),
            (POSITION, ""),
            (WAIT_MS, "soon"),
            (WAIT_MS, "-1"),
        ] {
            let failure = Session::open(&headers(&[(header, value)])).expect_err(value);
            assert_eq!(failure, Failure::invalid(["headers", header], failure.message.clone()));
        }
        assert!(Session::open(&headers(&[(IDEMPOTENCY_KEY, ID), (IDEMPOTENCY_KEY, ID)])).is_err());
    }

    #[test]
    fn a_client_may_wait_less_than_is_configured() {
        let session = |it: &str| Session::open(&headers(&[(WAIT_MS, it)])).expect("opens");
        let configured = Duration::from_secs(2);
        assert_eq!(session("5").patience(configured), Duration::from_millis(5));
        assert_eq!(session("0").patience(configured), Duration::ZERO);
        assert_eq!(session("60000").patience(configured), configured);
        let without = Session::open(&HeaderMap::new()).expect("opens");
        assert_eq!(without.patience(configured), configured);
    }

    #[test]
    fn a_malformed_trace_is_replaced() {
        for wrong in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            let session = Session::open(&headers(&[(TRACE_PARENT, wrong)])).expect("opens");
            assert_ne!(session.traceparent(), wrong);
        }
        assert!(is_traceparent("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"));
    }
}
