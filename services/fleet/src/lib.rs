//! The whole fleet on one machine: every service in one process, the servers they need, and the `flotilla` command line.
//!
//! - [`stack`]: Kafka, the schema registry and Postgres as child processes
//! - [`up`]: every service of the fleet, in this process
//! - [`cli`]: the commands
//! - [`mod@bench`]: how fast it is
//! - [`proof`]: what is promised, checked
//! - [`simulation`]: the fleet in virtual time, with faults by seed
//! - [`chaos`]: the real fleet, whose processes, servers and connections fail by seed
//! - [`drill`]: the real fleet, while it is restarted, scaled, deployed and rolled back
//! - `trial`: clients that note what they are told, and what is stored compared with it, for both of these
pub mod bench;
pub mod chaos;
pub mod cli;
pub mod drill;
mod memory;
pub mod proof;
pub mod schemas;
pub mod services;
pub mod simulation;
pub mod stack;
mod trial;
pub mod up;
