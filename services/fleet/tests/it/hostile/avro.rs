//! Avro: framed records, the datums of all schemas there ever were, schemas of strangers, stored outcomes.
use functions::Message;
use shared_events::{
    Decoded, RecordSchema, WriterSchema, committed,
    customers::{AskCustomerState, CustomerCommand, CustomerEvent, CustomerState},
    families,
    fleet::{Reply, RepublishEvents},
    frame::{frame, unframe},
};
use shell::{client::Answer, position::MAX_LENGTH, read_outcome, write_outcome};
use std::sync::LazyLock;

/// The longest error that anybody has to read, in bytes: a stranger's bytes may be quoted in it, but not all of them.
const ERROR_BYTES_MAX: usize = 4_000;

/// Every version of every record ever committed, and what is written today.
static WRITERS: LazyLock<Vec<WriterSchema>> = LazyLock::new(|| {
    let own = families().into_iter().flat_map(|it| it.records().chain(it.retired()));
    let all = committed().iter().map(|it| it.json).chain(own.map(RecordSchema::json));
    all.map(|json| WriterSchema::parse(json).expect("a schema of ours")).collect()
});

/// A frame: the schema's number is taken for a place in the list of all schemas.
pub(super) fn frames(bytes: &[u8]) {
    match unframe(bytes) {
        Ok((id, datum)) => {
            assert_eq!(frame(id, datum), bytes);
            let count = u32::try_from(WRITERS.len()).unwrap_or(u32::MAX);
            let index = usize::try_from(id % count).unwrap_or_default();
            by_everybody(&WRITERS[index], datum);
        }
        Err(error) => is_short(&error.to_string()),
    }
}

/// A schema as a registry may have it, and after a zero byte a datum of it.
pub(super) fn schemas(bytes: &[u8]) {
    let (json, datum) = match bytes.iter().position(|it| *it == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[] as &[u8]),
    };
    match WriterSchema::parse(&String::from_utf8_lossy(json)) {
        Ok(schema) => {
            assert_eq!(schema.fingerprint().to_string().parse(), Ok(schema.fingerprint()));
            by_everybody(&schema, datum);
        }
        Err(error) => is_short(&error.to_string()),
    }
}

/// An outcome as the ledger has it: as it is, and as the datum of one.
pub(super) fn outcomes(bytes: &[u8]) {
    outcome(bytes);
    let fingerprint = Reply::family().records().map(|it| it.fingerprint().0.to_le_bytes());
    for it in fingerprint {
        outcome(&[&[0xc3, 0x01], it.as_slice(), bytes].concat());
    }
}

fn outcome(bytes: &[u8]) {
    match read_outcome(bytes) {
        Ok(reply) => {
            let again = write_outcome(&reply).expect("what was read can be written");
            assert_eq!(read_outcome(&again).as_ref(), Ok(&reply));
            let position = Answer::from(reply).position;
            let text = position.to_string();
            if text.len() <= MAX_LENGTH {
                assert_eq!(text.parse(), Ok(position));
            }
        }
        Err(error) => is_short(&error.to_string()),
    }
}

fn by_everybody(writer: &WriterSchema, datum: &[u8]) {
    by::<CustomerCommand>(writer, datum);
    by::<CustomerEvent>(writer, datum);
    by::<AskCustomerState>(writer, datum);
    by::<CustomerState>(writer, datum);
    by::<Reply>(writer, datum);
    by::<RepublishEvents>(writer, datum);
}

fn by<M: Message>(writer: &WriterSchema, datum: &[u8]) {
    match M::decode(writer, datum) {
        Ok(Decoded::Messages(messages)) => {
            for it in &messages {
                let mut again = Vec::new();
                it.encode(&mut again).expect("what was read can be written");
                // Fields that the writer did not have take a default; all else came in.
                assert!(again.len() <= 2 * datum.len() + 200, "{} of {}", again.len(), datum.len());
                let own = WriterSchema::parse(it.record().json()).expect("a schema of ours");
                assert_eq!(M::decode(&own, &again), Ok(Decoded::Messages(vec![it.clone()])));
            }
        }
        Ok(Decoded::FromTheFuture) => assert!(!M::family().knows(writer.name())),
        Err(error) => is_short(&error.to_string()),
    }
}

fn is_short(error: &str) {
    assert!(error.len() <= ERROR_BYTES_MAX, "an error of {} bytes: {error}", error.len());
}
