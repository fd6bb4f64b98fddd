//! What can be read of a view.
//!
//! A [`Query`] is answered alike by any store: [`served`] says which queries are, `memory::select` is how it is meant, and
//! `postgres::select` makes SQL of it.
mod filter;
mod order;
mod query;
pub(crate) mod served;
mod value;

pub use filter::{Comparison, Filter, Test};
pub use order::{Direction, Nulls, Order, Place};
pub use query::{Query, Unserved};
pub use value::Value;

use crate::position::Position;

/// Rows of a view, and how new they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<V> {
    /// The rows, in the order that was asked for.
    pub rows: Vec<V>,
    /// How many rows the filter holds of, if [`Query::count`] asked.
    pub total: Option<i64>,
    /// Whether there are more rows beyond the query's limit, in its direction.
    pub more: bool,
    /// All that the view had seen when it was read.
    pub position: Position,
}

/// Rows that cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The view has not come as far as the reader has been, in the time it had.
    #[error("the view has not come so far yet, missing {missing}: try again")]
    Pending {
        /// What is missing.
        missing: String,
    },
    /// The view is being built.
    #[error("the view {view} is being built: try again later")]
    Rebuilding {
        /// The view.
        view: String,
    },
    /// The view does not answer such queries, however often it is asked.
    #[error(transparent)]
    Unserved(#[from] Unserved),
    /// The position is none that this fleet has given out.
    #[error("{0}: drop the position and read again")]
    Failed(String),
    /// The store does not answer.
    #[error("{0}; try again")]
    Unavailable(String),
}
