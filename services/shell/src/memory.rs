//! The second shell: a log, a store and a schema registry in memory, behind the same ports.
//!
//! The whole fleet runs on it in one process without servers, and most tests run on it. Its servers can be told to
//! misbehave, and [`Faults`] decide what goes wrong at each call.
mod consumer;
mod fleet;
mod generations;
mod group;
mod ledger;
mod letters;
mod locks;
mod log;
mod past;
mod reads;
mod registry;
mod seat;
mod select;
mod store;
mod troubles;
mod views;

pub use fleet::{Fleet, FleetOptions, Running, Task};
pub use log::MemoryLog;
pub use registry::MemoryRegistry;
pub use seat::{CallFault, Failure, Faults, SendFault};
pub use store::{MemoryStore, ViewsCopy};
