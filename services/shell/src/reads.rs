//! What can be read of a view.
//!
//! A [`Query`] is answered alike by any store: `served` says which queries are, `memory::select` is how it is meant, and
//! `postgres::select` makes SQL of it.
mod filter;
mod holds;
mod order;
mod query;
pub(crate) mod served;
mod value;
mod words;

pub use filter::{Comparison, Filter, Test};
pub(crate) use holds::{holds, value_of};
pub use order::{Direction, Nulls, Order, Place};
pub use query::{Count, Counts, Query, Unserved};
pub use value::Value;
pub(crate) use words::words_of;
pub use words::{RELEVANCE, relevance, words};

use crate::position::Position;
use futures::stream::BoxStream;

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

/// All rows that a query asks for.
pub struct Exported {
    /// All that the view had seen when they were read.
    pub position: Position,
    /// The rows in their JSON form, a few at a time. After an error there are no more.
    pub rows: BoxStream<'static, Result<Vec<serde_json::Value>, ReadError>>,
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
