//! What became of a command: kept in the ledger and sent as the reply, in the same bytes.
use shared_events::{Decoded, Fingerprint, Message as _, fleet::Reply, known_schema};

/// Marks Avro's single-object encoding: two bytes, the schema's fingerprint, the datum.
const MARK: [u8; 2] = [0xc3, 0x01];
const HEAD_BYTES: usize = 10;

/// A stored outcome that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored outcome cannot be read: {0}")]
pub struct OutcomeError(String);

/// The bytes of an outcome.
///
/// # Errors
/// If a value does not fit its schema.
pub fn write_outcome(reply: &Reply) -> Result<Vec<u8>, OutcomeError> {
    let mut bytes = Vec::with_capacity(96);
    bytes.extend(MARK);
    bytes.extend(reply.record().fingerprint().0.to_le_bytes());
    reply.encode(&mut bytes).map_err(|error| OutcomeError(error.to_string()))?;
    Ok(bytes)
}

/// The reply's datum in the bytes of an outcome: what the reply on the topic carries.
pub(crate) fn outcome_datum(body: &[u8]) -> &[u8] {
    body.get(HEAD_BYTES..).unwrap_or_default()
}

/// The outcome in these bytes, whichever version of the fleet wrote them.
///
/// # Errors
/// If they are not an outcome, or one from the future.
pub fn read_outcome(bytes: &[u8]) -> Result<Reply, OutcomeError> {
    let wrong = |what: String| OutcomeError(what);
    let (head, datum) =
        bytes.split_at_checked(HEAD_BYTES).ok_or_else(|| wrong("too short".into()))?;
    let (mark, fingerprint) = head.split_at(2);
    let fingerprint: [u8; 8] = fingerprint.try_into().map_err(|_| wrong("too short".into()))?;
    if mark != MARK {
        return Err(wrong(format!("it begins with {mark:02x?}")));
    }
    let fingerprint = Fingerprint(u64::from_le_bytes(fingerprint));
    let schema = known_schema(fingerprint)
        .ok_or_else(|| wrong(format!("its schema {fingerprint} is unknown to this build")))?;
    match Reply::decode(schema, datum).map_err(|error| wrong(error.to_string()))? {
        Decoded::Messages(replies) => {
            replies.into_iter().next().ok_or_else(|| wrong("it is empty".into()))
        }
        Decoded::FromTheFuture => Err(wrong("it is from the future".into())),
    }
}
