//! The shell with a real context on it, in memory.
mod bad_records;
mod claims;
mod faults;
mod fleet;
mod handler;
mod positions;
mod reads;
mod replies;
mod soak;
mod sound;
mod toys;
mod views;
