//! The two ports through which the loops talk to the world: a log and a store.
//!
//! Each has a real implementation (`kafka`, `postgres`) and one in memory (`memory`); the loops cannot tell.
//! Methods are `async` without `Send`: a loop lives on one thread.
mod aside;
mod generation;
mod letters;
pub mod log;
mod past;
mod reads;
pub mod store;

use crate::{clock::Clock, codec::Codec};

/// All that a loop needs of the world.
#[derive(Clone)]
pub(crate) struct World<L, S> {
    pub(crate) log: L,
    pub(crate) store: S,
    pub(crate) codec: Codec,
    pub(crate) clock: Clock,
}
