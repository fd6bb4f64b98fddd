//! The development stack: Apache Kafka, the schema registry and a private Postgres, natively, as child processes.
//!
//! Nothing is imitated. The parts are fetched once by their Maven coordinates (`stack/pom.xml`) into a cache folder; Postgres
//! comes from the distribution. All of them live exactly as long as this process: each server is started by a thread of its
//! own through `setpriv --pdeathsig`, and what a former process left behind all the same is ended at the next start.
//!
//! # Using it
//! [`Stack::start`] for a stack of one's own, [`shared`] for the one that all tests of a process share.
mod archives;
mod cache;
mod description;
mod error;
mod fetch;
mod folder;
mod java;
mod kafka;
mod leftovers;
mod ports;
mod postgres;
mod probe;
mod process;
mod program;
mod progress;
mod query;
mod registry;
mod running;
mod server;
mod shared;
mod timing;
mod tools;

pub use cache::{Kit, fetch_packages, prepare};
pub use description::{Description, Discovery, discover};
pub use error::StackError;
pub use folder::reset;
pub use kafka::{Detour, SecureWay};
pub use ports::{free_port, holder as port_holder};
pub(crate) use process::Process;
pub use progress::Progress;
pub use query::query;
pub use running::{Addresses, External, Ports, Stack, StackOptions};
pub use server::Server;
pub use shared::shared;
pub use timing::Stopwatch;
pub(crate) use tools::mortal;
