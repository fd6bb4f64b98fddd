//! What is asked of a view.
use super::{Filter, Order, Place, RELEVANCE, Test, Value};
use crate::view::ViewDefinition;
use functions::View;

/// What is asked of a view: which rows, in which order, how many of them. By default all, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only rows of which this holds.
    pub filter: Filter,
    /// By which columns they are ordered; what these leave open the key decides. Without any, rows that are searched
    /// for come in the order of how well they are found: by how many words they have, and not only begin with.
    pub order: Vec<Order>,
    /// Only rows after this place.
    pub after: Option<Place>,
    /// Only rows before this place.
    pub before: Option<Place>,
    /// At most so many.
    pub limit: Option<u32>,
    /// The last ones rather than the first ones; in the same order all the same.
    pub backward: bool,
    /// Whether to count all rows of which the filter holds.
    pub count: bool,
}

impl Query {
    /// The rows with these keys; absent ones are left out.
    #[must_use]
    pub fn keys<V: View>(keys: impl IntoIterator<Item = V::Key>) -> Self {
        let values = keys.into_iter().filter_map(|it| Value::of_key(&it)).collect();
        Self { filter: Filter::field(V::KEY, Test::In(values)), ..Self::default() }
    }

    /// The first rows, at most so many.
    #[must_use]
    pub fn first(limit: u32) -> Self {
        Self { limit: Some(limit), ..Self::default() }
    }

    /// The order without any row left open: the key comes last, in the direction of the column before it.
    #[must_use]
    pub fn total_order(&self, key: &'static str) -> Vec<Order> {
        let mut all = self.order.clone();
        if all.is_empty() && self.filter.searched().is_some() {
            return vec![Order::descending(RELEVANCE), Order::ascending(key)];
        }
        if let Some(end) = all.iter().position(|it| it.column == key) {
            // No two rows have the same key: what comes after it decides nothing.
            all.truncate(end + 1);
            return all;
        }
        all.push(match all.last() {
            Some(last) => Order { column: key, ..*last },
            None => Order::ascending(key),
        });
        all
    }

    /// Whether the store could answer it without reading the whole table, and every value is one of its column.
    ///
    /// # Errors
    /// What is wrong with which part.
    pub fn check(&self, view: &ViewDefinition) -> Result<(), Unserved> {
        super::served::check(self, view)
    }
}

/// How many rows there are, by what they have in some columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Only rows of which this holds.
    pub filter: Filter,
    /// The columns; without any, all rows are counted together.
    pub by: Vec<&'static str>,
}

impl Counts {
    /// More groups than these are not an answer that anybody looks at.
    pub const GROUPS_MAX: usize = 1_000;

    /// Whether indexes have all that is counted by, and lead to what is counted.
    ///
    /// # Errors
    /// What is wrong with which part.
    pub fn check(&self, view: &ViewDefinition) -> Result<(), Unserved> {
        super::served::check_counts(self, view)
    }
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What these rows have in the columns that they are counted by; `None` is null.
    pub values: Vec<Option<Value>>,
    /// How many they are; at least one.
    pub rows: i64,
}

/// A query that a view does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unserved {
    /// The filter.
    #[error("{0}")]
    Filter(String),
    /// The order.
    #[error("{0}")]
    Order(String),
    /// One of its places.
    #[error("{0}")]
    Place(String),
}
