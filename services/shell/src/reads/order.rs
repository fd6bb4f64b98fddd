//! In which order rows come, and places between them.
use super::Value;
use std::fmt;

/// A column that rows are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The column.
    pub column: &'static str,
    /// Which values come first.
    pub direction: Direction,
    /// Where rows without a value come.
    pub nulls: Nulls,
}

impl Order {
    /// The least values first, and those without any last.
    #[must_use]
    pub fn ascending(column: &'static str) -> Self {
        Self { column, direction: Direction::Ascending, nulls: Nulls::Last }
    }

    /// The greatest values first, after those without any.
    #[must_use]
    pub fn descending(column: &'static str) -> Self {
        Self { column, direction: Direction::Descending, nulls: Nulls::First }
    }

    /// The same backward.
    #[must_use]
    pub fn reversed(self) -> Self {
        let direction = match self.direction {
            Direction::Ascending => Direction::Descending,
            Direction::Descending => Direction::Ascending,
        };
        let nulls = match self.nulls {
            Nulls::First => Nulls::Last,
            Nulls::Last => Nulls::First,
        };
        Self { column: self.column, direction, nulls }
    }
}

/// As cursors name it, which therefore never changes.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Ascending => "asc",
            Direction::Descending => "desc",
        };
        let nulls = match self.nulls {
            Nulls::First => "first",
            Nulls::Last => "last",
        };
        write!(f, "{} {direction} {nulls}", self.column)
    }
}

pub use functions::Direction;

/// Where rows without a value come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// Before all others.
    First,
    /// After all others.
    Last,
}

/// A place in an order: that of a row that has these values, whether it is still there or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(
    /// The values of the columns of [`Query::total_order`](super::Query::total_order).
    pub Vec<Option<Value>>,
);
