//! The rows of views: what a column can hold, how a row is written as JSON, and what a row is found by.
//!
//! The shell knows a view's table only through [`View::columns`](crate::View::columns) and the JSON form of its rows
//! (Postgres reads and writes the same form), so no view comes with SQL of its own:
//!
//! | Rust | [`ColumnKind`] | JSON |
//! |---|---|---|
//! | [`Uuid`] | `Uuid` | hyphenated, in lower case |
//! | [`String`], a [`text_enum!`](crate::text_enum) | `Text` | text |
//! | `i64`, `i32` | `Integer` | number |
//! | `bool` | `Boolean` | `true`, `false` |
//! | [`DateTime<Utc>`](chrono::DateTime) | `Instant` | RFC 3339 with microseconds: `2026-11-20T10:00:00.123456Z` |
//! | [`NaiveDate`] | `Date` | ISO 8601: `2026-11-20` |
//! | [`Option`] of these | the same, nullable | `null`, or as above |
//!
//! There are no fractions on purpose: money is an integer of minor units, so that no number changes on its way
//! through JSON.
mod column;
mod declare;

pub use column::{ColumnType, serde_form};

use chrono::NaiveDate;
use std::{
    fmt::{Debug, Display},
    hash::Hash,
    str::FromStr,
};
use uuid::Uuid;

/// A column of a view's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// As the struct's field, in JSON too.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether it may be null.
    pub nullable: bool,
    /// The texts that it can have, if they are those of a [`text_enum!`](crate::text_enum).
    pub texts: Option<&'static Texts>,
}

impl Column {
    /// The column of a field of type `T`.
    #[must_use]
    pub fn of<T: ColumnType>(name: &'static str) -> Self {
        Self { name, kind: T::KIND, nullable: T::NULLABLE, texts: T::TEXTS }
    }
}

/// The texts that a column of an enum can have.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Texts {
    /// The enum's name.
    pub name: &'static str,
    /// Each text, in the order of declaration.
    pub all: &'static [&'static str],
}

/// An index of a view: rows can be asked for by its first column, and come in its order or the opposite one.
/// The key comes last in every index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The columns, each with the direction in which it is ordered; at least one.
    pub columns: Vec<(&'static str, Direction)>,
}

/// Which values come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The least.
    Ascending,
    /// The greatest.
    Descending,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnKind {
    /// An id.
    Uuid,
    /// Text without U+0000, ordered by its bytes (Postgres: collation "C"), as Rust orders it.
    Text,
    /// A 64-bit integer.
    Integer,
    /// True or false.
    Boolean,
    /// An instant in UTC, to the microsecond.
    Instant,
    /// A day.
    Date,
}

/// What a row is found by. Its text form (`Display`, and `FromStr` back) stands for it in queries and positions; it is
/// the text of its JSON form too.
///
/// Keys are ordered in Rust as the table orders them.
pub trait Key:
    ColumnType
    + Clone
    + Debug
    + Display
    + FromStr<Err: std::error::Error + Send + Sync + 'static>
    + Ord
    + Hash
    + Send
    + Sync
    + 'static
{
}

impl Key for Uuid {}
impl Key for NaiveDate {}
impl Key for String {}
