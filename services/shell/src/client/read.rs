//! Reading views: never older than what the reader has seen, or not at all (protocol.md R3, R4).
use super::command::Client;
use crate::{
    defect::{self, Defect},
    port::store::{CheckpointRow, Export, Head, RawRows, StoreError},
    position::Position,
    reads::{Count, Counts, Exported, Query, ReadError, Rows, Unserved, Value},
    telemetry::metric,
    view::ViewDefinition,
};
use functions::{ColumnKind, View};
use futures::{StreamExt as _, future::BoxFuture};
use std::{collections::BTreeMap, time::Duration};

/// A notification only wakes; without one, the view is looked at again after this (R4).
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Client {
    /// Rows of a view that are at least as new as `seen`, waiting for at most `wait` until they are.
    ///
    /// # Errors
    /// [`ReadError`] says what is missing.
    pub async fn read<V: View>(
        &self,
        query: Query,
        seen: &Position,
        wait: Duration,
    ) -> Result<Rows<V>, ReadError> {
        let view = self.view::<V>()?;
        query.check(view)?;
        let ask = || self.0.reads.rows(view.context, view, &query);
        rows(view, &query, &self.as_new_as(view, seen, wait, ask).await?)
    }

    /// How many rows there are, as [`read`](Client::read) would see them.
    ///
    /// # Errors
    /// [`ReadError`] says what is missing.
    pub async fn count<V: View>(
        &self,
        counts: Counts,
        seen: &Position,
        wait: Duration,
    ) -> Result<Rows<Count>, ReadError> {
        let view = self.view::<V>()?;
        counts.check(view)?;
        let ask = || self.0.reads.counts(view.context, view, &counts);
        counted(view, &counts, &self.as_new_as(view, seen, wait, ask).await?)
    }

    /// All rows that a query asks for, whatever its limit, as of one instant that is not before `seen`: a few at a time.
    ///
    /// # Errors
    /// [`ReadError`] says what is missing.
    pub async fn export<V: View>(
        &self,
        query: Query,
        seen: &Position,
        wait: Duration,
    ) -> Result<Exported, ReadError> {
        let view = self.view::<V>()?;
        query.check(view)?;
        let none = Query::first(0);
        self.as_new_as(view, seen, wait, || self.0.reads.rows(view.context, view, &none)).await?;
        let export = self.0.reads.export(view.context, view, &query).await;
        let away = |error: StoreError| ReadError::Unavailable(error.to_string());
        let rebuilding = || ReadError::Rebuilding { view: view.table.to_owned() };
        let Export { checkpoints, rows } = export.map_err(away)?.ok_or_else(rebuilding)?;
        if let Some(missing) = missing(view, &checkpoints, seen)? {
            return Err(ReadError::Pending { missing });
        }
        let table = view.table;
        let chunk = move |json: Result<String, StoreError>| {
            let parsed = serde_json::from_str(&json.map_err(away)?);
            parsed.map_err(|error| ReadError::Unavailable(format!("a row of {table}: {error}")))
        };
        let position = position(view, &checkpoints);
        Ok(Exported { position, rows: rows.map(chunk).boxed() })
    }

    pub(super) fn view<V: View>(&self) -> Result<&ViewDefinition, ReadError> {
        self.0.views.get(V::TABLE).ok_or_else(|| {
            ReadError::Unavailable(format!("the view {} is not part of this fleet", V::TABLE))
        })
    }

    /// What the store answers once the view has come to `seen`.
    pub(super) async fn as_new_as<'a>(
        &'a self,
        view: &'a ViewDefinition,
        seen: &Position,
        wait: Duration,
        ask: impl Fn() -> BoxFuture<'a, Result<Option<RawRows>, StoreError>>,
    ) -> Result<RawRows, ReadError> {
        let (clock, mut waited) = (&self.0.clock, false);
        let begun = clock.elapsed();
        let answer = self.waited_for(view, seen, wait, ask, &mut waited).await;
        if waited {
            let outcome = if answer.is_ok() { "came" } else { "missing" };
            let took = clock.elapsed().saturating_sub(begun);
            metrics::histogram!(metric::POSITION_WAIT_DURATION.name, "outcome" => outcome)
                .record(took.as_secs_f64());
        }
        answer
    }

    async fn waited_for<'a>(
        &'a self,
        view: &'a ViewDefinition,
        seen: &Position,
        wait: Duration,
        ask: impl Fn() -> BoxFuture<'a, Result<Option<RawRows>, StoreError>>,
        waited: &mut bool,
    ) -> Result<RawRows, ReadError> {
        let it = &*self.0;
        let until = it.clock.elapsed() + wait;
        let mut checked = false;
        // When what was heard is not believed any more: a notification may be lost.
        let mut look_at = it.clock.elapsed() + LOOK_AGAIN.min(wait);
        loop {
            // Listens before it looks.
            let changed = it.reads.changed(view.context);
            let now = it.clock.elapsed();
            if now < look_at && self.is_behind(view, seen) {
                if !checked {
                    checked = true;
                    self.check_given_out(view, seen).await?;
                }
                *waited = true;
                // Of all that wait, only those ask the store for rows whose rows have come.
                it.clock.timeout(look_at.saturating_sub(it.clock.elapsed()), changed).await;
                continue;
            }
            look_at = until.min(now + LOOK_AGAIN);
            let raw = ask().await.map_err(|error| ReadError::Unavailable(error.to_string()))?;
            let rebuilding = || ReadError::Rebuilding { view: view.table.to_owned() };
            let left = until.saturating_sub(it.clock.elapsed());
            match raw {
                Some(raw) => match missing(view, &raw.checkpoints, seen)? {
                    None => return Ok(raw),
                    Some(missing) => {
                        if !checked {
                            checked = true;
                            self.check_given_out(view, seen).await?;
                        }
                        if left.is_zero() {
                            return Err(ReadError::Pending { missing });
                        }
                    }
                },
                None if left.is_zero() => return Err(rebuilding()),
                None => {}
            }
            *waited = true;
            it.clock.timeout(LOOK_AGAIN.min(left), changed).await;
        }
    }

    /// Whether the view is known to have not come to `seen` yet.
    fn is_behind(&self, view: &ViewDefinition, seen: &Position) -> bool {
        seen.entries().any(|it| {
            let family = view.follows.iter().find(|family| family.context == it.context);
            let heard = |topic| self.0.reads.heard(view.context, view, topic, it.part);
            family
                .and_then(|it| heard(it.topic))
                .is_some_and(|(incarnation, pseq)| incarnation == it.incarnation && pseq < it.pseq)
        })
    }

    /// A position beyond the ledger's own was never given out: nobody has to wait for it (R3).
    async fn check_given_out(
        &self,
        view: &ViewDefinition,
        seen: &Position,
    ) -> Result<(), ReadError> {
        let mut heads: BTreeMap<&str, Vec<Head>> = BTreeMap::new();
        for family in &view.follows {
            let rows = self.0.reads.heads(family.context).await;
            let rows = rows.map_err(|error| ReadError::Unavailable(error.to_string()))?;
            heads.insert(family.context, rows);
        }
        for it in seen.entries() {
            let Some(heads) = heads.get(it.context) else { continue };
            let head = heads.iter().find(|head| head.part == it.part);
            let is_known =
                head.is_some_and(|head| head.incarnation == it.incarnation && it.pseq <= head.pseq);
            if !is_known {
                return Err(ReadError::Failed(format!(
                    "the position names event {} of partition {} of {}, which was never given out",
                    it.pseq, it.part, it.context
                )));
            }
        }
        Ok(())
    }
}

/// What the reader has seen and the view has not, in words.
fn missing(
    view: &ViewDefinition,
    checkpoints: &[CheckpointRow],
    seen: &Position,
) -> Result<Option<String>, ReadError> {
    if defect::is(Defect::PositionIgnored) {
        return Ok(None);
    }
    for it in seen.entries() {
        let Some(family) = view.follows.iter().find(|family| family.context == it.context) else {
            continue;
        };
        let place = |row: &&CheckpointRow| row.topic == family.topic && row.part == it.part;
        let checkpoint = checkpoints.iter().find(place);
        match checkpoint {
            Some(row) if row.incarnation != 0 && row.incarnation != it.incarnation => {
                return Err(ReadError::Failed(format!(
                    "the position is of incarnation {} of {}, the view of {}",
                    it.incarnation, it.context, row.incarnation
                )));
            }
            Some(row) if row.pseq >= it.pseq => {}
            _ => {
                let has = checkpoint.map_or(0, |row| row.pseq);
                let events = it.pseq - has;
                return Ok(Some(format!("{events} events of {}/{}", family.topic, it.part)));
            }
        }
    }
    Ok(None)
}

fn rows<V: View>(
    view: &ViewDefinition,
    query: &Query,
    raw: &RawRows,
) -> Result<Rows<V>, ReadError> {
    let mut rows: Vec<V> = serde_json::from_str(&raw.rows)
        .map_err(|error| ReadError::Unavailable(format!("a row of {}: {error}", view.table)))?;
    let limit = query.limit.map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(usize::MAX));
    let more = rows.len() > limit;
    rows.truncate(limit);
    if query.backward {
        rows.reverse();
    }
    Ok(Rows { rows, total: raw.total, more, position: position(view, &raw.checkpoints) })
}

fn counted(
    view: &ViewDefinition,
    counts: &Counts,
    raw: &RawRows,
) -> Result<Rows<Count>, ReadError> {
    let groups: Vec<Vec<serde_json::Value>> = serde_json::from_str(&raw.rows)
        .map_err(|error| ReadError::Unavailable(format!("counts of {}: {error}", view.table)))?;
    if groups.len() > Counts::GROUPS_MAX {
        let (maximum, by) = (Counts::GROUPS_MAX, counts.by.join(", "));
        let message = format!("there are more than {maximum} different {by}: ask for fewer rows");
        return Err(Unserved::Filter(message).into());
    }
    let kinds: Vec<ColumnKind> =
        counts.by.iter().filter_map(|name| view.column(name)).map(|it| it.kind).collect();
    let line = |line: &Vec<serde_json::Value>| Count {
        values: kinds.iter().zip(line).map(|(kind, json)| Value::of_json(*kind, json)).collect(),
        rows: line.last().and_then(serde_json::Value::as_i64).unwrap_or_default(),
    };
    let rows = groups.iter().map(line).collect();
    Ok(Rows { rows, total: None, more: false, position: position(view, &raw.checkpoints) })
}

/// All that the view had seen.
pub(super) fn position(view: &ViewDefinition, checkpoints: &[CheckpointRow]) -> Position {
    let mut position = Position::new();
    for it in checkpoints {
        if let Some(family) = view.follows.iter().find(|family| family.topic == it.topic) {
            position.saw(family.context, it.incarnation, it.part, it.pseq);
        }
    }
    position
}
