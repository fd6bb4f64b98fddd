//! The whole fleet on one thread, in virtual time, while everything that can go wrong does: chosen by a seed, and the
//! same again for the same seed.
//!
//! A [`Plan`] says what a seed means, [`run`] runs it and asks [`crate::proof`] what is wrong.
mod clients;
mod cluster;
mod disturbance;
mod faults;
mod follower;
mod plan;
mod random;
mod reader;
mod run;
mod scheduler;
mod search;
mod shrink;
mod timeline;

pub use plan::{Kind, Plan};
pub use run::{Outcome, run};
pub use search::{Progress, Search, search};
pub use shrink::{run_caught, shrink};
pub use timeline::{Line, Timeline};
