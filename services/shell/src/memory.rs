//! The second shell: a log, a store and a schema registry in memory, behind the same ports.
//!
//! The whole fleet runs on it in one process without servers, and most tests run on it. Its servers can be told to
//! misbehave.
mod fleet;
mod ledger;
mod log;
mod reads;
mod registry;
mod store;
mod troubles;
mod views;

pub use fleet::{Fleet, FleetOptions, Running};
pub use log::MemoryLog;
pub use registry::MemoryRegistry;
pub use store::MemoryStore;
