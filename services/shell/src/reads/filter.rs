//! Which rows are wanted, whatever store they are in.
use super::Value;
use std::collections::BTreeSet;

/// A condition on a row: it holds or it does not, also where a column is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of these hold; of none of them, that is so.
    All(Vec<Filter>),
    /// One of these holds; of none of them, that is not so.
    Any(Vec<Filter>),
    /// This does not hold.
    Not(Box<Filter>),
    /// Each of these words begins one of the row's words, in the columns that its view searches. In lower case, as
    /// [`words`](super::words) has them.
    Search(BTreeSet<String>),
    /// What a column's value has to be.
    Field {
        /// The column.
        column: &'static str,
        /// What its value has to be.
        test: Test,
    },
}

impl Default for Filter {
    /// Every row.
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Filter {
    /// A condition on a column.
    #[must_use]
    pub fn field(column: &'static str, test: Test) -> Self {
        Self::Field { column, test }
    }

    /// What is searched for, if every row has to have it.
    #[must_use]
    pub fn searched(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Search(words) => Some(words),
            Self::All(list) => list.iter().find_map(Self::searched),
            Self::Any(_) | Self::Not(_) | Self::Field { .. } => None,
        }
    }

    /// How many conditions it is made of.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::All(list) | Self::Any(list) => 1 + list.iter().map(Self::size).sum::<usize>(),
            Self::Not(it) => 1 + it.size(),
            Self::Search(words) => 1 + words.len(),
            Self::Field { test: Test::In(values) | Test::NotIn(values), .. } => 1 + values.len(),
            Self::Field { .. } => 1,
        }
    }
}

/// What a value has to be. Null is unequal to any value, and neither less nor greater.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Compared with a value.
    Is(Comparison, Value),
    /// One of these.
    In(Vec<Value>),
    /// None of these.
    NotIn(Vec<Value>),
    /// Text that begins like this, to the letter.
    StartsWith(String),
    /// Text that has this in it, to the letter.
    Contains(String),
    /// Null, or not.
    IsNull(bool),
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Equal,
    /// Not the same.
    NotEqual,
    /// Before it.
    Less,
    /// Before it, or the same.
    LessOrEqual,
    /// After it.
    Greater,
    /// After it, or the same.
    GreaterOrEqual,
}
