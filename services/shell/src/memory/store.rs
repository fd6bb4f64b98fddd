//! A store in memory: what a context decided and what it shows. Each call is one transaction.
use super::{
    ledger::MemoryLedger,
    locks::Locks,
    seat::{Faults, Seat},
    views::MemoryViews,
};
use crate::{
    clock::Clock,
    port::store::{
        BuildOrder, Change, CheckpointRow, ClaimChange, DeadLetter, EventRow, Generation, Holder,
        LedgerRow, Mark, OutcomeRow, ParkedEvent, SnapshotRow, Store, StoreError,
    },
    view::ViewDefinition,
};
use chrono::{DateTime, Utc};
use shared_events::Fingerprint;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;
use uuid::Uuid;

/// A store in memory. Cheap to clone: all clones are the same store.
#[derive(Clone)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    pub(super) changed: Arc<Notify>,
    /// Held while rows that span streams are folded.
    pub(super) locks: Locks,
    pub(super) seat: Seat,
}

#[derive(Default)]
struct Inner {
    contexts: BTreeMap<String, Database>,
    away: bool,
    answers_lost: bool,
    /// The state of the random source that says how long a call takes; 0: no time at all.
    slowness: u64,
    /// How often the server has failed over.
    life: u64,
}

/// The store of one context.
#[derive(Default)]
pub(super) struct Database {
    pub(super) ledger: BTreeMap<i32, LedgerRow>,
    pub(super) events: BTreeMap<(i32, i64), EventRow>,
    pub(super) streams: BTreeMap<Uuid, Vec<(i32, i64)>>,
    pub(super) outcomes: BTreeMap<Uuid, OutcomeRow>,
    pub(super) claims: BTreeMap<(String, String), Holder>,
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) snapshots: BTreeMap<(Uuid, String), SnapshotRow>,
    pub(super) schemas: BTreeMap<Fingerprint, String>,
    pub(super) views: BTreeMap<Generation, Table>,
    /// Which generation of a version of a view is read.
    pub(super) live: BTreeMap<(&'static str, String), i32>,
    /// The commands in the order in which they were committed.
    pub(super) journal: Vec<Uuid>,
    /// What operators did.
    pub(super) aside: super::letters::Done,
}

/// One generation of a view.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) parts: usize,
    pub(super) order: BuildOrder,
    pub(super) is_complete: bool,
    pub(super) rows: BTreeMap<String, serde_json::Value>,
    pub(super) checkpoints: BTreeMap<(String, i32), CheckpointRow>,
    pub(super) parked: Vec<ParkedEvent>,
    /// What its batches changed, and when.
    pub(super) changes: Vec<(DateTime<Utc>, Change)>,
    /// Streams that are to be tried again, by the numbers of the requests.
    pub(super) asked: BTreeMap<i64, (String, i32, Uuid)>,
}

impl Table {
    pub(super) fn has_caught_up(&self) -> bool {
        self.checkpoints.values().filter(|it| it.caught_up).count() >= self.parts
    }

    /// What changed after this mark, in order.
    pub(super) fn changes_after(&self, mark: &Mark, limit: i64) -> Vec<Change> {
        let is_after = |it: &&Change| {
            (&it.topic, it.part) == (&mark.topic, mark.part)
                && (it.pseq > mark.pseq
                    || it.pseq == mark.pseq && it.from_pseq == it.pseq && it.number > mark.number)
        };
        let mut found: Vec<Change> =
            self.changes.iter().map(|it| &it.1).filter(is_after).cloned().collect();
        found.sort_by_key(|it| (it.pseq, it.number));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        found
    }
}

impl Database {
    /// What is read of a view.
    pub(super) fn live_table(&self, view: &ViewDefinition) -> Option<&Table> {
        let generation = *self.live.get(&(view.table, view.hash.clone()))?;
        self.views.get(&Generation { table: view.table, hash: view.hash.clone(), generation })
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            inner: Arc::default(),
            changed: Arc::default(),
            locks: Locks::default(),
            seat: Seat { who: 0, clock, faults: None },
        }
    }

    /// The same store as this process uses it.
    pub(super) fn seen_from(&self, who: u32, clock: Clock, faults: Arc<dyn Faults>) -> Self {
        Self { seat: Seat { who, clock, faults: Some(faults) }, ..self.clone() }
    }

    /// Whether it stops answering.
    pub fn set_away(&self, away: bool) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).away = away;
    }

    /// Whether what it is told to do takes effect, and its answers are lost.
    pub fn set_answers_lost(&self, lost: bool) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).answers_lost = lost;
    }

    /// From now on calls of the loops take a few turns of the runtime, before and after they take effect, so that
    /// other tasks come in between (or the caller's end does); which ones, `seed` decides.
    pub fn set_slow(&self, seed: u64) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).slowness = seed;
    }

    /// All events of a context, in order of partition and `pseq`.
    #[must_use]
    pub fn events(&self, context: &str) -> Vec<EventRow> {
        self.read(context, |it| it.events.values().cloned().collect())
    }

    /// What became of every command of a context.
    #[must_use]
    pub fn outcomes(&self, context: &str) -> Vec<OutcomeRow> {
        self.read(context, |it| it.outcomes.values().cloned().collect())
    }

    /// The dead letters of a context, in the order in which they came.
    #[must_use]
    pub fn dead_letters(&self, context: &str) -> Vec<DeadLetter> {
        self.read(context, |it| it.dead_letters.clone())
    }

    /// The ledger of a context.
    #[must_use]
    pub fn ledger_rows(&self, context: &str) -> Vec<LedgerRow> {
        self.read(context, |it| it.ledger.values().cloned().collect())
    }

    /// The unique values of a context that are taken.
    #[must_use]
    pub fn claims(&self, context: &str) -> Vec<ClaimChange> {
        self.read(context, |it| {
            let claim = |((kind, value), holder): (&(String, String), &Holder)| ClaimChange {
                kind: kind.clone(),
                value: value.clone(),
                expected: None,
                next: Some(*holder),
            };
            it.claims.iter().map(claim).collect()
        })
    }

    /// The snapshots of a context.
    #[must_use]
    pub fn snapshots(&self, context: &str) -> Vec<SnapshotRow> {
        self.read(context, |it| it.snapshots.values().cloned().collect())
    }

    /// The rows of what is read of every version of a view.
    #[must_use]
    pub fn rows(&self, context: &str, table: &str) -> Vec<serde_json::Value> {
        self.read(context, |it| {
            let is_live =
                |of: &Generation| it.live.get(&(of.table, of.hash.clone())) == Some(&of.generation);
            let tables = it.views.iter().filter(|(of, _)| of.table == table && is_live(of));
            tables.flat_map(|(_, it)| it.rows.values().cloned()).collect()
        })
    }

    /// Changes every row of a view, as nobody should.
    pub fn spoil(&self, context: &str, table: &str, spoil: impl Fn(&mut serde_json::Value)) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let views = &mut inner.contexts.entry(context.to_owned()).or_default().views;
        let tables = views.iter_mut().filter(|(of, _)| of.table == table);
        tables.for_each(|(_, it)| it.rows.values_mut().for_each(&spoil));
    }

    /// The number of events of a partition that a view has, in the generation that is furthest behind.
    #[must_use]
    pub fn shown(&self, context: &str, table: &str, topic: &str, part: i32) -> i64 {
        self.read(context, |it| {
            let tables = it.views.iter().filter(|(of, _)| of.table == table);
            let place = (topic.to_owned(), part);
            let shown = tables.map(|(_, it)| it.checkpoints.get(&place).map_or(0, |it| it.pseq));
            shown.min().unwrap_or_default()
        })
    }

    /// The events of a view that wait.
    #[must_use]
    pub fn parked(&self, context: &str, table: &str) -> Vec<ParkedEvent> {
        self.read(context, |it| {
            let tables = it.views.iter().filter(|(of, _)| of.table == table);
            tables.flat_map(|(_, it)| it.parked.clone()).collect()
        })
    }

    /// The ids of a context's commands, in the order in which they were committed.
    #[must_use]
    pub fn commit_order(&self, context: &str) -> Vec<Uuid> {
        self.read(context, |it| it.journal.clone())
    }

    /// The views of a context as they are now, to be [put back](Self::put_back_views).
    #[must_use]
    pub fn copy_views(&self, context: &str) -> ViewsCopy {
        self.read(context, |it| ViewsCopy(it.views.clone(), it.live.clone()))
    }

    /// Takes the views of a context back to what they were: views do not wait for the disk, so that a server that
    /// fails takes their last commits with it, rows and checkpoints alike. Every connection breaks.
    pub fn put_back_views(&self, context: &str, copy: ViewsCopy) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let database = inner.contexts.entry(context.to_owned()).or_default();
        (database.views, database.live) = (copy.0, copy.1);
        inner.life += 1;
    }

    /// A connection finds out at its next call that the server it was made to is gone.
    fn connected(&self, life: &mut u64) -> Result<(), StoreError> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(life, inner.life) == inner.life {
            return Ok(());
        }
        Err(StoreError::Away("the server has failed over".into()))
    }

    fn read<T>(&self, context: &str, read: impl FnOnce(&Database) -> T) -> T {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        read(inner.contexts.entry(context.to_owned()).or_default())
    }

    /// One transaction of a loop, which takes as long as it takes.
    pub(super) async fn call<T, E: From<StoreError>>(
        &self,
        context: &str,
        life: &mut u64,
        what: &'static str,
        act: impl FnOnce(&mut Database) -> Result<T, E>,
    ) -> Result<T, E> {
        self.dawdle().await;
        let transaction = || {
            self.connected(life)?;
            self.with(context, act)
        };
        let result = self.seat.call(what, transaction).await;
        self.dawdle().await;
        if result.is_ok() && self.inner.lock().unwrap_or_else(PoisonError::into_inner).answers_lost
        {
            return Err(StoreError::Away("told to lose its answers".into()).into());
        }
        result
    }

    fn life(&self) -> u64 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).life
    }

    async fn dawdle(&self) {
        let turns = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let state = &mut inner.slowness;
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            *state >> 32 & 3
        };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    /// One transaction.
    pub(super) fn with<T, E: From<StoreError>>(
        &self,
        context: &str,
        act: impl FnOnce(&mut Database) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.away {
            return Err(StoreError::Away("told to be away".into()).into());
        }
        act(inner.contexts.entry(context.to_owned()).or_default())
    }
}

/// The views of a context at some moment.
pub struct ViewsCopy(BTreeMap<Generation, Table>, BTreeMap<(&'static str, String), i32>);

impl Store for MemoryStore {
    type Ledger = MemoryLedger;
    type Views = MemoryViews;

    fn ledger(&self, context: &str) -> MemoryLedger {
        MemoryLedger { store: self.clone(), context: context.to_owned(), life: self.life() }
    }

    fn views(&self, context: &str) -> MemoryViews {
        MemoryViews {
            store: self.clone(),
            context: context.to_owned(),
            lock: None,
            life: self.life(),
        }
    }
}
