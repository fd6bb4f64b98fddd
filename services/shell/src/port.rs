//! The two ports through which the loops talk to the world: a log and a store.
//!
//! Each has a real implementation (`kafka`, `postgres`) and one in memory (`memory`); the loops cannot tell.
//! Methods are `async` without `Send`: a loop lives on one thread.
pub mod log;
pub mod store;
