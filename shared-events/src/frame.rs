//! Confluent's wire format: a zero byte, the registry's id of the schema (4 bytes, big-endian), the Avro datum.

/// The datum with its schema's id before it.
#[must_use]
pub fn frame(id: u32, datum: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(5 + datum.len());
    framed.push(0);
    framed.extend_from_slice(&id.to_be_bytes());
    framed.extend_from_slice(datum);
    framed
}

/// The id of the schema, and the datum.
///
/// # Errors
/// The bytes do not begin with a frame.
pub fn unframe(bytes: &[u8]) -> Result<(u32, &[u8]), FrameError> {
    match bytes {
        [0, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        [0, ..] | [] => Err(FrameError::TooShort { bytes: bytes.len() }),
        [magic, ..] => Err(FrameError::NoMagic { magic: *magic }),
    }
}

/// Bytes that are not in the registry's wire format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No room for a schema's id.
    #[error(
        "{bytes} bytes are no framed message: a zero byte and a schema id of 4 bytes come first"
    )]
    TooShort {
        /// How many there are.
        bytes: usize,
    },
    /// Something else than a framed message.
    #[error(
        "a framed message begins with a zero byte, this one with {magic:#04x}; \
         was it sent without the registry's wire format?"
    )]
    NoMagic {
        /// The first byte.
        magic: u8,
    },
}
