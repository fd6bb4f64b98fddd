//! Operate, write down: again and again until the batch is in the ledger, or cannot be.
use super::{
    claims::Claims,
    operate::{Decided, Operation, Rules},
    outcome::read_outcome,
    publish::Mark,
    received::{Body, Received, code, request_hash},
    shard::{Handler, RETRY_PAUSE, Trouble},
    stream::Stream,
    voice::Untold,
};
use crate::{
    port::{
        log::{Consumer as _, Deliveries, Log},
        store::{
            Batch, EventRow, Ledger as _, LedgerRow, LookUp, OutcomeRow, SnapshotRow, Store,
            StoreError, WriteError,
        },
    },
    telemetry::metric,
};
use futures::future::join;
use shared_events::fleet::Reply;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use uuid::Uuid;

/// What became of an attempt to write a batch down.
enum Written {
    Done,
    /// One of its commands is at fault: decide them apart (W9).
    Apart(Vec<Received>, &'static str),
    /// One of its partitions is corrupt: decide them apart (W9).
    ByPartition(Vec<Received>, String),
}

impl<L: Log, S: Store> Handler<L, S> {
    /// Decides all of it, in order; what the store cannot hold is found by halving.
    pub(crate) async fn decide_all(&mut self, work: Vec<Received>) -> Result<(), Trouble> {
        let mut stack = vec![work];
        while let Some(work) = stack.pop() {
            match self.write_down(work).await? {
                Written::Done => {}
                Written::Apart(mut work, _) if work.len() > 1 => {
                    let second = work.split_off(work.len() / 2);
                    stack.push(second);
                    stack.push(work);
                }
                Written::Apart(work, why) => {
                    let refused = work
                        .iter()
                        .find(|it| matches!(it.body, Body::Refused { code: code::UNSTORABLE, .. }));
                    match refused.map(|it| it.part) {
                        // Not even its refusal can be stored.
                        Some(part) => self.stuck(part, "a record's refusal cannot be stored"),
                        None => {
                            stack.push(work.into_iter().map(|it| unstorable(it, why)).collect());
                        }
                    }
                }
                Written::ByPartition(work, why) => {
                    let parts: BTreeSet<i32> = work.iter().map(|it| it.part).collect();
                    if let (Some(part), 1) = (parts.first(), parts.len()) {
                        self.stuck(*part, &why);
                        continue;
                    }
                    let mut rest = work;
                    for part in parts {
                        let (mine, others) = rest.into_iter().partition(|it| it.part == part);
                        stack.push(mine);
                        rest = others;
                    }
                }
            }
        }
        Ok(())
    }

    async fn write_down(&mut self, mut work: Vec<Received>) -> Result<Written, Trouble> {
        let mut outcomes = Vec::new();
        if self.suspicious > 0 {
            self.suspicious -= 1;
            outcomes = self.outcomes(&work).await?;
        }
        self.contested = self.contested.saturating_sub(1);
        let begun = self.begin();
        for attempt in 1.. {
            work.retain(|it| self.parts.contains_key(&it.part));
            if work.is_empty() {
                return Ok(Written::Done);
            }
            let (streams, claims) = self.look_up(&work).await?;
            let decided = self.operate(&work, streams, claims, &outcomes);
            if decided.is_guess {
                // Looked up from here on, so that it is none the next time.
                self.contested = SUSPICIOUS_BATCHES;
                continue;
            }
            self.make_mistakes(&decided).await;
            match self.write(&decided.batch).await {
                Ok(()) => {
                    self.measure(&work, begun);
                    self.written(decided).await;
                    return Ok(Written::Done);
                }
                Err(WriteError::Fenced) if attempt < ATTEMPTS_MAX => self.drop_fenced().await?,
                Err(error @ WriteError::Fenced) => {
                    return Err(StoreError::Away(error.to_string()).into());
                }
                Err(WriteError::OutcomeExists) => {
                    self.suspicious = SUSPICIOUS_BATCHES;
                    outcomes = self.outcomes(&work).await?;
                }
                Err(WriteError::ClaimTaken) if attempt < ATTEMPTS_MAX => {
                    self.contested = SUSPICIOUS_BATCHES;
                }
                Err(WriteError::Again(_)) if attempt < ATTEMPTS_MAX => {}
                Err(WriteError::ClaimTaken) => return Ok(Written::Apart(work, NOT_HELD)),
                Err(WriteError::Again(why)) => return Err(StoreError::Away(why).into()),
                Err(WriteError::Data(why)) => {
                    tracing::warn!(context = self.settings.context, %why, commands = work.len(), "a batch has a value that the store cannot hold");
                    return Ok(Written::Apart(work, NO_TEXT));
                }
                Err(WriteError::Corrupt(why)) => return Ok(Written::ByPartition(work, why)),
                Err(WriteError::Store(error)) => return Err(error.into()),
            }
        }
        Ok(Written::Done)
    }

    fn operate(
        &self,
        work: &[Received],
        streams: BTreeMap<Uuid, Stream>,
        claims: Claims,
        outcomes: &[(OutcomeRow, Option<Reply>)],
    ) -> Decided {
        let rules = Rules {
            context: self.settings.context,
            deciders: &self.deciders,
            event_bytes_max: self.settings.event_bytes_max,
        };
        let begun = self.clock.elapsed();
        let rows = self.parts.values().map(|it| it.row.clone());
        let mut operation = Operation::new(&rules, rows, streams, claims, outcomes.iter().cloned());
        for it in work {
            // The trace goes on from the mutation, in the command's envelope.
            let _span = tracing::debug_span!(
                "decide",
                context = self.settings.context,
                command = ?it.envelope.command_id,
                traceparent = it.envelope.traceparent,
                part = it.part,
                offset = it.offset,
            )
            .entered();
            operation.operate(it);
            tracing::debug!("decided");
        }
        let decided = operation.finish(|part| {
            self.parts.get(&part).map_or((0, -1), |it| (it.row.published, it.row.published_offset))
        });
        let took = self.clock.elapsed().saturating_sub(begun);
        metrics::histogram!(metric::DECIDE_DURATION.name, "context" => self.settings.context)
            .record(took.as_secs_f64());
        decided
    }

    /// Writes the batch down. Meanwhile the world is told of the one before, and the next is read.
    async fn write(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let (untold, read_ahead) = (self.untold.take(), self.ahead.is_empty());
        let batch_max = self.settings.batch_max;
        let (clock, context) = (self.clock.clone(), self.settings.context);
        let (mut voice, ledger, consumer) = self.split();
        let writing = async {
            let begun = clock.elapsed();
            let written = ledger.write(batch).await;
            let took = clock.elapsed().saturating_sub(begun);
            metrics::histogram!(metric::COMMIT_DURATION.name, "loop" => context)
                .record(took.as_secs_f64());
            written
        };
        let meanwhile = async {
            voice.tell(untold).await;
            if !read_ahead {
                return None;
            }
            // Whatever is wrong with it, the next turn's own poll finds it out.
            let records = consumer.poll(batch_max, Duration::ZERO).await.unwrap_or_default();
            Some(voice.receiver().receive_all(records).await)
        };
        let (written, ahead) = join(writing, meanwhile).await;
        if let Some(ahead) = ahead {
            self.ahead = ahead;
        }
        written
    }

    /// What became of those commands that were decided before.
    pub(crate) async fn outcomes(
        &mut self,
        work: &[Received],
    ) -> Result<Vec<(OutcomeRow, Option<Reply>)>, Trouble> {
        let ids = work.iter().filter_map(|it| it.envelope.command_id).collect();
        let found = self.ledger.look_up(&LookUp { outcomes: ids, ..LookUp::default() }).await?;
        let readable = |row: OutcomeRow| {
            let reply = read_outcome(&row.body);
            if let Err(error) = &reply {
                // Written by a newer build: decided all the same, and told by whoever can read it.
                tracing::warn!(command = %row.command_id, %error, "an outcome cannot be told");
            }
            (row, reply.ok())
        };
        Ok(found.outcomes.into_values().map(readable).collect())
    }

    /// The batch is in the ledger: now, and not before, the world may know. It is told at once, or while the store
    /// works on the next batch, if that has come already.
    async fn written(&mut self, decided: Decided) {
        let Decided { batch, answers, mut streams, republish, rejected, .. } = decided;
        // Nothing is overtaken.
        self.tell().await;
        let replies = Deliveries::receipt();
        let mut events: BTreeMap<i32, (i64, Vec<EventRow>)> = BTreeMap::new();
        let mut marks = Vec::with_capacity(batch.moves.len());
        for it in &batch.moves {
            let Some(part) = self.parts.get_mut(&it.part) else { continue };
            events.insert(it.part, (part.row.pseq, Vec::new()));
            part.row.next_offset = it.to_offset;
            part.row.pseq = it.pseq;
            let replies = Arc::clone(&replies);
            let mark = Mark { next_offset: it.to_offset, pseq: it.pseq, replies };
            marks.push((it.part, mark));
        }
        self.keep_snapshots(&mut streams).await;
        self.cache.extend(streams);
        for (part, from_pseq) in republish {
            self.publish_again(part, from_pseq);
        }
        let event_count = batch.events.len();
        for it in batch.events {
            if let Some((_, events)) = events.get_mut(&it.part) {
                events.push(it);
            }
        }
        events.retain(|_, (_, events)| !events.is_empty());
        self.untold = Some(Untold { answers, replies, events, marks });
        let accepted = batch.outcomes.len().saturating_sub(rejected);
        for (verdict, count) in [("accepted", accepted), ("rejected", rejected)] {
            metrics::counter!(metric::COMMANDS.name, "context" => self.settings.context, "verdict" => verdict)
                .increment(count as u64);
        }
        metrics::counter!(metric::EVENTS.name, "context" => self.settings.context)
            .increment(event_count as u64);
        metrics::counter!(metric::DEAD_LETTERS.name, "context" => self.settings.context)
            .increment(batch.dead_letters.len() as u64);
        for it in &batch.dead_letters {
            tracing::warn!(
                context = self.settings.context,
                part = it.part,
                offset = it.offset,
                code = it.code,
                reason = it.reason,
                "a record became a dead letter"
            );
        }
    }

    async fn keep_snapshots(&mut self, streams: &mut BTreeMap<Uuid, Stream>) {
        let due = streams
            .iter_mut()
            .filter(|(_, it)| it.version - it.snapshot_version >= SNAPSHOT_EVENTS);
        let rows: Vec<SnapshotRow> = due
            .filter_map(|(id, it)| {
                it.snapshot_version = it.version;
                Some(SnapshotRow {
                    stream: *id,
                    fold: self.deciders.at(it.decider).fold(),
                    version: it.version,
                    state: it.state.snapshot()?,
                    at: it.at,
                })
            })
            .collect();
        if !rows.is_empty()
            && let Err(error) = self.ledger.keep_snapshots(&rows).await
        {
            tracing::debug!(%error, "a snapshot was not kept");
        }
    }

    /// Finds out which partitions others have taken, and lets go of them; the rest is decided again.
    pub(super) async fn drop_fenced(&mut self) -> Result<(), Trouble> {
        let parts: Vec<i32> = self.parts.keys().copied().collect();
        if parts.is_empty() {
            return Ok(());
        }
        let rows = self.ledger.rows(&parts).await?;
        let rows: BTreeMap<i32, LedgerRow> = rows.into_iter().map(|it| (it.part, it)).collect();
        for part in parts {
            // A row that is gone is not ours either: the database is another one.
            let same = rows.get(&part).zip(self.parts.get(&part)).is_some_and(|(row, it)| {
                it.row.epoch == row.epoch && it.row.next_offset == row.next_offset
            });
            if !same {
                tracing::warn!(
                    context = self.settings.context,
                    part,
                    "another process has taken a partition"
                );
                metrics::counter!(metric::FENCED.name, "context" => self.settings.context)
                    .increment(1);
                let pause = self.jittered(RETRY_PAUSE);
                self.drop_part(part, "another process has taken it", pause);
            }
        }
        Ok(())
    }

    /// Stops a partition for good: going on would make two histories (W9).
    pub(crate) fn stuck(&mut self, part: i32, why: &str) {
        tracing::error!(context = self.settings.context, part, %why, "a partition is stopped: its ledger is corrupt; restore it, or give it a new incarnation");
        self.drop_part(part, why, std::time::Duration::from_mins(1));
        self.report.stuck(&self.settings.command_topic, part, why);
    }
}

fn unstorable(it: Received, why: &str) -> Received {
    let stream = match &it.body {
        Body::Command { stream, .. } | Body::Question { stream, .. } => Some(*stream),
        Body::Refused { stream, .. } => *stream,
        Body::Republish { .. } => None,
    };
    let hash = match &it.body {
        Body::Command { request_hash, .. }
        | Body::Question { request_hash, .. }
        | Body::Refused { request_hash, .. } => *request_hash,
        Body::Republish { .. } => request_hash("", &[], None),
    };
    let reason = why.to_owned();
    let body =
        Body::Refused { code: code::UNSTORABLE, reason, request_hash: hash, stream, dead: true };
    Received { body, ..it }
}

const ATTEMPTS_MAX: u32 = 10;
const NO_TEXT: &str = "it has a value that the store cannot hold, such as a character U+0000";
const NOT_HELD: &str =
    "its unique values are not held as the decision assumes, or change hands too fast: try again";
/// W5a.
const SUSPICIOUS_BATCHES: u32 = 50;
const SNAPSHOT_EVENTS: i64 = 500;
