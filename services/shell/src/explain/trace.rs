//! One row, folded event by event: pure, so that it does not matter where the events come from.
use crate::{
    aggregator::fold::{Source, folded, key_of},
    history::{Origin, short},
    port::store::{EventRow, StoreError},
    reads::Query,
};
use chrono::{DateTime, Utc};
use functions::{Happened, View};
use serde::Serialize;
use serde_json::{Map, Value};
use shared_events::WriterSchema;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A field of a row, and what set it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it is, or was before the row was taken away.
    pub value: Value,
    /// How many events changed it.
    pub changes: u64,
    /// The newest of those events, newest first.
    pub set_by: Vec<SetBy>,
}

/// An event that changed a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetBy {
    /// What happened.
    pub record: String,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// To which stream.
    pub stream: Uuid,
    /// The event's number there.
    pub version: i64,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// What an event is to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is about another row, or none.
    Other,
    /// It is folded.
    Folded,
    /// It is about the row, and the view has not come to it.
    NotYet,
}

/// All that was found out.
pub(super) struct Traced {
    pub(super) key: String,
    pub(super) row: Option<Map<String, Value>>,
    pub(super) folded: Option<Map<String, Value>>,
    pub(super) fields: Vec<Field>,
    pub(super) removed_by: Option<SetBy>,
    pub(super) events: u64,
}

/// A [`Trace`] of whatever view.
pub(super) trait AnyTrace: Send {
    /// Asks the view for the row.
    fn query(&self) -> Query;
    /// What the view answered.
    fn is(&mut self, rows: &str) -> Result<(), StoreError>;
    /// Folds an event, if it is about the row and in the view. Why that cannot be, in words.
    fn take(
        &mut self,
        topic: &str,
        row: &EventRow,
        schema: &WriterSchema,
        is_shown: bool,
    ) -> Result<Taken, String>;
    /// Whether the row of an event is that of its stream.
    fn is_by_stream(&self, topic: &str, row: &EventRow, schema: &WriterSchema) -> bool;
    fn end(self: Box<Self>) -> Traced;
}

/// A row of `V` as it comes to be.
pub(super) struct Trace<V: View> {
    key: V::Key,
    sources: Vec<Source<V>>,
    row: Option<V>,
    folded: Option<V>,
    /// What each field was last.
    last: Map<String, Value>,
    fields: BTreeMap<String, (u64, Vec<SetBy>)>,
    removed_by: Option<SetBy>,
    events: u64,
    set_by_max: usize,
}

impl<V: View> Trace<V> {
    /// Of the row with this key; the error says why the text is none.
    pub(super) fn new(key: &str, set_by_max: usize) -> Result<Self, String> {
        let key: V::Key =
            key.parse().map_err(|it: <V::Key as std::str::FromStr>::Err| it.to_string())?;
        Ok(Self {
            key,
            sources: Source::all(),
            row: None,
            folded: None,
            last: Map::new(),
            fields: BTreeMap::new(),
            removed_by: None,
            events: 0,
            set_by_max,
        })
    }

    fn note(&mut self, after: Option<&V>, by: &SetBy) {
        self.events += 1;
        let Some(after) = after else {
            if self.folded.is_some() {
                self.removed_by = Some(by.clone());
            }
            return;
        };
        self.removed_by = None;
        let (is_new, after) = (self.folded.is_none(), json(after));
        for (name, value) in &after {
            if !is_new && self.last.get(name) == Some(value) {
                continue;
            }
            let (changes, set_by) = self.fields.entry(name.clone()).or_default();
            *changes += 1;
            // Streams come one after another, and their events are spread over time.
            let place = set_by.partition_point(|it| order(it) > order(by));
            set_by.insert(place, by.clone());
            set_by.truncate(self.set_by_max);
        }
        self.last = after;
    }
}

/// Newer events come later.
fn order(it: &SetBy) -> (DateTime<Utc>, i32, i64) {
    (it.at, it.origin.part, it.origin.pseq)
}

impl<V: View> AnyTrace for Trace<V> {
    fn query(&self) -> Query {
        Query::keys::<V>([self.key.clone()])
    }

    fn is(&mut self, rows: &str) -> Result<(), StoreError> {
        let rows: Vec<V> = serde_json::from_str(rows)
            .map_err(|error| StoreError::Broken(format!("a row of {}: {error}", V::TABLE)))?;
        self.row = rows.into_iter().next();
        Ok(())
    }

    fn take(
        &mut self,
        topic: &str,
        row: &EventRow,
        schema: &WriterSchema,
        is_shown: bool,
    ) -> Result<Taken, String> {
        let happened = Happened { at: row.at, version: row.version };
        let Some(source) = self.sources.iter().find(|it| it.family.topic == topic) else {
            return Ok(Taken::Other);
        };
        // What this build does not know, its views pass over.
        let Some(folds) = source.decode(schema, &row.data)? else { return Ok(Taken::Other) };
        let mut taken = Taken::Other;
        for fold in folds {
            if key_of(fold.as_ref(), &happened)? != Some(self.key.to_string()) {
                continue;
            }
            if !is_shown {
                return Ok(Taken::NotYet);
            }
            let after = folded(fold.as_ref(), self.folded.clone(), &happened)?;
            let by = SetBy {
                record: short(&row.record).to_owned(),
                at: row.at,
                stream: row.stream,
                version: row.version,
                origin: Origin::of(row),
            };
            self.note(after.as_ref(), &by);
            self.folded = after;
            taken = Taken::Folded;
        }
        Ok(taken)
    }

    fn is_by_stream(&self, topic: &str, row: &EventRow, schema: &WriterSchema) -> bool {
        let happened = Happened { at: row.at, version: row.version };
        let source = self.sources.iter().find(|it| it.family.topic == topic);
        let folds = source.and_then(|it| it.decode(schema, &row.data).ok().flatten());
        folds.into_iter().flatten().any(|fold| {
            let key = key_of(fold.as_ref(), &happened);
            key.is_ok_and(|it| it == Some(row.stream.to_string()))
        })
    }

    fn end(self: Box<Self>) -> Traced {
        let Self { key, row, folded, mut last, mut fields, removed_by, events, .. } = *self;
        let columns = V::columns();
        let field = |name: &'static str| {
            let (changes, set_by) = fields.remove(name)?;
            Some(Field { name, value: last.remove(name).unwrap_or_default(), changes, set_by })
        };
        Traced {
            key: key.to_string(),
            row: row.as_ref().map(json),
            folded: folded.as_ref().map(json),
            fields: columns.iter().map(|it| it.name).filter_map(field).collect(),
            removed_by,
            events,
        }
    }
}

/// The fields of a row.
fn json<V: View>(row: &V) -> Map<String, Value> {
    match serde_json::to_value(row) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
