//! Every message of the fleet: the only thing that its services share.
//!
//! The Rust types are the source. [`messages!`] turns the declaration of a family (see [`customers`]) into an enum,
//! a struct for each record, its Avro schema with the doc comments in it, and the code that writes and reads it.
//! `schemas/<context>/<Record>/<n>.avsc` has every version of every record there ever was; the highest number is the
//! current one.
//!
//! # Changing messages
//! 1. Change the declaration. A new field needs a default (`language: String = "en"`, or an `Option`); a field of an
//!    event goes only if it had one; a field never changes its type. A record that is renamed or split moves to
//!    `retired`, with a function that makes today's messages of it: that is the one place where old messages
//!    become new ones. `tests/it/toy.rs` has a family as it was and as it is, `upcasting.rs` its old bytes read.
//! 2. `UPDATE_SCHEMAS=1 cargo test -p shared-events` writes the schema under the next number (docs alone: under the
//!    same one) and the list that this crate embeds. Files are never changed or deleted once they left your machine.
//! 3. `cargo test -p shared-events`: the [compatibility gate](compatibility) compares all versions, and names the
//!    record, the field, and who would break.
pub mod asyncapi;
pub mod avro;
pub mod compatibility;
pub mod customers;
pub mod fleet;
pub mod frame;
pub mod headers;
mod json;
mod known;
mod macros;
mod message;
mod money;
mod schema;
pub mod wire;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use json::JsonError;
pub use known::{Committed, committed, known_schema};
pub use message::{DecodeError, Decoded, EncodeError, Family, Kind, Message};
pub use money::Money;
pub use schema::{
    Fingerprint, FingerprintError, NAMESPACE, RecordSchema, SCHEMA_BYTES_MAX, SchemaError,
    SchemaMismatch, WriterSchema,
};
#[doc(hidden)]
pub use uuid::Uuid;

/// Every family of messages of the fleet.
#[must_use]
pub fn families() -> [&'static Family; 6] {
    [
        customers::CustomerCommand::family(),
        customers::AskCustomerState::family(),
        customers::CustomerEvent::family(),
        fleet::Reply::family(),
        customers::CustomerState::family(),
        fleet::RepublishEvents::family(),
    ]
}

/// The beginning of a text that somebody else wrote, for an error message of bounded length.
fn clip(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
