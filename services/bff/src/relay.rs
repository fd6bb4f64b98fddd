//! Pages of a view as the Relay specification has them. A cursor is opaque: it names its view and a key.
use crate::errors::Failure;
use async_graphql::{
    OutputType, SimpleObject,
    connection::{Connection, CursorType, Edge},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use functions::View;
use shell::client::{Page, Rows};
use std::{convert::Infallible, marker::PhantomData};

/// How many rows a page has where the client does not say.
pub const PAGE: u32 = 50;
/// How many rows a page may have.
pub const PAGE_MAXIMUM: u32 = 500;
const FORMAT: &str = "1";

/// A connection to the rows of a view.
pub type Pages<V, Node> = Connection<Cursor<V>, Node, Total>;

/// What the client asks for.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
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
    /// How many there are in all, on this page or not.
    total_count: i64,
}

impl Arguments {
    /// The page of `V` that is asked for; `count` says whether all rows are to be counted as well.
    ///
    /// # Errors
    /// What is wrong with which argument.
    pub fn page<V: View>(self, count: bool) -> Result<Page, Failure> {
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
        let key = |name, text: Option<String>| text.map(|it| key::<V>(name, &it)).transpose();
        let (after, before) = (key("after", self.after)?, key("before", self.before)?);
        Ok(Page { after, before, limit, backward, count })
    }
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
    page: &Page,
    rows: Rows<V>,
    key: impl Fn(&V) -> String,
    node: impl Fn(V) -> Node,
) -> Pages<V, Node> {
    // In the other direction, the row of the cursor is what is known to be there.
    let (previous, next) = if page.backward {
        (rows.more, page.before.is_some())
    } else {
        (page.after.is_some(), rows.more)
    };
    let total = Total { total_count: rows.total.unwrap_or_default() };
    let mut connection = Connection::with_additional_fields(previous, next, total);
    let edges = rows.rows.into_iter().map(|row| Edge::new(Cursor::new(key(&row)), node(row)));
    connection.edges.extend(edges);
    connection
}

/// A place between two rows of `V`.
pub struct Cursor<V> {
    key: String,
    view: PhantomData<fn() -> V>,
}

impl<V> Cursor<V> {
    fn new(key: String) -> Self {
        Self { key, view: PhantomData }
    }
}

impl<V: View> CursorType for Cursor<V> {
    type Error = Infallible;

    fn decode_cursor(text: &str) -> Result<Self, Infallible> {
        // Arguments are read by `Arguments::page`, which can say which one is wrong.
        Ok(Self::new(text.to_owned()))
    }

    fn encode_cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{FORMAT} {} {}", V::TABLE, self.key))
    }
}

fn size(argument: &str, rows: i64) -> Result<u32, Failure> {
    u32::try_from(rows).ok().filter(|it| (1..=PAGE_MAXIMUM).contains(it)).ok_or_else(|| {
        Failure::invalid(
            [argument],
            format!("{argument} is {rows}, and may be 1 to {PAGE_MAXIMUM}"),
        )
    })
}

fn key<V: View>(argument: &str, text: &str) -> Result<String, Failure> {
    let wrong = || {
        let view = V::TABLE;
        let message =
            format!("{argument} is no cursor of {view}: send back, unchanged, what an answer gave");
        Failure::invalid([argument], message)
    };
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    let mut parts = text.splitn(3, ' ');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(FORMAT), Some(table), Some(key))
            // In the one form that answers give: others would be compared with keys as other texts.
            if table == V::TABLE
                && key.parse::<V::Key>().is_ok_and(|it| it.to_string() == key)
                && !key.contains('\0') =>
        {
            Ok(key.to_owned())
        }
        _ => Err(wrong()),
    }
}
