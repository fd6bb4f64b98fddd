//! The write path: one loop that drains, looks up, operates, writes down, and only then publishes.
//!
//! architecture.md section 3 has the idea, protocol.md the rules; the numbers in comments are the rules'.
mod claims;
pub(crate) mod decider;
pub(crate) mod envelope;
mod fact;
mod look_up;
mod measure;
mod mistakes;
pub(crate) mod operate;
mod order;
pub(crate) mod outcome;
mod publish;
mod receive;
pub(crate) mod received;
mod recover;
mod shard;
mod stream;
mod voice;
mod write;

pub(crate) use shard::{Handler, Settings};
