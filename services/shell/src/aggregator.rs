//! The read path: one loop for each view that drains, loads the rows touched, folds in memory, and writes each
//! row once, together with its checkpoint.
//!
//! architecture.md section 4 has the idea, protocol.md the rules; the numbers in comments are the rules'.
mod again;
mod arrange;
pub(crate) mod fold;
mod keep;
mod measure;
mod missing;
mod shard;
mod show;
mod understand;

pub(crate) use keep::Keeper;
pub(crate) use shard::{Aggregator, Settings};
