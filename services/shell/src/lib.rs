//! The environment of the functions: Kafka, Postgres, the schema registry, and the process.
//!
//! A context is pure; this crate makes services of it. [`handler`] decides its commands, [`aggregator`] keeps its
//! views, [`Client`] is what sends commands and reads views, and [`run`] is the `main` of any of them. The loops are
//! written against two [ports](port), so that [`memory`] runs the whole fleet without servers.
mod aggregator;
pub mod audit;
pub mod backup;
pub mod client;
pub mod clock;
pub mod codec;
pub mod config;
pub mod defect;
pub mod explain;
mod handler;
pub mod history;
pub mod http;
pub mod ids;
pub mod kafka;
pub mod letters;
pub mod memory;
pub mod names;
mod panics;
pub mod partition;
pub mod port;
pub mod position;
pub mod postgres;
mod process;
pub mod reads;
pub mod registry;
pub mod replay;
pub mod republish;
mod schemas;
mod service;
pub mod status;
pub mod telemetry;
pub mod view;

pub use client::Client;
pub use config::Config;
pub use handler::{
    outcome::{OutcomeError, read_outcome, write_outcome},
    received::code,
};
pub use process::{run, run_with, start_logging, supervise};
pub use service::{Service, Shell, aggregator, handler, wait_for_topics};
