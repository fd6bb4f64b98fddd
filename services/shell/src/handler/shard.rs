//! The loop itself: which partitions it owns, and the order in which things happen.
use super::{
    decider::Deciders,
    publish::{Mark, Sent},
    received::{Arrived, Received},
    stream::Cache,
    voice::Untold,
};
use crate::{
    clock::Clock,
    codec::Codec,
    defect::{self, Defect},
    port::{
        World,
        log::{Consumer as _, Log, LogError, Move},
        store::{Ledger as _, LedgerRow, Store, StoreError},
    },
    status::{PartStatus, Reporter},
    telemetry::metric,
};
use chrono::TimeDelta;
use functions::Context;
use shared_events::WriterSchema;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// What a handler has to be told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) context: &'static str,
    /// With the namespace.
    pub(crate) command_topic: Arc<str>,
    /// With the namespace.
    pub(crate) event_topic: Arc<str>,
    /// With the namespace.
    pub(crate) reply_topic: Arc<str>,
    pub(crate) group: String,
    pub(crate) partitions: i32,
    pub(crate) batch_max: usize,
    pub(crate) cache_bytes: usize,
    /// The largest event that fits in a record.
    pub(crate) event_bytes_max: usize,
}

/// One loop: a member of the group of a context's handlers.
pub(crate) struct Handler<L: Log, S: Store> {
    pub(crate) settings: Settings,
    pub(crate) log: L,
    pub(crate) consumer: L::Consumer,
    pub(crate) producer: L::Producer,
    pub(crate) ledger: S::Ledger,
    pub(crate) codec: Codec,
    pub(crate) clock: Clock,
    pub(crate) deciders: Deciders,
    pub(crate) cache: Cache,
    /// Schemas that events of the past were written with and this build does not have.
    pub(crate) schemas: HashMap<shared_events::Fingerprint, Arc<WriterSchema>>,
    /// What the group says is ours.
    assigned: BTreeSet<i32>,
    /// What the ledger says is ours.
    pub(crate) parts: BTreeMap<i32, Part>,
    /// Assigned, to be acquired at this time, from `next_offset` on: never because a record arrived (W4).
    pub(crate) retry: BTreeMap<i32, Duration>,
    /// Ids are looked up first in so many batches to come (W5a).
    pub(crate) suspicious: u32,
    /// So are the holders of unique values.
    pub(crate) contested: u32,
    /// Read while the batch before was written.
    pub(crate) ahead: Vec<Arrived>,
    /// In the ledger, and told while the next batch is looked up or written.
    pub(crate) untold: Option<Untold>,
    /// Fresh offsets for the group.
    pub(crate) hints: BTreeMap<i32, i64>,
    /// Whether `published` moved since it was last written down.
    pub(crate) unsaved: bool,
    pub(crate) attempts: u32,
    has_joined: bool,
    started: Duration,
    next_commit: Duration,
    next_check: Duration,
    next_sweep: Duration,
    pub(crate) report: Reporter,
}

/// A partition that is ours.
pub(crate) struct Part {
    pub(crate) row: LedgerRow,
    /// The offset that the log should hand out next; unknown until the first record.
    pub(super) expect: Option<i64>,
    /// Where we went back to because of a jump: a second jump from there means that nothing is there.
    pub(super) sought: Option<i64>,
    /// How far events were handed to the producer.
    pub(crate) cursor: i64,
    /// Where the last published event was seen, and where the log ended then.
    pub(super) seen: Option<(i64, i64)>,
    /// Nothing is published before: something is in the way.
    pub(crate) publish_after: Duration,
    /// Events handed over, oldest first.
    pub(crate) sent: VecDeque<Sent>,
    /// What becomes true once all before is delivered, oldest first.
    pub(crate) marks: VecDeque<Mark>,
}

/// The world does not do its part: nothing is lost, and waiting helps.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl<L: Log, S: Store> Handler<L, S> {
    pub(crate) fn new<C: Context>(
        settings: Settings,
        world: World<L, S>,
        report: Reporter,
    ) -> Result<Self, LogError> {
        let World { log, store, codec, clock } = world;
        let topics = [settings.command_topic.to_string()];
        Ok(Self {
            consumer: log.consumer(&settings.group, &topics)?,
            producer: log.producer()?,
            ledger: store.ledger(settings.context),
            codec,
            deciders: Deciders::of::<C>(),
            cache: Cache::new(settings.cache_bytes),
            schemas: HashMap::new(),
            assigned: BTreeSet::new(),
            parts: BTreeMap::new(),
            retry: BTreeMap::new(),
            suspicious: 0,
            contested: 0,
            ahead: Vec::new(),
            untold: None,
            hints: BTreeMap::new(),
            unsaved: false,
            attempts: 0,
            has_joined: false,
            started: clock.elapsed(),
            next_commit: Duration::ZERO,
            next_check: clock.elapsed() + CHECK_INTERVAL,
            next_sweep: clock.elapsed() + SWEEP_INTERVAL,
            clock,
            settings,
            log,
            report,
        })
    }

    /// Handles commands until told to stop, whatever happens to its servers.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        self.begin_counting();
        if !self.prepare(&shutdown).await {
            return;
        }
        while !shutdown.is_cancelled() {
            match self.turn(&shutdown).await {
                Ok(()) => self.attempts = 0,
                Err(trouble) => self.recover(&trouble, &shutdown).await,
            }
        }
        self.stop().await;
    }

    async fn turn(&mut self, shutdown: &CancellationToken) -> Result<(), Trouble> {
        let mut arrived = std::mem::take(&mut self.ahead);
        if arrived.is_empty() {
            let wait = if self.is_busy() { BUSY_WAIT } else { IDLE_WAIT };
            let records = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                records = self.consumer.poll(self.settings.batch_max, wait) => records?,
            };
            arrived = self.split().0.receiver().receive_all(records).await;
        }
        let is_idle = arrived.is_empty();
        let sought = self.follow().await?;
        // What was in hand before the seek is handed out again after it, in order.
        arrived.retain(|it| !sought.contains(&it.part));
        if !arrived.is_empty() {
            self.process(arrived).await?;
        }
        if self.ahead.is_empty() {
            self.tell().await;
        }
        self.publish_backlog().await?;
        self.settle().await?;
        self.tick(is_idle).await
    }

    fn is_busy(&self) -> bool {
        !self.retry.is_empty()
            || self
                .parts
                .values()
                .any(|it| !it.sent.is_empty() || !it.marks.is_empty() || it.cursor < it.row.pseq)
    }

    /// Does what the group decided since the last batch. Returns the partitions that are read again from where
    /// the ledger stands.
    async fn follow(&mut self) -> Result<Vec<i32>, Trouble> {
        let moves = self.consumer.moves();
        if !moves.is_empty() {
            // While the partitions are those that it is about.
            self.tell().await;
            metrics::counter!(metric::REBALANCES.name, "loop" => self.settings.context)
                .increment(1);
        }
        for it in moves {
            self.has_joined = true;
            match it {
                Move::Assigned(parts) => {
                    for (_, part) in parts {
                        self.forget(part);
                        self.assigned.insert(part);
                    }
                }
                Move::Revoked(parts) => {
                    for (_, part) in parts {
                        self.forget(part);
                        self.assigned.remove(&part);
                        self.report.part_gone(&self.settings.command_topic, part);
                    }
                }
            }
        }
        // A member to whom the group gives nothing is never told so.
        if self.has_joined || self.clock.elapsed() > self.started + JOINED_AFTER {
            self.report.joined();
        }
        let fresh: Vec<i32> = self
            .assigned
            .iter()
            .filter(|it| !self.parts.contains_key(it) && !self.retry.contains_key(it))
            .copied()
            .collect();
        if !fresh.is_empty() {
            // Reads on from the group's offset, which is where answers may be missing (W4).
            self.acquire(&fresh, false).await?;
        }
        let now = self.clock.elapsed();
        let due: Vec<i32> =
            self.retry.iter().filter(|(_, at)| **at <= now).map(|(part, _)| *part).collect();
        if due.is_empty() || self.consumer.is_assignment_lost() {
            return Ok(Vec::new());
        }
        self.acquire(&due, true).await?;
        Ok(due)
    }

    fn forget(&mut self, part: i32) {
        self.parts.remove(&part);
        self.retry.remove(&part);
        self.hints.remove(&part);
        self.cache.forget(part);
    }

    /// Takes the partitions: from now on nobody else can write them.
    async fn acquire(&mut self, parts: &[i32], seek: bool) -> Result<(), Trouble> {
        let rows = self.ledger.acquire(parts).await?;
        for row in rows {
            let part = row.part;
            if seek {
                self.consumer.seek(&self.settings.command_topic, part, row.next_offset).await?;
            }
            self.take(row, seek);
        }
        for part in parts {
            if !self.check_events(*part).await {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn take(&mut self, row: LedgerRow, sought: bool) {
        tracing::info!(
            context = self.settings.context,
            part = row.part,
            epoch = row.epoch,
            next_offset = row.next_offset,
            pseq = row.pseq,
            published = row.published,
            "acquired"
        );
        self.retry.remove(&row.part);
        self.cache.forget(row.part);
        let from = sought.then_some(row.next_offset);
        let part = Part {
            expect: from,
            sought: None,
            cursor: if defect::is(Defect::RepublishFromWrongPlace) {
                row.pseq
            } else {
                row.published
            },
            seen: None,
            publish_after: Duration::ZERO,
            sent: VecDeque::new(),
            marks: VecDeque::new(),
            row,
        };
        self.report_part(&part, None);
        self.parts.insert(part.row.part, part);
    }

    /// Drops a partition, to be acquired again in a while if it is still assigned then.
    pub(crate) fn drop_part(&mut self, part: i32, why: &str, pause: Duration) {
        let row = self.parts.remove(&part).map(|it| it.row);
        self.cache.forget(part);
        self.hints.remove(&part);
        self.retry.insert(part, self.clock.elapsed() + pause);
        let (epoch, position) = row.map_or((0, 0), |it| (it.epoch, it.next_offset));
        let status =
            PartStatus { epoch, position, trouble: Some(why.to_owned()), ..PartStatus::default() };
        self.report.part(&self.settings.command_topic, part, status);
    }

    pub(crate) fn assigned(&self) -> Vec<i32> {
        self.assigned.iter().copied().collect()
    }

    fn report_part(&self, part: &Part, lag: Option<i64>) {
        let row = &part.row;
        let status = PartStatus {
            epoch: row.epoch,
            position: row.next_offset,
            lag,
            pseq: row.pseq,
            published: Some(row.published),
            ..PartStatus::default()
        };
        self.report.part(&self.settings.command_topic, row.part, status);
    }

    /// Decides what came in.
    async fn process(&mut self, arrived: Vec<Arrived>) -> Result<(), Trouble> {
        let arrived = self.sort(arrived).await?;
        let mut work: Vec<Received> = Vec::with_capacity(arrived.len());
        let mut held: BTreeMap<i32, String> = BTreeMap::new();
        for Arrived { part, received, .. } in arrived {
            match received {
                Ok(it) => work.push(it),
                Err(why) => drop(held.entry(part).or_insert(why)),
            }
        }
        for (part, why) in held {
            tracing::warn!(context = self.settings.context, part, %why, "a partition waits");
            work.retain(|it| it.part != part);
            self.drop_part(part, &why, RETRY_PAUSE);
        }
        if work.is_empty() { Ok(()) } else { self.decide_all(work).await }
    }

    /// What happens from time to time.
    async fn tick(&mut self, is_idle: bool) -> Result<(), Trouble> {
        let now = self.clock.elapsed();
        if now >= self.next_commit {
            self.next_commit = now + COMMIT_INTERVAL;
            for it in self.parts.values() {
                self.report_part(it, None);
            }
            let offsets = self.take_hints();
            self.consumer.commit(&offsets);
            // One that lost its partitions without knowing may have taken them back for a moment. Nothing that comes
            // in would tell: without this its last events would wait for the next command.
            self.drop_fenced().await?;
            if is_idle && self.unsaved {
                self.save_published().await?;
            }
        }
        if is_idle && now >= self.next_sweep {
            self.next_sweep = now + SWEEP_INTERVAL;
            self.ledger.forget_outcomes(self.clock.now() - OUTCOMES_KEPT, SWEEP_MAX).await?;
        }
        if now >= self.next_check {
            self.next_check = now + CHECK_INTERVAL;
            for part in self.parts.keys().copied().collect::<Vec<_>>() {
                let ends = self.consumer.ends(&self.settings.command_topic, part).await;
                // While no broker answers, each question would take its whole time.
                let (Ok((_, high)), true) = (ends, self.check_events(part).await) else { break };
                let Some(it) = self.parts.get(&part) else { continue };
                let next = it.row.next_offset;
                self.report_part(it, Some((high - next).max(0)));
                if is_idle && high > next && it.expect.is_none_or(|at| at <= next) {
                    // The group's offset is ahead of the ledger: nothing would ever come.
                    self.go_back(part, next).await?;
                }
                if is_idle {
                    self.check_last_event(part).await;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn take_hints(&mut self) -> Vec<(Arc<str>, i32, i64)> {
        let topic = &self.settings.command_topic;
        let hints = std::mem::take(&mut self.hints);
        hints.into_iter().map(|(part, offset)| (Arc::clone(topic), part, offset)).collect()
    }
}

/// While something is in flight.
const BUSY_WAIT: Duration = Duration::from_millis(10);
const IDLE_WAIT: Duration = Duration::from_millis(500);
/// At most once a second (W4).
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
const JOINED_AFTER: Duration = Duration::from_secs(10);
/// W8.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Longer than a command can come again (W5).
const OUTCOMES_KEPT: TimeDelta = TimeDelta::days(7);
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
const SWEEP_MAX: i64 = 10_000;
/// Until a partition that had to be dropped is tried again.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(500);
