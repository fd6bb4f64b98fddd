//! The write side of a context in memory.
use super::store::{Database, MemoryStore};
use crate::{
    defect::{self, Defect},
    port::store::{
        Batch, EventRow, Found, History, Ledger, LedgerRow, LookUp, SnapshotRow, StoreError,
        WriteError,
    },
};
use chrono::{DateTime, Utc};
use shared_events::Fingerprint;
use uuid::Uuid;

/// The write side of a context in memory.
pub struct MemoryLedger {
    pub(super) store: MemoryStore,
    pub(super) context: String,
    /// Of the server that it is connected to.
    pub(super) life: u64,
}

impl MemoryLedger {
    async fn with<T, E: From<StoreError>>(
        &mut self,
        what: &'static str,
        act: impl FnOnce(&mut Database) -> Result<T, E>,
    ) -> Result<T, E> {
        self.store.call(&self.context, &mut self.life, what, act).await
    }
}

impl Ledger for MemoryLedger {
    async fn acquire(&mut self, parts: &[i32]) -> Result<Vec<LedgerRow>, StoreError> {
        self.with("acquire", |it| {
            let take = |part: &i32| {
                let row = it.ledger.entry(*part).or_insert_with(|| new_row(*part));
                row.epoch += 1;
                row.clone()
            };
            Ok(parts.iter().map(take).collect())
        })
        .await
    }

    async fn rewind(
        &mut self,
        part: i32,
        epoch: i64,
        next_offset: i64,
    ) -> Result<Option<LedgerRow>, StoreError> {
        self.with("rewind", |it| {
            let row = it.ledger.get_mut(&part).filter(|it| it.epoch == epoch);
            Ok(row.map(|row| {
                row.epoch += 1;
                row.next_offset = next_offset;
                row.clone()
            }))
        })
        .await
    }

    async fn rows(&mut self, parts: &[i32]) -> Result<Vec<LedgerRow>, StoreError> {
        self.with("rows", |it| {
            Ok(parts.iter().filter_map(|part| it.ledger.get(part).cloned()).collect())
        })
        .await
    }

    async fn look_up(&mut self, ask: &LookUp) -> Result<Found, StoreError> {
        self.with("look up", |it| {
            let mut found = Found::default();
            for (stream, fold) in &ask.streams {
                let Some(places) = it.streams.get(stream) else { continue };
                let snapshot = it.snapshots.get(&(*stream, fold.clone())).cloned();
                let after = snapshot.as_ref().map_or(0, |it| it.version);
                let events = places.iter().filter_map(|place| it.events.get(place));
                // The event of the snapshot as well: it tells the partition.
                let events = events.filter(|it| it.version >= after.max(1)).cloned().collect();
                found.streams.insert(*stream, History { snapshot, events });
            }
            for claim in &ask.claims {
                if let Some(holder) = it.claims.get(claim) {
                    found.claims.insert(claim.clone(), *holder);
                }
            }
            for id in &ask.outcomes {
                if let Some(outcome) = it.outcomes.get(id) {
                    found.outcomes.insert(*id, outcome.clone());
                }
            }
            Ok(found)
        })
        .await
    }

    async fn write(&mut self, batch: &Batch) -> Result<(), WriteError> {
        if defect::is(Defect::OffsetWithoutEvents) {
            self.with("write", |it| {
                check(it, batch)?;
                move_on(it, batch);
                Ok::<(), WriteError>(())
            })
            .await?;
            return self
                .with("write", |it| {
                    keep(it, batch);
                    Ok(())
                })
                .await;
        }
        self.with("write", |it| {
            check(it, batch)?;
            move_on(it, batch);
            keep(it, batch);
            Ok(())
        })
        .await
    }

    async fn dead_letters(
        &mut self,
        records: &[(i32, i64, Vec<u8>)],
    ) -> Result<Vec<(i32, i64)>, StoreError> {
        self.with("dead letters", |it| {
            let known = |(part, offset, digest): &&(i32, i64, Vec<u8>)| {
                it.dead_letters.iter().any(|letter| {
                    (letter.part, letter.offset) == (*part, *offset) && letter.digest == *digest
                })
            };
            Ok(records.iter().filter(known).map(|(part, offset, _)| (*part, *offset)).collect())
        })
        .await
    }

    async fn events_after(
        &mut self,
        part: i32,
        pseq: i64,
        limit: i64,
    ) -> Result<Vec<EventRow>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or_default();
        self.with("events after", |it| {
            let events = it.events.range((part, pseq + 1)..=(part, i64::MAX));
            Ok(events.take(limit).map(|(_, event)| event.clone()).collect())
        })
        .await
    }

    async fn published(&mut self, marks: &[(i32, i64, i64, i64)]) -> Result<(), StoreError> {
        self.with("published", |it| {
            for (part, epoch, published, offset) in marks {
                if let Some(row) = it.ledger.get_mut(part).filter(|it| it.epoch == *epoch) {
                    row.published = *published;
                    row.published_offset = *offset;
                }
            }
            Ok(())
        })
        .await
    }

    async fn forget_outcomes(
        &mut self,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<(), StoreError> {
        let limit = usize::try_from(limit).unwrap_or_default();
        self.with("forget outcomes", |it| {
            let old = it.outcomes.values().filter(|row| row.at < before).take(limit);
            let old: Vec<Uuid> = old.map(|row| row.command_id).collect();
            it.outcomes.retain(|id, _| !old.contains(id));
            Ok(())
        })
        .await
    }

    async fn keep_snapshots(&mut self, snapshots: &[SnapshotRow]) -> Result<(), StoreError> {
        self.with("keep snapshots", |it| {
            for row in snapshots {
                it.snapshots.insert((row.stream, row.fold.clone()), row.clone());
            }
            Ok(())
        })
        .await
    }

    async fn keep_schemas(&mut self, schemas: &[(Fingerprint, String)]) -> Result<(), StoreError> {
        self.with("keep schemas", |it| {
            it.schemas.extend(schemas.iter().cloned());
            Ok(())
        })
        .await
    }

    async fn schema(&mut self, fingerprint: Fingerprint) -> Result<Option<String>, StoreError> {
        self.with("schema", |it| Ok(it.schemas.get(&fingerprint).cloned())).await
    }
}

fn new_row(part: i32) -> LedgerRow {
    LedgerRow {
        part,
        incarnation: 1,
        epoch: 0,
        next_offset: 0,
        pseq: 0,
        published: 0,
        published_offset: -1,
    }
}

fn move_on(it: &mut Database, batch: &Batch) {
    for to in &batch.moves {
        if let Some(row) = it.ledger.get_mut(&to.part) {
            row.next_offset = to.to_offset;
            row.pseq = to.pseq;
            row.published = row.published.max(to.published);
            row.published_offset = row.published_offset.max(to.published_offset);
        }
    }
}

fn keep(it: &mut Database, batch: &Batch) {
    for event in &batch.events {
        it.events.insert((event.part, event.pseq), event.clone());
        it.streams.entry(event.stream).or_default().push((event.part, event.pseq));
    }
    it.journal.extend(batch.outcomes.iter().map(|it| it.command_id));
    for outcome in &batch.outcomes {
        it.outcomes.insert(outcome.command_id, outcome.clone());
    }
    for change in &batch.claims {
        let name = (change.kind.clone(), change.value.clone());
        match change.next {
            _ if defect::is(Defect::ClaimNotWritten) => {}
            Some(holder) => drop(it.claims.insert(name, holder)),
            None => drop(it.claims.remove(&name)),
        }
    }
    it.dead_letters.extend(batch.dead_letters.iter().cloned());
}

/// What Postgres' constraints and comparisons refuse, in the same order.
fn check(it: &Database, batch: &Batch) -> Result<(), WriteError> {
    for to in &batch.moves {
        let matches = it
            .ledger
            .get(&to.part)
            .is_some_and(|row| (row.epoch, row.next_offset) == (to.epoch, to.from_offset));
        if !matches && !defect::is(Defect::EpochNotCompared) {
            return Err(WriteError::Fenced);
        }
    }
    let is_known = batch.outcomes.iter().any(|new| it.outcomes.contains_key(&new.command_id));
    if is_known && !defect::is(Defect::OutcomeNotCompared) {
        return Err(WriteError::OutcomeExists);
    }
    for change in &batch.claims {
        let name = (change.kind.clone(), change.value.clone());
        let holder = it.claims.get(&name).map(|it| it.stream);
        if holder != change.expected && !defect::is(Defect::ClaimNotCompared) {
            return Err(WriteError::ClaimTaken);
        }
    }
    for event in &batch.events {
        let versions = it.streams.get(&event.stream).map_or(0, Vec::len);
        let exists = it.events.contains_key(&(event.part, event.pseq));
        if exists || usize::try_from(event.version).is_ok_and(|it| it <= versions) {
            return Err(WriteError::Corrupt(format!(
                "event {} of partition {}, version {} of {}",
                event.pseq, event.part, event.version, event.stream
            )));
        }
    }
    Ok(())
}
