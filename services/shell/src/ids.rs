//! The one place that makes up ids: of commands that come without one, and of this process.
use uuid::Uuid;

/// A new id that sorts by when it was made.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where ids begin")]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// The id of the thing that a command makes when its sender does not name it: always the same one, so that a
/// command sent again goes to the same stream and partition (protocol.md W6).
#[must_use]
pub fn derived_id(command_id: Uuid) -> Uuid {
    Uuid::new_v5(&command_id, b"stream")
}

/// The id of the `index`th event that a command made happen.
#[must_use]
pub fn event_id(command_id: Uuid, index: usize) -> Uuid {
    Uuid::new_v5(&command_id, &(index as u64).to_be_bytes())
}

/// The id of a command that a process sends on its own account, named by what it asks and when.
#[must_use]
pub(crate) fn request_id(instance: Uuid, what: &str) -> Uuid {
    Uuid::new_v5(&instance, what.as_bytes())
}

/// The id of the command that is made of a dead letter: the same one for the same letter, attempt and content, so that
/// an attempt whose answer was lost has one effect when it is made again.
#[must_use]
pub(crate) fn resubmission_id(letter: &str, attempt: usize, bytes: [&[u8]; 2]) -> Uuid {
    let [before, after] = bytes;
    let before = Uuid::new_v5(&Uuid::NAMESPACE_OID, before);
    let after = Uuid::new_v5(&before, after);
    Uuid::new_v5(&after, format!("{letter} {attempt}").as_bytes())
}
