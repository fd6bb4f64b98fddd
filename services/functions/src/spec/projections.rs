//! Given events, the rows.
use super::{NOW, difference::difference, history::History};
use crate::{ColumnKind, Happened, Message, Project, View};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use std::{any::TypeId, collections::BTreeMap};
use uuid::Uuid;

/// The rows that a view shows after these events; versions are counted per stream.
/// [`Projected::at`] sets the time of what follows.
///
/// # Panics
/// As [`Projected::and`].
#[track_caller]
pub fn projected<V: Project<E>, E: Message>(events: impl IntoIterator<Item = E>) -> Projected<V> {
    Projected::new().and(events)
}

/// A view after some events.
#[derive(Clone, Debug)]
pub struct Projected<V: View> {
    rows: BTreeMap<V::Key, V>,
    /// Which stream a row is of, where rows are of one stream.
    streams: BTreeMap<V::Key, Uuid>,
    /// The last event of each stream, apart for each family of events.
    last: BTreeMap<(TypeId, Uuid), Happened>,
    now: DateTime<Utc>,
}

impl<V: View> Default for Projected<V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), streams: BTreeMap::new(), last: BTreeMap::new(), now: NOW }
    }
}

impl<V: View> Projected<V> {
    /// A view without any event yet: to set the time of the first.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All that follows happens at this instant (not before the last event of its stream, though).
    #[must_use]
    pub fn at(mut self, now: DateTime<Utc>) -> Self {
        self.now = now;
        self
    }

    /// These events happened too.
    ///
    /// # Panics
    /// If a row is not what its table can hold (another column than the view names, another type, another key), does
    /// not come back from JSON as it was, or is touched by a second stream although the view does not say that its
    /// rows span streams.
    #[must_use]
    #[track_caller]
    pub fn and<E: Message>(mut self, events: impl IntoIterator<Item = E>) -> Self
    where
        V: Project<E>,
    {
        for event in events {
            let last = self.last.get(&(TypeId::of::<E>(), event.stream())).copied();
            let happened = Happened {
                at: last.map_or(self.now, |it| it.at.max(self.now)),
                version: last.map_or(1, |it| it.version + 1),
            };
            self.happen(&event, happened);
        }
        self
    }

    /// These events happened too, when and as it says there.
    ///
    /// # Panics
    /// As [`and`](Self::and).
    #[must_use]
    #[track_caller]
    pub fn and_history<E: Message>(mut self, history: &History<E>) -> Self
    where
        V: Project<E>,
    {
        for (happened, event) in history {
            self.happen(event, *happened);
        }
        self
    }

    /// The row of a key, if there is one.
    #[must_use]
    pub fn row(&self, key: &V::Key) -> Option<&V> {
        self.rows.get(key)
    }

    /// All rows by their keys.
    #[must_use]
    pub fn rows(&self) -> &BTreeMap<V::Key, V> {
        &self.rows
    }

    /// The view shows exactly these rows, in the order of their keys; what follows builds upon them.
    ///
    /// # Panics
    /// If it shows anything else.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "most specifications end here")]
    pub fn then(self, expected: impl IntoIterator<Item = V>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        let shown: Vec<_> = self.rows.values().cloned().collect();
        assert!(
            shown == expected,
            "view {:?} shows other rows than expected\n\n{}",
            V::TABLE,
            difference(&expected, &shown)
        );
        self
    }

    #[track_caller]
    fn happen<E: Message>(&mut self, event: &E, happened: Happened)
    where
        V: Project<E>,
    {
        self.last.insert((TypeId::of::<E>(), event.stream()), happened);
        let Some(key) = V::key(event, &happened) else { return };
        if !V::SPANS_STREAMS {
            let stream = *self.streams.entry(key.clone()).or_insert(event.stream());
            assert!(
                stream == event.stream(),
                "row {key} of view {:?} is made of stream {stream} and of stream {}: say `spans streams`, \
                 or choose another key",
                V::TABLE,
                event.stream()
            );
        }
        match V::project(self.rows.get(&key).cloned(), event, &happened) {
            Some(row) => {
                check_row(&row, &key);
                self.rows.insert(key, row);
            }
            None => drop(self.rows.remove(&key)),
        }
    }
}

/// The table of the view can hold the row, and gives it back unchanged.
#[track_caller]
fn check_row<V: View>(row: &V, key: &V::Key) {
    let table = V::TABLE;
    let json = match serde_json::to_value(row) {
        Ok(Value::Object(json)) => json,
        Ok(other) => panic!("a row of view {table:?} is an object in JSON, not {other}"),
        Err(why) => panic!("{row:?} of view {table:?} cannot be written as JSON: {why}"),
    };
    for column in V::columns() {
        let value = json.get(column.name).unwrap_or(&Value::Null);
        let fits = match (column.kind, value) {
            (_, Value::Null) => column.nullable && json.contains_key(column.name),
            (ColumnKind::Text, Value::String(it)) => !it.contains('\0'),
            (ColumnKind::Uuid, Value::String(it)) => it.parse::<Uuid>().is_ok(),
            (ColumnKind::Date, Value::String(it)) => it.parse::<NaiveDate>().is_ok(),
            (ColumnKind::Instant, Value::String(it)) => it.parse::<DateTime<Utc>>().is_ok(),
            (ColumnKind::Integer, Value::Number(it)) => it.is_i64(),
            (ColumnKind::Boolean, Value::Bool(_)) => true,
            _ => false,
        };
        assert!(
            fits,
            "view {table:?} has a column {column:?}, which cannot hold {value} of {row:?}"
        );
    }
    if let Some(name) = json.keys().find(|it| V::columns().iter().all(|column| column.name != **it))
    {
        panic!("view {table:?} names no column for the field {name:?} of its row");
    }
    let named = json.get(V::KEY).and_then(Value::as_str).unwrap_or_default();
    assert!(
        named == key.to_string(),
        "an event is about row {key} of view {table:?}, but the row after it says {named:?} in its key {:?}",
        V::KEY
    );
    match serde_json::from_value::<V>(Value::Object(json)) {
        Ok(read) => assert!(
            read == *row,
            "a row of view {table:?} comes back changed from JSON (instants have microseconds)\n\n{}",
            difference(row, &read)
        ),
        Err(why) => panic!("{row:?} of view {table:?} cannot be read back from JSON: {why}"),
    }
}
