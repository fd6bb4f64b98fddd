//! The loop itself: which partitions it owns, and the order in which things happen.
use super::{
    arrange::{Gap, Part},
    fold::Source,
    understand::{Arrived, Reader},
};
use crate::{
    clock::Clock,
    codec::Codec,
    defect::{self, Defect},
    port::{
        World,
        log::{Consumer as _, Log, LogError, Move},
        store::{
            BuildOrder, CheckpointMove, Generation, GenerationRow, Store, StoreError, ViewBatch,
            Views as _,
        },
    },
    status::{PartStatus, Reporter},
    telemetry::metric,
    view::ViewDefinition,
};
use chrono::TimeDelta;
use functions::View;
use lru::LruCache;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What an aggregator has to be told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Prefix of topics and groups.
    pub(crate) namespace: String,
    pub(crate) partitions: i32,
    pub(crate) batch_max: usize,
    /// Rows kept in memory.
    pub(crate) cache_rows: usize,
    /// Loops of one generation, while it takes long to build: they share its partitions.
    pub(crate) builders: usize,
}

/// A topic (without the namespace) and a partition.
pub(super) type Place = (String, i32);

/// One loop: a member of the group that keeps one version of one view.
pub(crate) struct Aggregator<V: View, L: Log, S: Store> {
    pub(super) settings: Settings,
    pub(super) view: ViewDefinition,
    pub(super) generation: Generation,
    /// How it is built.
    pub(super) order: BuildOrder,
    pub(super) sources: Vec<Source<V>>,
    pub(super) consumer: L::Consumer,
    /// Read while the batch before was written.
    pub(super) ahead: Vec<Arrived<V>>,
    pub(super) log: L,
    /// Made when the handler is asked for the first time, which is rare.
    pub(super) producer: Option<L::Producer>,
    pub(super) store: S::Views,
    pub(super) codec: Codec,
    pub(super) clock: Clock,
    assigned: BTreeSet<Place>,
    pub(super) parts: BTreeMap<Place, Part>,
    pub(super) retry: BTreeMap<Place, Duration>,
    /// The streams that wait, and why.
    pub(super) parked: BTreeMap<(Place, Uuid), String>,
    /// Events that are passed over, by their numbers.
    pub(super) discarded: BTreeSet<(Place, i64)>,
    /// When it is looked whether streams are to be tried again.
    pub(super) next_retry: Duration,
    /// Rows seen lately; `None`: there is none.
    pub(super) rows: LruCache<String, Option<V>>,
    next_commit: Duration,
    next_check: Duration,
    /// When changes that nobody can ask for any more are looked for.
    next_forget: Duration,
    started: Duration,
    attempts: u32,
    pub(super) report: Reporter,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("another process has taken a partition")]
    Fenced,
}

impl<V: View, L: Log, S: Store> Aggregator<V, L, S> {
    /// Joins the group that keeps this generation.
    pub(crate) fn open(
        settings: Settings,
        view: ViewDefinition,
        row: GenerationRow,
        world: World<L, S>,
        report: Reporter,
    ) -> Result<Self, LogError> {
        let World { log, store, codec, clock } = world;
        let GenerationRow { of: generation, order, state: _ } = row;
        let topics: Vec<String> =
            view.follows.iter().map(|it| format!("{}{}", settings.namespace, it.topic)).collect();
        let group = format!(
            "{}{}.{}.{}.{}",
            settings.namespace, view.context, view.table, generation.hash, generation.generation
        );
        let cache = NonZeroUsize::new(settings.cache_rows).unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            sources: Source::all(),
            consumer: log.consumer(&group, &topics)?,
            ahead: Vec::new(),
            log,
            producer: None,
            store: store.views(view.context),
            codec,
            assigned: BTreeSet::new(),
            parts: BTreeMap::new(),
            retry: BTreeMap::new(),
            parked: BTreeMap::new(),
            discarded: BTreeSet::new(),
            next_retry: Duration::ZERO,
            rows: LruCache::new(cache),
            next_commit: Duration::ZERO,
            next_check: Duration::ZERO,
            next_forget: Duration::ZERO,
            started: clock.elapsed(),
            attempts: 0,
            clock,
            settings,
            view,
            generation,
            order,
            report,
        })
    }

    /// Keeps the view until told to stop, whatever happens to its servers.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        self.begin_counting();
        while !shutdown.is_cancelled() {
            match self.turn(&shutdown).await {
                Ok(()) => {
                    if self.attempts > 0 && self.retry.is_empty() {
                        self.attempts = 0;
                        self.report.trouble(None);
                    }
                }
                Err(trouble) => self.recover(&trouble, &shutdown).await,
            }
        }
        let hints = self.hints();
        self.consumer.leave(&hints).await;
        tracing::info!(view = self.view.table, "stopped");
    }

    async fn turn(&mut self, shutdown: &CancellationToken) -> Result<(), Trouble> {
        let mut arrived = std::mem::take(&mut self.ahead);
        if arrived.is_empty() {
            let busy = !self.retry.is_empty() || self.parts.values().any(|it| it.gap != Gap::None);
            let wait = if self.is_trying() {
                Duration::ZERO
            } else if busy {
                BUSY_WAIT
            } else {
                IDLE_WAIT
            };
            let records = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                records = self.consumer.poll(self.settings.batch_max, wait) => records?,
            };
            let Self { codec, sources, settings, view, .. } = self;
            let namespace = &settings.namespace;
            let reader = Reader { codec, sources, namespace, table: view.table };
            arrived = reader.understand_all(records).await;
        }
        let sought = self.follow().await?;
        // What was in hand before the seek is handed out again after it, in order.
        arrived.retain(|it| !sought.contains(&it.place));
        if !arrived.is_empty() {
            let records = arrived.len();
            self.process(arrived).await?;
            self.throttle(records, shutdown).await;
        }
        self.look_for_missing().await?;
        self.try_again().await?;
        self.tick().await
    }

    /// A build may have been told to leave the servers to others for most of the time.
    async fn throttle(&self, records: usize, shutdown: &CancellationToken) {
        let Some(per_second) = self.order.events_per_second_max else { return };
        #[expect(clippy::cast_precision_loss, reason = "a batch is never so large")]
        let seconds = records as f64 / f64::from(per_second.max(1));
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = self.clock.sleep(Duration::from_secs_f64(seconds)) => {}
        }
    }

    /// Nothing half done is kept: the partitions are taken again, from their checkpoints.
    async fn recover(&mut self, trouble: &Trouble, shutdown: &CancellationToken) {
        self.store.roll_back().await;
        self.attempts += 1;
        let why = trouble.to_string();
        if self.attempts.is_power_of_two() {
            tracing::warn!(view = self.view.table, %why, attempt = self.attempts, "waiting");
        }
        if !matches!(trouble, Trouble::Fenced) {
            self.report.trouble(Some(why));
        }
        let pause = Duration::from_millis(50 << self.attempts.min(5));
        let seed = self.report.instance().as_u128() % 500;
        let jitter = Duration::from_millis(u64::try_from(seed).unwrap_or_default());
        self.parts.clear();
        self.ahead.clear();
        self.forget_rows();
        let at = self.clock.elapsed() + pause;
        for place in &self.assigned {
            self.retry.insert(place.clone(), at + jitter);
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = self.clock.sleep(pause) => {}
        }
    }

    /// Does what the group decided since the last batch. Returns the places that are read again from their
    /// checkpoints.
    async fn follow(&mut self) -> Result<Vec<Place>, Trouble> {
        for it in self.consumer.moves() {
            metrics::counter!(metric::REBALANCES.name, "loop" => self.view.table).increment(1);
            // Rows of other partitions may be among those cached: all of them are cheap to load again.
            self.forget_rows();
            let (assigned, places) = match it {
                Move::Assigned(places) => (true, places),
                Move::Revoked(places) => (false, places),
            };
            self.report.joined();
            for (topic, part) in places {
                let place = (self.logical(&topic), part);
                self.parts.remove(&place);
                self.retry.remove(&place);
                if assigned {
                    self.assigned.insert(place);
                } else {
                    self.assigned.remove(&place);
                    self.report.part_gone(&topic, part);
                }
            }
        }
        if self.clock.elapsed() > self.started + JOINED_AFTER {
            self.report.joined();
        }
        let waits = |it: &&Place| !self.parts.contains_key(*it) && !self.retry.contains_key(*it);
        let fresh: Vec<Place> = self.assigned.iter().filter(waits).cloned().collect();
        if !fresh.is_empty() {
            self.acquire(&fresh).await?;
        }
        let now = self.clock.elapsed();
        let due: Vec<Place> =
            self.retry.iter().filter(|(_, at)| **at <= now).map(|(it, _)| it.clone()).collect();
        if due.is_empty() || self.consumer.is_assignment_lost() {
            return Ok(Vec::new());
        }
        self.acquire(&due).await?;
        Ok(due)
    }

    fn forget_rows(&mut self) {
        if !defect::is(Defect::RowsKeptAfterFence) {
            self.rows.clear();
        }
    }

    async fn acquire(&mut self, places: &[Place]) -> Result<(), Trouble> {
        // Somebody else may have owned them meanwhile, also if the group never said so.
        self.forget_rows();
        let mut rows = self.store.acquire(&self.generation, places).await?;
        self.take_aside(places).await?;
        let mut behind = Vec::new();
        for row in &mut rows {
            let topic = self.topic(&row.topic);
            let (low, high) = self.consumer.ends(&topic, row.part).await?;
            if row.next_offset > high {
                // Less than was read of it before: another log of the same name.
                row.next_offset = low;
            }
            // The group's offset may be ahead of a checkpoint that was lost with the last moments of a server. The
            // last record that was shown is read once more: if another one stands there, the log is another one too.
            self.consumer.seek(&topic, row.part, (row.next_offset - 1).max(low)).await?;
            self.ahead.retain(|it| it.place != (row.topic.clone(), row.part));
            let caught_up = row.caught_up;
            row.caught_up |= low == high || row.next_offset >= high;
            let part = Part::new(row.clone(), if low == high { 0 } else { high });
            if row.caught_up != caught_up {
                behind.push(CheckpointMove { from_pseq: row.pseq, to: row.clone() });
            }
            self.retry.remove(&(row.topic.clone(), row.part));
            self.report_part(&part, Some((high - row.next_offset).max(0)));
            self.parts.insert((row.topic.clone(), row.part), part);
        }
        if !behind.is_empty() {
            let batch = ViewBatch { checkpoints: behind, ..ViewBatch::default() };
            self.write(&batch).await?;
        }
        self.tell_whether_caught_up();
        Ok(())
    }

    pub(super) async fn write(&mut self, batch: &ViewBatch) -> Result<(), Trouble> {
        self.write_batch(batch).await.map_err(super::show::Shown::into_trouble)
    }

    async fn tick(&mut self) -> Result<(), Trouble> {
        let now = self.clock.elapsed();
        if now >= self.next_commit {
            self.next_commit = now + COMMIT_INTERVAL;
            let hints = self.hints();
            self.consumer.commit(&hints);
            // A server that crashed may have lost the last commits, which do not wait for the disk: whoever saw them
            // waits until they are there again, and no new event may come to find it out.
            self.store.load(&self.view, &self.generation, &[], false).await?;
        }
        if now >= self.next_forget {
            let before = self.clock.now() - CHANGES_KEPT;
            let forgotten = self.store.forget_changes(before, FORGET_MAX).await?;
            // As long as there are more, more often: a bite is small, so that no event waits for it.
            let is_more = i64::try_from(forgotten).is_ok_and(|it| it >= FORGET_MAX);
            self.next_forget = now + if is_more { FORGET_PAUSE } else { CHECK_INTERVAL };
        }
        if now >= self.next_check {
            self.next_check = now + CHECK_INTERVAL;
            for (place, part) in &self.parts {
                let ends = self.consumer.ends(&self.topic(&place.0), place.1).await;
                // While no broker answers, each question would take its whole time.
                let Ok((_, high)) = ends else { break };
                self.report_part(part, Some((high - part.row.next_offset).max(0)));
            }
        }
        Ok(())
    }

    fn hints(&self) -> Vec<(Arc<str>, i32, i64)> {
        let hint =
            |it: &Part| (Arc::from(self.topic(&it.row.topic)), it.row.part, it.row.next_offset);
        self.parts.values().map(hint).collect()
    }

    pub(super) fn tell_whether_caught_up(&self) {
        // What its checkpoint says was true in an earlier life; ready is who has read all there was in this one.
        let has_all = |it: &Part| it.row.next_offset >= it.target;
        if self.parts.len() == self.assigned.len() && self.parts.values().all(has_all) {
            self.report.caught_up();
        }
    }

    pub(super) fn report_part(&self, part: &Part, lag: Option<i64>) {
        self.report.part(&self.topic(&part.row.topic), part.row.part, status_of(part, lag));
    }

    pub(super) fn topic(&self, logical: &str) -> String {
        format!("{}{logical}", self.settings.namespace)
    }

    pub(super) fn logical(&self, topic: &str) -> String {
        topic.strip_prefix(&self.settings.namespace).unwrap_or(topic).to_owned()
    }
}

pub(super) fn status_of(part: &Part, lag: Option<i64>) -> PartStatus {
    PartStatus {
        epoch: part.row.epoch,
        position: part.row.next_offset,
        lag,
        pseq: part.row.pseq,
        trouble: part.missing(),
        ..PartStatus::default()
    }
}

/// While something is missing or to be taken again.
const BUSY_WAIT: Duration = Duration::from_millis(20);
const IDLE_WAIT: Duration = Duration::from_millis(500);
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// For so long what changed is kept: who was away for longer has to read again (protocol.md V7).
const CHANGES_KEPT: TimeDelta = TimeDelta::hours(1);
/// Changes that are forgotten at once, a matter of milliseconds, and the time between two such bites.
const FORGET_MAX: i64 = 500;
const FORGET_PAUSE: Duration = Duration::from_millis(200);
/// A member to whom the group gives nothing is never told so.
const JOINED_AFTER: Duration = Duration::from_secs(10);
