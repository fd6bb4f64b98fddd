//! The read side of a context in memory.
use super::{
    letters,
    locks::Lock,
    store::{Database, MemoryStore},
};
use crate::{
    defect::{self, Defect},
    port::store::{
        Aside, Asked, Change, CheckpointRow, Generation, StoreError, Touched, ViewBatch, Views,
        WriteError,
    },
    view::ViewDefinition,
};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// The read side of a context in memory.
pub struct MemoryViews {
    pub(super) store: MemoryStore,
    pub(super) context: String,
    /// Of the server that it is connected to.
    pub(super) life: u64,
    /// Held between a load and its write.
    pub(super) lock: Option<Lock>,
}

impl MemoryViews {
    pub(super) async fn with<T, E: From<StoreError>>(
        &mut self,
        what: &'static str,
        act: impl FnOnce(&mut Database) -> Result<T, E>,
    ) -> Result<T, E> {
        self.store.call(&self.context, &mut self.life, what, act).await
    }
}

impl Views for MemoryViews {
    async fn acquire(
        &mut self,
        of: &Generation,
        parts: &[(String, i32)],
    ) -> Result<Vec<CheckpointRow>, StoreError> {
        self.with("acquire a view", |it| {
            let Some(table) = it.views.get_mut(of) else { return Err(dropped(of)) };
            let take = |place: &(String, i32)| {
                let row = table.checkpoints.entry(place.clone()).or_insert_with(|| CheckpointRow {
                    topic: place.0.clone(),
                    part: place.1,
                    incarnation: 0,
                    epoch: 0,
                    pseq: 0,
                    next_offset: 0,
                    caught_up: false,
                });
                row.epoch += 1;
                row.clone()
            };
            Ok(parts.iter().map(take).collect())
        })
        .await
    }

    async fn aside(
        &mut self,
        of: &Generation,
        parts: &[(String, i32)],
    ) -> Result<Aside, StoreError> {
        self.with("read what is aside", |it| {
            let is_mine = |topic: &String, part| parts.contains(&(topic.clone(), part));
            let parked = it.views.get(of).into_iter().flat_map(|it| &it.parked);
            let parked = parked.filter(|it| is_mine(&it.topic, it.part));
            let parked = parked.map(|it| (it.topic.clone(), it.part, it.stream, it.reason.clone()));
            let discarded = it.aside.discarded(of.table);
            let discarded = discarded.filter(|it| is_mine(&it.topic, it.part));
            Ok(Aside {
                parked: parked.collect(),
                discarded: discarded.map(|it| (it.topic.clone(), it.part, it.pseq)).collect(),
            })
        })
        .await
    }

    async fn asked(
        &mut self,
        of: &Generation,
        parts: &[(String, i32)],
    ) -> Result<Vec<Asked>, StoreError> {
        self.with("read what is asked", |it| {
            let Some(table) = it.views.get(of) else { return Ok(Vec::new()) };
            Ok(letters::asked(table, parts))
        })
        .await
    }

    async fn load(
        &mut self,
        view: &ViewDefinition,
        of: &Generation,
        keys: &[String],
        lock: bool,
    ) -> Result<BTreeMap<String, serde_json::Value>, StoreError> {
        if lock {
            self.lock = Some(self.store.locks.take(view.table, &self.store.seat.clock).await);
        }
        self.with("load rows", |it| {
            let Some(table) = it.views.get(of) else { return Ok(BTreeMap::new()) };
            let row = |key: &String| Some((key.clone(), table.rows.get(key)?.clone()));
            Ok(keys.iter().filter_map(row).collect())
        })
        .await
    }

    async fn write(
        &mut self,
        _view: &ViewDefinition,
        of: &Generation,
        batch: &ViewBatch,
    ) -> Result<(), WriteError> {
        let lock = self.lock.take();
        let is_held = || lock.as_ref().is_none_or(Lock::is_held);
        if defect::is(Defect::CheckpointOutsideTransaction) {
            let rows = self.with("write rows", |it| {
                check(it, of, batch, is_held())?;
                keep_rows(it, of, batch);
                Ok::<(), WriteError>(())
            });
            rows.await?;
        }
        let now = self.store.seat.clock.now();
        let written = self.with("write rows", |it| {
            check(it, of, batch, is_held())?;
            keep_rows(it, of, batch);
            keep_changes(it, of, batch, now);
            let table = it.views.entry(of.clone()).or_default();
            for it in &batch.checkpoints {
                table.checkpoints.insert((it.to.topic.clone(), it.to.part), it.to.clone());
            }
            table.parked.extend(batch.parked.iter().cloned());
            for it in &batch.tried {
                letters::settle(table, it);
            }
            Ok(())
        });
        let written = written.await;
        drop(lock);
        self.store.changed.notify_waiters();
        written
    }

    async fn forget_changes(
        &mut self,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<u64, StoreError> {
        self.with("forget changes", |it| {
            let mut left = u64::try_from(limit).unwrap_or_default();
            let mut forgotten = 0;
            for table in it.views.values_mut() {
                table.changes.retain(|(at, _)| {
                    let goes = *at < before && left > 0;
                    left -= u64::from(goes);
                    forgotten += u64::from(goes);
                    !goes
                });
            }
            Ok(forgotten)
        })
        .await
    }

    async fn roll_back(&mut self) {
        self.lock = None;
    }
}

/// What Postgres' comparisons and types refuse.
fn check(
    it: &Database,
    of: &Generation,
    batch: &ViewBatch,
    is_held: bool,
) -> Result<(), WriteError> {
    if !is_held {
        return Err(StoreError::Away("the transaction was idle for too long".into()).into());
    }
    let table = it.views.get(of);
    for to in &batch.checkpoints {
        let place = (to.to.topic.clone(), to.to.part);
        let row = table.and_then(|it| it.checkpoints.get(&place));
        if row.is_none_or(|row| (row.epoch, row.pseq) != (to.to.epoch, to.from_pseq)) {
            return Err(WriteError::Fenced);
        }
    }
    // As Postgres: no text may have a character U+0000.
    if batch.rows.values().flatten().any(|it| it.to_string().contains("\\u0000")) {
        return Err(WriteError::Data("a text with U+0000".into()));
    }
    Ok(())
}

fn dropped(of: &Generation) -> StoreError {
    StoreError::Broken(format!("generation {} of {} was dropped", of.generation, of.table))
}

fn keep_rows(it: &mut Database, of: &Generation, batch: &ViewBatch) {
    let table = it.views.entry(of.clone()).or_default();
    for (key, row) in &batch.rows {
        match row {
            Some(row) => drop(table.rows.insert(key.clone(), row.clone())),
            None => drop(table.rows.remove(key)),
        }
    }
}

fn keep_changes(it: &mut Database, of: &Generation, batch: &ViewBatch, now: DateTime<Utc>) {
    let table = it.views.entry(of.clone()).or_default();
    for it in &batch.checkpoints {
        let place = (it.to.topic.clone(), it.to.part);
        let Some(Touched { keys, traces }) = batch.changes.get(&place).cloned() else { continue };
        let number = 1 + table.changes.last().map_or(0, |(_, last)| last.number);
        let (from_pseq, pseq, keys) = (it.from_pseq, it.to.pseq, keys.into_iter().collect());
        let (topic, part) = place;
        table.changes.push((now, Change { topic, part, from_pseq, pseq, number, keys, traces }));
    }
}
