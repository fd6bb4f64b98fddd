//! The crate as its users see it.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod asyncapi;
mod boundaries;
mod compatibility;
mod headers;
mod history;
mod json;
mod schemas;
mod toy;
mod upcasting;
