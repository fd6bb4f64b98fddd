//! What customers should do.
mod decisions;
mod email;
mod history;
mod messages;
mod properties;
mod views;
