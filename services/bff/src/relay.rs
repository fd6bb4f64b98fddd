//! Pages of a view as the Relay specification has them.
mod cursor;

use crate::errors::Failure;
use async_graphql::{
    OutputType, SimpleObject,
    connection::{Connection, CursorType, Edge},
};
use functions::View;
use shell::reads::{Filter, Order, Query, Rows};
use std::{convert::Infallible, marker::PhantomData};

/// How many rows a page has where the client does not say.
pub const PAGE: u32 = 50;
/// How many rows a page may have.
pub const PAGE_MAXIMUM: u32 = 500;

/// A connection to the rows of a view.
pub type Pages<V, Node> = Connection<Cursor<V>, Node, Total>;

/// What the client asks for.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// Which rows.
    pub filter: Filter,
    /// In which order.
    pub order: Vec<Order>,
    /// The first so many.
    pub first: Option<i64>,
    /// Only what comes after this cursor.
    pub after: Option<String>,
    /// The last so many.
    pub last: Option<i64>,
    /// Only what comes before this cursor.
    pub before: Option<String>,
}

/// The whole connection.
#[derive(SimpleObject)]
pub struct Total {
    /// How many there are in all that `where` holds of, on this page or not.
    total_count: i64,
}

impl Arguments {
    /// The query of `V` that is asked for; `count` says whether the rows are to be counted as well.
    ///
    /// # Errors
    /// What is wrong with which argument.
    pub fn query<V: View>(self, count: bool) -> Result<Query, Failure> {
        let (limit, backward) = match (self.first, self.last) {
            (Some(_), Some(_)) => {
                return Err(Failure::invalid(
                    ["last"],
                    "first and last exclude each other: give one",
                ));
            }
            (None, Some(last)) => (size("last", last)?, true),
            (Some(first), None) => (size("first", first)?, false),
            (None, None) => (PAGE, false),
        };
        let (filter, order) = (self.filter, self.order);
        let query =
            Query { filter, order, limit: Some(limit), backward, count, ..Query::default() };
        let total = query.total_order(V::KEY);
        let place = |name, text: Option<String>| {
            text.map(|it| cursor::read::<V>(&total, &it).map_err(|why| wrong::<V>(name, why)))
                .transpose()
        };
        Ok(Query {
            after: place("after", self.after)?,
            before: place("before", self.before)?,
            ..query
        })
    }
}

fn wrong<V: View>(argument: &str, why: cursor::Wrong) -> Failure {
    let message = match why {
        cursor::Wrong::Form => {
            let view = V::TABLE;
            format!("{argument} is no cursor of {view}: send back, unchanged, what an answer gave")
        }
        cursor::Wrong::Order => {
            format!("{argument} is a cursor of another order: ask for the order that it came with")
        }
    };
    Failure::invalid([argument], message)
}

/// What a page costs: its fields times its rows.
#[must_use]
pub fn cost(first: Option<i64>, last: Option<i64>, row: usize) -> usize {
    let rows = first.or(last).unwrap_or(PAGE.into()).clamp(1, PAGE_MAXIMUM.into());
    // Capped, so that sums of costs do not overflow.
    row.saturating_mul(usize::try_from(rows).unwrap_or(usize::MAX)).saturating_add(1).min(1 << 30)
}

/// The rows of a page as a connection.
pub fn connection<V: View, Node: OutputType>(
    query: &Query,
    rows: Rows<V>,
    node: impl Fn(V) -> Node,
) -> Pages<V, Node> {
    // In the other direction, the row of the cursor is what is known to be there.
    let (previous, next) = if query.backward {
        (rows.more, query.before.is_some())
    } else {
        (query.after.is_some(), rows.more)
    };
    let total = Total { total_count: rows.total.unwrap_or_default() };
    let mut connection = Connection::with_additional_fields(previous, next, total);
    let order = query.total_order(V::KEY);
    let edges =
        rows.rows.into_iter().map(|row| Edge::new(Cursor::of(&row, query, &order), node(row)));
    connection.edges.extend(edges);
    connection
}

/// A place between two rows of `V`.
pub struct Cursor<V> {
    text: String,
    view: PhantomData<fn() -> V>,
}

impl<V: View> Cursor<V> {
    fn of(row: &V, query: &Query, order: &[Order]) -> Self {
        Self { text: cursor::write(row, query, order), view: PhantomData }
    }
}

impl<V: View> CursorType for Cursor<V> {
    type Error = Infallible;

    fn decode_cursor(text: &str) -> Result<Self, Infallible> {
        // Arguments are read by `Arguments::query`, which can say which one is wrong.
        Ok(Self { text: text.to_owned(), view: PhantomData })
    }

    fn encode_cursor(&self) -> String {
        self.text.clone()
    }
}

/// How many are asked for.
///
/// # Errors
/// None, or too many.
pub(crate) fn size(argument: &str, rows: i64) -> Result<u32, Failure> {
    u32::try_from(rows).ok().filter(|it| (1..=PAGE_MAXIMUM).contains(it)).ok_or_else(|| {
        Failure::invalid(
            [argument],
            format!("{argument} is {rows}, and may be 1 to {PAGE_MAXIMUM}"),
        )
    })
}
