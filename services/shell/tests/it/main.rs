//! The shell with a real context on it, in memory.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod bad_records;
mod claims;
mod counted;
mod facts;
mod faults;
mod fleet;
mod generations;
mod handler;
mod history;
mod letters;
mod live;
mod lost_logs;
mod positions;
mod reads;
mod replies;
mod resubmitting;
mod soak;
mod sound;
mod toys;
mod views;
