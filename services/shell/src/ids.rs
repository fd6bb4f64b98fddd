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
