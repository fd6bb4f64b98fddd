//! What happened to the streams of a context, and what they were: read from the events, whoever wrote them and when.
//!
//! Nothing here is on the way of a command, and nothing is kept in memory but the page, or the one state, that is asked
//! for. Events that were written by older builds are shown as what they mean today; those of newer builds by name only.
mod difference;
mod happening;
mod state;

pub use difference::{Change, difference};
pub(crate) use happening::short;
pub use happening::{Happening, Origin};
pub use state::Moment;

use crate::{
    handler::decider::{AnyState, Deciders},
    port::store::{EventRow, Past, StoreError, Versions},
};
use chrono::{DateTime, Utc};
use functions::Context;
use shared_events::{Fingerprint, WriterSchema, known_schema};
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};
use uuid::Uuid;

/// What can be told about the past of a context.
pub struct History<'a> {
    past: &'a dyn Past,
    context: &'static str,
    deciders: Deciders,
    schemas: Schemas<'a>,
}

/// Which events of a stream are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only those that come after the event with this version, in the order that is asked for.
    pub after: Option<i64>,
    /// The newest first.
    pub newest_first: bool,
    /// At most so many events as they were written; of one that was split later, all that it became.
    pub limit: u32,
}

/// A page of a stream's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// In the order that was asked for.
    pub events: Vec<Happening>,
    /// Whether more come after them.
    pub more: bool,
    /// How many events the stream has.
    pub total: i64,
}

/// As of when a stream is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// After all that is written down.
    Now,
    /// After so many events.
    Version(i64),
    /// After all events that were decided at this instant or before.
    Instant(DateTime<Utc>),
}

/// What a look at many streams came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// How many streams were looked at.
    pub streams: u64,
    /// How many events that took.
    pub events: u64,
    /// The last stream that was looked at, if there may be more after it.
    pub next: Option<Uuid>,
}

/// The past cannot be told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HistoryError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event stands in the way, of a newer build most likely.
    #[error("event {version} of stream {stream} ({record}) cannot be read: {why}")]
    Unreadable {
        /// The stream.
        stream: Uuid,
        /// The event's number there.
        version: i64,
        /// The record's full name.
        record: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Schemas that events were written with.
pub(crate) struct Schemas<'a> {
    past: &'a dyn Past,
    context: &'static str,
    known: Mutex<HashMap<Fingerprint, Arc<WriterSchema>>>,
}

impl<'a> Schemas<'a> {
    pub(crate) fn new(past: &'a dyn Past, context: &'static str) -> Self {
        Self { past, context, known: Mutex::default() }
    }

    /// The schema of an event.
    pub(crate) async fn of(&self, event: &EventRow) -> Result<Arc<WriterSchema>, HistoryError> {
        let known =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&event.schema).cloned();
        if let Some(it) = known {
            return Ok(it);
        }
        let json = match known_schema(event.schema) {
            Some(it) => Some(it.json().to_owned()),
            None => self.past.schema(self.context, event.schema).await?,
        };
        let json = json.ok_or_else(|| unreadable(event, "its schema is nowhere".to_owned()))?;
        let schema = WriterSchema::parse(&json).map_err(|it| unreadable(event, it.to_string()))?;
        let schema = Arc::new(schema);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(event.schema, Arc::clone(&schema));
        Ok(schema)
    }
}

impl<'a> History<'a> {
    /// The past of the context `C`.
    #[must_use]
    pub fn of<C: Context>(past: &'a dyn Past) -> Self {
        let (context, deciders) = (C::NAME, Deciders::of::<C>());
        Self { past, context, deciders, schemas: Schemas::new(past, context) }
    }

    /// Events of a stream. One that cannot be read is among them, and says why.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn events(&self, stream: Uuid, page: Page) -> Result<Events, HistoryError> {
        let (first, last) = match (page.after, page.newest_first) {
            (None, _) => (1, i64::MAX),
            (Some(after), false) => (after.saturating_add(1), i64::MAX),
            (Some(after), true) => (1, after.saturating_sub(1)),
        };
        let (newest_first, limit) = (page.newest_first, i64::from(page.limit));
        // One more than asked for tells whether there are more. What is appended meanwhile moves no version.
        let versions = Versions { first, last, newest_first, limit: limit + 1 };
        let mut rows = self.past.events_of(self.context, stream, versions).await?;
        let total = self.past.length(self.context, stream).await?;
        let asked = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > asked;
        rows.truncate(asked);
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            let told = match self.schemas.of(row).await {
                Ok(schema) => self.told(row, &schema),
                Err(HistoryError::Unreadable { why, .. }) => Err(why),
                Err(error) => return Err(error),
            };
            let mut became = Happening::all(row, told);
            if newest_first {
                became.reverse();
            }
            events.append(&mut became);
        }
        Ok(Events { events, more, total })
    }

    fn told(
        &self,
        row: &EventRow,
        schema: &WriterSchema,
    ) -> Result<Vec<(&'static str, serde_json::Value)>, String> {
        let decider = self.deciders.for_event(&row.record);
        let decider = decider.ok_or("no decider of this build knows such an event")?;
        self.deciders.at(decider).told(schema, &row.data).map_err(|it| it.to_string())
    }

    /// What a stream was; `None` if it had no events by then.
    ///
    /// # Errors
    /// If the store does not answer, or an event before that cannot be read.
    pub async fn as_of(&self, stream: Uuid, as_of: AsOf) -> Result<Option<Moment>, HistoryError> {
        let last = if let AsOf::Version(it) = as_of { it } else { i64::MAX };
        let mut folded: Option<Moment> = None;
        loop {
            let first = folded.as_ref().map_or(1, |it| it.version + 1);
            let versions = Versions { first, last, newest_first: false, limit: CHUNK };
            let rows = self.past.events_of(self.context, stream, versions).await?;
            for row in &rows {
                if let AsOf::Instant(at) = as_of
                    && row.at > at
                {
                    return Ok(folded);
                }
                folded = Some(self.after(folded, row).await?);
            }
            if rows.len() < usize::try_from(CHUNK).unwrap_or_default() {
                return Ok(folded);
            }
        }
    }

    /// The stream after one more event.
    async fn after(&self, before: Option<Moment>, row: &EventRow) -> Result<Moment, HistoryError> {
        let schema = self.schemas.of(row).await?;
        let state = match before {
            Some(it) => it.state,
            None => self.fresh(row)?,
        };
        let evolved = evolved(state, &schema, row).map_err(|why| unreadable(row, why))?;
        Ok(Moment { stream: row.stream, version: row.version, at: row.at, state: evolved })
    }

    fn fresh(&self, row: &EventRow) -> Result<Box<dyn AnyState>, HistoryError> {
        let decider = self.deciders.for_event(&row.record).ok_or_else(|| {
            unreadable(row, "no decider of this build knows such an event".to_owned())
        })?;
        Ok(self.deciders.at(decider).empty())
    }

    /// Looks at the streams of the context one after another, in the order of their ids and as they are now: a scan, in the
    /// memory of one of them. It ends when `found` says so, after `events_max` events, or with the last stream; one that
    /// cannot be read is passed over with `skipped`.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn streams(
        &self,
        after: Option<Uuid>,
        events_max: u64,
        mut found: impl FnMut(Moment) -> bool,
        mut skipped: impl FnMut(HistoryError),
    ) -> Result<Looked, HistoryError> {
        let mut place = after.map_or((Uuid::nil(), 0), |it| (it, i64::MAX));
        let mut looked = Looked { next: after, ..Looked::default() };
        // Of one that cannot be read the rest is not folded.
        let mut folded: Option<Result<Moment, Uuid>> = None;
        let id = |it: &Result<Moment, Uuid>| it.as_ref().map_or_else(|id| *id, |it| it.stream);
        loop {
            let rows = self.past.events_after(self.context, place, CHUNK).await?;
            for row in &rows {
                place = (row.stream, row.version);
                let same = folded.as_ref().is_some_and(|it| id(it) == row.stream);
                if !same && let Some(done) = folded.take() {
                    looked.streams += 1;
                    looked.next = Some(id(&done));
                    if done.is_ok_and(&mut found) || looked.events >= events_max {
                        return Ok(looked);
                    }
                }
                looked.events += 1;
                folded = match folded.take() {
                    Some(Err(id)) => Some(Err(id)),
                    before => match self.after(before.and_then(Result::ok), row).await {
                        Ok(it) => Some(Ok(it)),
                        Err(error @ HistoryError::Unreadable { .. }) => {
                            skipped(error);
                            Some(Err(row.stream))
                        }
                        Err(error) => return Err(error),
                    },
                };
            }
            if rows.len() < usize::try_from(CHUNK).unwrap_or_default() {
                if let Some(done) = folded {
                    looked.streams += 1;
                    let _ = done.is_ok_and(&mut found);
                }
                return Ok(Looked { next: None, ..looked });
            }
        }
    }
}

fn evolved(
    mut state: Box<dyn AnyState>,
    schema: &WriterSchema,
    row: &EventRow,
) -> Result<Box<dyn AnyState>, String> {
    catch_unwind(AssertUnwindSafe(|| state.evolve(schema, &row.data).map(|()| state)))
        .map_err(|_| "taking note of it panicked".to_owned())?
        .map_err(|error| error.to_string())
}

pub(crate) fn unreadable(event: &EventRow, why: String) -> HistoryError {
    let (stream, version, record) = (event.stream, event.version, event.record.clone());
    HistoryError::Unreadable { stream, version, record, why }
}

/// So many events are in memory at once.
const CHUNK: i64 = 1000;
