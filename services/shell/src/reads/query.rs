//! What is asked of a view.
use super::{Filter, Order, Place, Test, Value};
use crate::view::ViewDefinition;
use functions::View;

/// What is asked of a view: which rows, in which order, how many of them. By default all, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only rows of which this holds.
    pub filter: Filter,
    /// By which columns they are ordered; what these leave open the key decides.
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
