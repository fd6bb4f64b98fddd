//! What can be read of a view.
use crate::position::Position;

/// Which rows of a view, always in the order of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// Those with these keys (in text form); absent ones are left out.
    Keys(Vec<String>),
    /// A page.
    Page(Page),
    /// Those between two keys, both included.
    Range {
        /// The first key.
        from: Option<String>,
        /// The last key.
        to: Option<String>,
    },
}

/// A page of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only rows after this key.
    pub after: Option<String>,
    /// Only rows before this key.
    pub before: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// The last ones rather than the first ones; the answer is in ascending order all the same.
    pub backward: bool,
    /// Whether to count all rows of the view.
    pub count: bool,
}

/// Rows of a view, and how new they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<V> {
    /// The rows in order of their keys.
    pub rows: Vec<V>,
    /// How many rows the view has, if [`Page::count`] asked.
    pub total: Option<i64>,
    /// Whether there are more rows beyond the page's limit, in its direction.
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
    /// The position is none that this fleet has given out.
    #[error("{0}: drop the position and read again")]
    Failed(String),
    /// The store does not answer.
    #[error("{0}; try again")]
    Unavailable(String),
}
