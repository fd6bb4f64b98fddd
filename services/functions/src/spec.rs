//! Specifications of the essential logic: given what happened, when a command comes, then this happens.
//!
//! - [`given`] … [`when`](Given::when) … [`then`](When::then): decisions, one step after another.
//! - [`given`] … [`asked`](Given::asked) … [`answered`](Asked::answered): facts.
//! - [`projected`]: the rows a view shows after some events.
//! - [`history_of`], [`repeats_change_nothing`], [`order_between_streams_is_free`]: what must hold for *every* decider
//!   and view. They take any commands, so a property test hands them arbitrary ones.
//! - [`history`]: results of committed histories, which change only together with a `REVISION`.
//!
//! All of them panic where the logic is wrong, with what was expected (`-`) next to what came (`+`), and look over the
//! logic's shoulder in passing: a decision that takes a value it did not ask about, or a row that its own table could
//! not hold, fails whatever the specification says.
mod decisions;
mod difference;
pub mod history;
mod projections;
mod properties;
mod world;

pub use decisions::{Asked, Given, When, given};
pub use history::History;
pub use projections::{Projected, projected};
pub use properties::{history_of, order_between_streams_is_free, repeats_change_nothing};

use chrono::{DateTime, Utc};

/// The instant at which a specification takes place unless it says otherwise: noon of 2026-01-01, UTC.
pub const NOW: DateTime<Utc> = match DateTime::from_timestamp(1_767_268_800, 0) {
    Some(noon) => noon,
    None => DateTime::UNIX_EPOCH,
};
