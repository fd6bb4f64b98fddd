//! What customers should do.
mod decisions;
mod email;
mod facts;
mod history;
mod messages;
mod properties;
mod views;
