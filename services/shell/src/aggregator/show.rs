//! From records to rows: what is next, what each event makes of its row, and one transaction for all of it.
use super::{
    arrange::{Part, Verdict},
    fold::fold_all,
    shard::{Aggregator, Place, Trouble, status_of},
    understand::{Arrived, Reader, What},
};
use crate::{
    codec::headers_json,
    defect::{self, Defect},
    port::{
        log::{Consumer as _, Log, Record},
        store::{
            CheckpointMove, CheckpointRow, ParkedEvent, Store, StoreError, Touched, ViewBatch,
            Views as _, WriteError,
        },
    },
    status::PartStatus,
    telemetry::{metric, trace},
};
use functions::{Happened, View};
use futures::future::join;
use shared_events::headers::EventHeaders;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use uuid::Uuid;

/// An event that is next in its partition.
pub(super) struct Next<V> {
    place: Place,
    pub(super) record: Record,
    pub(super) headers: EventHeaders,
    what: What<V>,
    pub(super) after: After,
}

/// How far the partition is once the event is shown.
#[derive(Clone, Copy)]
pub(super) struct After {
    incarnation: i64,
    pseq: i64,
    next_offset: i64,
    pub(super) caught_up: bool,
}

/// Rows by their keys; `None`: there is none.
pub(super) type Rows<V> = BTreeMap<String, Option<V>>;

/// Why events were not shown.
pub(super) enum Shown {
    Trouble(Trouble),
    /// One of the rows has a value that the store cannot hold.
    Unstorable(String),
}

impl Shown {
    pub(super) fn into_trouble(self) -> Trouble {
        match self {
            Self::Trouble(trouble) => trouble,
            Self::Unstorable(why) => StoreError::Broken(why).into(),
        }
    }
}

impl From<StoreError> for Shown {
    fn from(error: StoreError) -> Self {
        Self::Trouble(error.into())
    }
}

impl<V: View, L: Log, S: Store> Aggregator<V, L, S> {
    /// Shows what came in; what the store cannot hold is found by going one by one.
    pub(super) async fn process(&mut self, arrived: Vec<Arrived<V>>) -> Result<(), Trouble> {
        let (events, moved) = self.arrange(arrived);
        if !moved.is_empty() {
            self.write(&ViewBatch { checkpoints: moved, ..ViewBatch::default() }).await?;
        }
        if events.is_empty() {
            self.tell_whether_caught_up();
            return Ok(());
        }
        match self.show(&events, None).await {
            Ok(()) => Ok(()),
            Err(Shown::Unstorable(why)) => {
                self.store.roll_back().await;
                tracing::warn!(view = self.view.table, %why, events = events.len(), "a row cannot be stored: looking for its event");
                for it in &events {
                    match self.show(std::slice::from_ref(it), None).await {
                        Ok(()) => {}
                        Err(Shown::Unstorable(why)) => {
                            let shown = self.show(std::slice::from_ref(it), Some(&why)).await;
                            shown.map_err(Shown::into_trouble)?;
                        }
                        Err(other) => return Err(other.into_trouble()),
                    }
                }
                Ok(())
            }
            Err(other) => Err(other.into_trouble()),
        }
    }

    /// The events that are next, in order, and the checkpoints that move without one.
    fn arrange(&mut self, arrived: Vec<Arrived<V>>) -> (Vec<Next<V>>, Vec<CheckpointMove>) {
        let mut events = Vec::with_capacity(arrived.len());
        let mut heads: BTreeMap<Place, Part> = BTreeMap::new();
        let mut parked: BTreeSet<(Place, Uuid)> = BTreeSet::new();
        let mut held: BTreeSet<Place> = BTreeSet::new();
        for Arrived { place, record, headers, what } in arrived {
            if held.contains(&place) {
                continue;
            }
            if !heads.contains_key(&place) {
                let Some(part) = self.parts.get(&place) else { continue };
                heads.insert(place.clone(), part.clone());
            }
            let Some(part) = heads.get_mut(&place) else { continue };
            let headers = match headers {
                Ok(it) => it,
                Err(error) => {
                    metrics::counter!(metric::FOREIGN_RECORDS.name, "view" => self.view.table)
                        .increment(1);
                    tracing::warn!(view = self.view.table, topic = %record.topic, part = record.part, offset = record.offset, %error, "passed over a record that is no event");
                    part.pass(record.offset);
                    continue;
                }
            };
            let verdict = part.take(record.offset, &headers);
            if verdict == Verdict::Foreign {
                let why = format!(
                    "incarnation {} follows {}: the write side began another life; rebuild the view",
                    headers.incarnation, part.row.incarnation
                );
                self.report.stuck(&record.topic, record.part, &why);
            }
            if verdict != Verdict::Next {
                continue;
            }
            let stream = (place.clone(), headers.stream);
            let what = match (self.parked.get(&stream), what) {
                (Some(reason), _) => What::Park(reason.clone()),
                (None, _) if parked.contains(&stream) => {
                    What::Park("an earlier event of the stream waits".into())
                }
                (None, _) if self.discarded.contains(&(place.clone(), headers.pseq)) => {
                    tracing::info!(
                        view = self.view.table,
                        part = record.part,
                        pseq = headers.pseq,
                        "passed over a discarded event"
                    );
                    What::Nothing
                }
                // A view as it was then does not know what happened later.
                (None, Ok(_)) if self.order.as_of.is_some_and(|it| headers.time > it) => {
                    What::Nothing
                }
                (None, Ok(what)) => what,
                (None, Err(why)) => {
                    // Nothing of the partition from here on, until it can be opened.
                    tracing::warn!(view = self.view.table, part = record.part, %why, "a partition waits");
                    self.hold(&place, &why);
                    heads.remove(&place);
                    events.retain(|it: &Next<V>| it.place != place);
                    held.insert(place);
                    continue;
                }
            };
            if matches!(what, What::Park(_)) {
                parked.insert(stream);
            }
            let CheckpointRow { incarnation, pseq, next_offset, caught_up, .. } = part.row;
            let after = After { incarnation, pseq, next_offset, caught_up };
            events.push(Next { place, record, headers, what, after });
        }
        let mut moved = Vec::new();
        for (place, part) in heads {
            let Some(it) = self.parts.get_mut(&place) else { continue };
            let caught_up = part.row.caught_up && !it.row.caught_up;
            it.read = part.read;
            it.skipped = part.skipped;
            it.gap = part.gap;
            it.row.next_offset = part.row.next_offset;
            it.row.caught_up = part.row.caught_up;
            // An event moves its checkpoint anyway, past what comes after it.
            match events.iter_mut().rev().find(|it| it.place == place) {
                Some(last) => {
                    last.after.next_offset = part.row.next_offset;
                    last.after.caught_up = part.row.caught_up;
                }
                None if caught_up => {
                    moved.push(CheckpointMove { from_pseq: it.row.pseq, to: it.row.clone() });
                }
                None => {}
            }
        }
        (events, moved)
    }

    fn hold(&mut self, place: &Place, why: &str) {
        if let Some(part) = self.parts.remove(place) {
            let status = PartStatus { trouble: Some(why.to_owned()), ..status_of(&part, None) };
            self.report.part(&self.topic(&place.0), place.1, status);
        }
        self.retry.insert(place.clone(), self.clock.elapsed() + HOLD_PAUSE);
    }

    /// Folds the events into their rows, and writes rows and checkpoints in one transaction.
    async fn show(&mut self, events: &[Next<V>], park: Option<&str>) -> Result<(), Shown> {
        let begun = self.clock.elapsed();
        let mut batch = ViewBatch::default();
        let about = events.iter().map(|it| (&it.what, it.headers.version));
        let mut rows = self.load(about).await?;
        let loaded = self.clock.elapsed();
        let mut touched: BTreeSet<String> = BTreeSet::new();
        let mut changed: BTreeMap<&Place, Touched> = BTreeMap::new();
        let mut parked: BTreeMap<(Place, Uuid), String> = BTreeMap::new();
        for it in events {
            let _span = tracing::debug_span!(
                "fold",
                view = self.view.table,
                command = %it.headers.causation,
                traceparent = it.headers.traceparent,
                part = it.place.1,
                pseq = it.headers.pseq,
            )
            .entered();
            let stream = (it.place.clone(), it.headers.stream);
            let waits = parked.get(&stream).or_else(|| self.parked.get(&stream));
            let reason = match (&it.what, park, waits) {
                (What::Park(reason), _, _) | (_, _, Some(reason)) => Some(reason.clone()),
                (_, Some(reason), None) => Some(reason.to_owned()),
                (What::Nothing, None, None) => None,
                (What::Events(folds), None, None) => {
                    let happened = Happened { at: it.headers.time, version: it.headers.version };
                    let folded = fold_all(folds, &happened, &mut rows, &mut touched);
                    if folded.is_ok() {
                        let keys = folds.iter().filter_map(|(key, _)| key.clone());
                        let changed = changed.entry(&it.place).or_default();
                        changed.keys.extend(keys);
                        let traced = it.headers.traceparent.clone();
                        let traced = traced.filter(|it| trace::is_wanted(Some(it)));
                        changed.traces.extend(traced.filter(|_| changed.traces.len() < TRACES_MAX));
                    }
                    folded.err()
                }
            };
            if let Some(reason) = reason {
                batch.parked.push(parked_event(it, &reason));
                parked.insert(stream, reason);
            }
        }
        batch.rows = as_json(&rows, &touched)?;
        let folded = self.clock.elapsed().saturating_sub(loaded);
        metrics::histogram!(metric::FOLD_DURATION.name, "view" => self.view.table)
            .record(folded.as_secs_f64());
        let mut after: BTreeMap<&Place, After> = BTreeMap::new();
        for it in events {
            after.insert(&it.place, it.after);
        }
        for (place, After { incarnation, pseq, next_offset, caught_up }) in &after {
            let Some(Part { row, .. }) = self.parts.get(*place) else { continue };
            let (incarnation, pseq, next_offset) = (*incarnation, *pseq, *next_offset);
            let caught_up = *caught_up;
            let to = CheckpointRow { incarnation, pseq, next_offset, caught_up, ..row.clone() };
            batch.checkpoints.push(CheckpointMove { from_pseq: row.pseq, to });
            // Nobody follows a view that is being built.
            if row.caught_up {
                let mut touched = changed.remove(*place).unwrap_or_default();
                touched.keys.retain(|_| !defect::is(Defect::ChangeLeftOut));
                batch.changes.insert((*place).clone(), touched);
            }
        }
        self.write_batch(&batch).await?;
        self.measure(events, begun);
        for (place, after) in after {
            if let Some(it) = self.parts.get_mut(place) {
                it.row.pseq = after.pseq;
                it.row.incarnation = after.incarnation;
                let status = status_of(it, None);
                self.report.part(&self.topic(&place.0), place.1, status);
            }
        }
        self.parked.extend(parked);
        self.keep_rows(rows, touched);
        metrics::counter!(metric::VIEW_EVENTS.name, "view" => self.view.table)
            .increment(events.len() as u64);
        metrics::counter!(metric::PARKED_EVENTS.name, "view" => self.view.table)
            .increment(batch.parked.len() as u64);
        for it in &batch.parked {
            tracing::warn!(view = self.view.table, part = it.part, pseq = it.pseq, stream = %it.stream, reason = it.reason, "an event waits: its stream is parked in this view");
        }
        self.tell_whether_caught_up();
        Ok(())
    }

    /// Rows as they were written are those that come next, where nobody else writes them.
    pub(super) fn keep_rows(&mut self, mut rows: Rows<V>, touched: BTreeSet<String>) {
        if !self.view.spans_streams {
            for key in touched {
                let row = rows.remove(&key).flatten();
                self.rows.put(key, row);
            }
        }
    }

    /// The rows that events are about, each given with its version.
    pub(super) async fn load<'a>(
        &mut self,
        events: impl Iterator<Item = (&'a What<V>, i64)>,
    ) -> Result<Rows<V>, Shown> {
        let mut rows = Rows::new();
        let mut missing: BTreeSet<&String> = BTreeSet::new();
        for (what, version) in events {
            let What::Events(folds) = what else { continue };
            for key in folds.iter().filter_map(|(key, _)| key.as_ref()) {
                if rows.contains_key(key) {
                    continue;
                }
                match self.rows.get(key) {
                    _ if self.view.spans_streams => drop(missing.insert(key)),
                    Some(row) => drop(rows.insert(key.clone(), row.clone())),
                    // Nothing made a row of the stream before its first event.
                    None if version == 1 => drop(rows.insert(key.clone(), None)),
                    None => drop(missing.insert(key)),
                }
            }
        }
        if missing.is_empty() {
            return Ok(rows);
        }
        let keys: Vec<String> = missing.into_iter().cloned().collect();
        let lock = self.view.spans_streams && !defect::is(Defect::RowsFoldedWithoutLock);
        let found = self.store.load(&self.view, &self.generation, &keys, lock).await?;
        for (key, json) in found {
            let row = serde_json::from_value(json).map_err(|error| {
                StoreError::Broken(format!("row {key} of {}: {error}", self.view.table))
            })?;
            rows.insert(key, Some(row));
        }
        Ok(rows)
    }

    pub(super) async fn write_batch(&mut self, batch: &ViewBatch) -> Result<(), Shown> {
        // What comes next is read and understood meanwhile.
        let Self { store, view, generation, consumer, codec, sources, settings, ahead, .. } = self;
        let reader = Reader { codec, sources, namespace: &settings.namespace, table: view.table };
        let read_ahead = async {
            if ahead.is_empty() {
                // Whatever is wrong with it, the next turn's own poll finds it out.
                let records = consumer.poll(settings.batch_max, Duration::ZERO).await;
                *ahead = reader.understand_all(records.unwrap_or_default()).await;
            }
        };
        let (clock, table) = (&self.clock, view.table);
        let writing = async {
            let begun = clock.elapsed();
            let written = store.write(view, generation, batch).await;
            let took = clock.elapsed().saturating_sub(begun);
            metrics::histogram!(metric::COMMIT_DURATION.name, "loop" => table)
                .record(took.as_secs_f64());
            written
        };
        let (written, ()) = join(writing, read_ahead).await;
        match written {
            Ok(()) => Ok(()),
            Err(error) => {
                self.store.roll_back().await;
                Err(match error {
                    WriteError::Fenced => Shown::Trouble(Trouble::Fenced),
                    WriteError::Data(why) => Shown::Unstorable(why),
                    WriteError::Store(error) => error.into(),
                    WriteError::Again(why) | WriteError::Corrupt(why) => {
                        StoreError::Away(why).into()
                    }
                    WriteError::ClaimTaken | WriteError::OutcomeExists => {
                        StoreError::Broken("a view has neither claims nor outcomes".into()).into()
                    }
                })
            }
        }
    }
}

/// The rows touched, as they are written.
pub(super) fn as_json<V: View>(
    rows: &Rows<V>,
    touched: &BTreeSet<String>,
) -> Result<BTreeMap<String, Option<serde_json::Value>>, Shown> {
    let json = |key: &String| {
        let row = rows.get(key).and_then(Option::as_ref);
        let json = row.map(serde_json::to_value).transpose();
        Ok((key.clone(), json.map_err(|error| Shown::Unstorable(error.to_string()))?))
    };
    touched.iter().map(json).collect()
}

fn parked_event<V>(it: &Next<V>, reason: &str) -> ParkedEvent {
    ParkedEvent {
        topic: it.place.0.clone(),
        part: it.place.1,
        pseq: it.headers.pseq,
        stream: it.headers.stream,
        reason: reason.replace('\0', "\u{fffd}"),
        headers: headers_json(&it.record.headers),
        payload: it.record.payload.clone(),
        at: it.headers.time,
    }
}

/// Of one batch and partition so many traces are told of the update that is pushed.
const TRACES_MAX: usize = 50;
/// Until a partition whose next event cannot be opened yet is tried again.
const HOLD_PAUSE: Duration = Duration::from_secs(1);
