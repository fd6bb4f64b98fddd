//! Why a row of a view is what it is: its events are folded once more, one by one, and whatever each of them changes is
//! noted, with the command and the request that it came from.
//!
//! It is read as of the view's own checkpoint, so that the row in the view and the one that is folded here are the same
//! unless one of them is wrong.
mod trace;

pub use trace::{Field, SetBy};

use crate::{
    history::{HistoryError, Schemas, difference, short},
    port::store::{EventRow, RawRows, Reads, Versions},
    view::ViewDefinition,
};
use functions::{Context, Decider, Parts, View};
use serde::Serialize;
use serde_json::{Map, Value};
use shared_events::Family;
use std::collections::BTreeMap;
use trace::{AnyTrace, Taken, Trace};
use uuid::Uuid;

/// Why a row is what it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// The view.
    pub view: &'static str,
    /// The key of the row.
    pub key: String,
    /// The row in the view; `None` if there is none.
    pub row: Option<Map<String, Value>>,
    /// The row that its events make.
    pub folded: Option<Map<String, Value>>,
    /// The fields in which the two differ: none, unless the view is wrong, or waits for an event that it cannot fold.
    pub differs: Vec<String>,
    /// Each field, and what set it.
    pub fields: Vec<Field>,
    /// The event that took the row away, if there is none.
    pub removed_by: Option<SetBy>,
    /// How many events are about the row.
    pub events: u64,
    /// How many events were looked at to find those.
    pub looked_at: u64,
    /// Whether all events of the context were looked at, rather than those of a stream.
    pub scanned: bool,
    /// Whether that ended before the last one, so that something may be missing here.
    pub ended_early: bool,
    /// How many events are about the row and not in the view yet.
    pub not_yet: u64,
    /// What could not be folded, in words: the first few.
    pub unreadable: Vec<String>,
}

/// A row cannot be explained.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ExplainError {
    /// There is no such view in the context.
    #[error("{context} has no view {view:?}; it has {}", .views.join(", "))]
    NoView {
        /// The context.
        context: &'static str,
        /// What was asked for.
        view: String,
        /// What there is.
        views: Vec<&'static str>,
    },
    /// The key is none of the view's.
    #[error("{key:?} is no {column} of {view}: {why}")]
    NoKey {
        /// What was given.
        key: String,
        /// The column.
        column: &'static str,
        /// The view.
        view: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The view is being made.
    #[error("the view {0} is being built: ask again once it is there")]
    Rebuilding(&'static str),
    /// The past cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// Explains the row of a view of the context `C`. At most `events_max` events are looked at, and of a field that many
/// events changed the newest `set_by_max` are named.
///
/// # Errors
/// There is no such view or key, or the store does not answer.
pub async fn explain<C: Context>(
    reads: &dyn Reads,
    view: &str,
    key: &str,
    events_max: u64,
    set_by_max: usize,
) -> Result<Explained, ExplainError> {
    let mut find = Find { view, key, set_by_max, context: C::NAME, views: Vec::new(), found: None };
    C::parts(&mut find);
    let (view, views) = (view.to_owned(), find.views);
    let found = find.found.ok_or(ExplainError::NoView { context: C::NAME, view, views })?;
    let (view, trace) = found?;
    let looking = Looking {
        reads,
        view,
        trace,
        events_max,
        shown: BTreeMap::new(),
        looked_at: 0,
        scanned: false,
        ended_early: false,
        not_yet: 0,
        unreadable: Vec::new(),
    };
    looking.run(key).await
}

/// A view, and the trace of one of its rows.
type Found = (ViewDefinition, Box<dyn AnyTrace>);

/// Finds the view of a name, and begins to trace its row.
struct Find<'a> {
    view: &'a str,
    key: &'a str,
    set_by_max: usize,
    context: &'static str,
    views: Vec<&'static str>,
    found: Option<Result<Found, ExplainError>>,
}

impl Parts for Find<'_> {
    fn decider<D: Decider>(&mut self) -> &mut Self {
        self
    }

    fn view<V: View>(&mut self) -> &mut Self {
        self.views.push(V::TABLE);
        if V::TABLE == self.view {
            let no_key = |why| ExplainError::NoKey {
                key: self.key.to_owned(),
                column: V::KEY,
                view: V::TABLE,
                why,
            };
            let trace = Trace::<V>::new(self.key, self.set_by_max).map_err(no_key);
            let definition = ViewDefinition::of::<V>(self.context);
            self.found = Some(trace.map(|it| (definition, Box::new(it) as Box<dyn AnyTrace>)));
        }
        self
    }
}

/// One look at one row.
struct Looking<'a> {
    reads: &'a dyn Reads,
    view: ViewDefinition,
    trace: Box<dyn AnyTrace>,
    events_max: u64,
    /// How far the view is, by topic and partition.
    shown: BTreeMap<(String, i32), i64>,
    looked_at: u64,
    scanned: bool,
    ended_early: bool,
    not_yet: u64,
    unreadable: Vec<String>,
}

impl Looking<'_> {
    async fn run(mut self, key: &str) -> Result<Explained, ExplainError> {
        let query = self.trace.query();
        let read = self.reads.rows(self.view.context, &self.view, &query).await;
        let read = read.map_err(HistoryError::from)?;
        let RawRows { rows, checkpoints, .. } =
            read.ok_or(ExplainError::Rebuilding(self.view.table))?;
        self.trace.is(&rows).map_err(HistoryError::from)?;
        self.shown = checkpoints.into_iter().map(|it| ((it.topic, it.part), it.pseq)).collect();
        let stream = key.parse::<Uuid>().ok().filter(|_| !self.view.spans_streams);
        for family in self.view.follows.clone() {
            let schemas = Schemas::new(self.reads, family.context);
            // Mostly the row is that of a stream.
            let found = match stream {
                Some(it) => self.look_at(family, &schemas, it).await?,
                None => false,
            };
            if !found {
                self.scan(family, &schemas, stream.is_some()).await?;
            }
        }
        let Self { view, trace, looked_at, scanned, ended_early, not_yet, unreadable, .. } = self;
        let traced = trace.end();
        let empty = Map::new();
        let (row, folded) =
            (traced.row.as_ref().unwrap_or(&empty), traced.folded.as_ref().unwrap_or(&empty));
        let differs = difference(row, folded).into_iter().map(|it| it.field).collect();
        Ok(Explained {
            view: view.table,
            key: traced.key,
            differs,
            row: traced.row,
            folded: traced.folded,
            fields: traced.fields,
            removed_by: traced.removed_by,
            events: traced.events,
            looked_at,
            scanned,
            ended_early,
            not_yet,
            unreadable,
        })
    }

    /// The events of one stream. Whether any is about the row.
    async fn look_at(
        &mut self,
        family: &Family,
        schemas: &Schemas<'_>,
        stream: Uuid,
    ) -> Result<bool, ExplainError> {
        let (mut first, mut found) = (1, false);
        while !self.is_enough() {
            let last = i64::MAX;
            let versions = Versions { first, last, newest_first: false, limit: CHUNK };
            let rows = self.reads.events_of(family.context, stream, versions).await;
            let rows = rows.map_err(HistoryError::from)?;
            for row in &rows {
                first = row.version + 1;
                found |= self.take(family, schemas, row).await? != Taken::Other;
            }
            if rows.len() < usize::try_from(CHUNK).unwrap_or_default() {
                break;
            }
        }
        Ok(found)
    }

    /// All events of the context. Where a row is found by its stream, and this one was not, they say so soon.
    async fn scan(
        &mut self,
        family: &Family,
        schemas: &Schemas<'_>,
        may_be_by_stream: bool,
    ) -> Result<(), ExplainError> {
        let mut place = (Uuid::nil(), 0);
        while !self.is_enough() {
            let rows = self.reads.events_after(family.context, place, CHUNK).await;
            let rows = rows.map_err(HistoryError::from)?;
            if let Some(first) = rows.first()
                && may_be_by_stream
                && let Ok(schema) = schemas.of(first).await
                && self.trace.is_by_stream(family.topic, first, &schema)
            {
                return Ok(());
            }
            self.scanned = true;
            for row in &rows {
                place = (row.stream, row.version);
                self.take(family, schemas, row).await?;
            }
            if rows.len() < usize::try_from(CHUNK).unwrap_or_default() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn is_enough(&mut self) -> bool {
        self.ended_early |= self.looked_at >= self.events_max;
        self.ended_early
    }

    async fn take(
        &mut self,
        family: &Family,
        schemas: &Schemas<'_>,
        row: &EventRow,
    ) -> Result<Taken, ExplainError> {
        self.looked_at += 1;
        let place = (family.topic.to_owned(), row.part);
        let is_shown = self.shown.get(&place).is_some_and(|pseq| row.pseq <= *pseq);
        let taken = match schemas.of(row).await {
            Ok(schema) => self.trace.take(family.topic, row, &schema, is_shown),
            Err(HistoryError::Unreadable { why, .. }) => Err(why),
            Err(error) => return Err(error.into()),
        };
        match taken {
            Ok(taken) => {
                self.not_yet += u64::from(taken == Taken::NotYet);
                Ok(taken)
            }
            Err(why) => {
                if self.unreadable.len() < UNREADABLE_MAX {
                    let (version, stream, record) = (row.version, row.stream, short(&row.record));
                    self.unreadable
                        .push(format!("event {version} of stream {stream} ({record}): {why}"));
                }
                Ok(Taken::Other)
            }
        }
    }
}

const CHUNK: i64 = 1000;
const UNREADABLE_MAX: usize = 10;
