//! All generations of a view: which loops run, when one is complete, and when it takes the place of what is read
//! (protocol.md V5).
use super::shard::Settings;
use crate::{
    clock::Clock,
    port::store::{
        Generation, GenerationRow, GenerationState, Generations as _, Store, StoreError, Switched,
    },
    status::{Reporter, Standing, Status},
    view::ViewDefinition,
};
use futures::{StreamExt as _, future::try_join, stream::FuturesUnordered};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// What keeps all generations of a view.
pub(crate) struct Keeper<S: Store> {
    pub(crate) view: ViewDefinition,
    pub(crate) settings: Settings,
    pub(crate) store: S,
    pub(crate) clock: Clock,
    pub(crate) status: Status,
}

/// A loop that is to run.
type Start = (GenerationRow, Reporter, CancellationToken);

/// The loops of one generation in this process.
struct Running {
    since: Duration,
    report: Reporter,
    loops: Vec<CancellationToken>,
}

impl<S: Store> Keeper<S> {
    /// Runs the loops of every generation there is, as `start` makes them, until told to stop. One that fails, or ends
    /// without being told to, ends all of it.
    pub(crate) async fn run<F>(
        self,
        shutdown: &CancellationToken,
        mut start: impl FnMut(GenerationRow, Reporter, CancellationToken) -> F,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let table = self.view.table;
        let (send, mut starts) = unbounded_channel();
        let supervise = async move {
            self.supervise(shutdown, &send).await;
            Ok(())
        };
        let run = async {
            let mut loops = FuturesUnordered::new();
            loop {
                tokio::select! {
                    biased;
                    Some((row, report, token)) = starts.recv() => {
                        let ended = start(row, report, token.clone());
                        loops.push(async move { (ended.await, token) });
                    }
                    Some((ended, token)) = loops.next() => {
                        ended?;
                        anyhow::ensure!(token.is_cancelled(), "a loop of the view {table} ended by itself");
                    }
                    else => return Ok(()),
                }
            }
        };
        try_join(supervise, run).await.map(drop)
    }

    async fn supervise(&self, shutdown: &CancellationToken, starts: &UnboundedSender<Start>) {
        let mut store = self.store.views(self.view.context);
        let until = shutdown.cancelled();
        let supervise = async {
            self.prepare(&mut store).await;
            let mut running: BTreeMap<Generation, Running> = BTreeMap::new();
            loop {
                let mut pause = IDLE_PAUSE;
                match self.look(&mut store).await {
                    Ok(rows) => {
                        let is_first = is_first(&rows);
                        if rows.iter().any(|it| is_to_do(it, is_first)) {
                            pause = BUSY_PAUSE;
                        }
                        self.adjust(&rows, &mut running, shutdown, starts);
                    }
                    Err(error) => {
                        tracing::debug!(view = self.view.table, %error, "cannot look at the generations");
                    }
                }
                self.clock.sleep(pause).await;
            }
        };
        tokio::select! {
            biased;
            () = until => {}
            () = supervise => {}
        }
    }

    /// Makes the first generation where it is missing. Waits as long as the store is away.
    async fn prepare(&self, store: &mut S::Views) {
        let report = self.status.reporter(self.name(1));
        let parts = self.view.checkpoints(self.settings.partitions);
        let mut attempts = 0;
        while let Err(error) = store.prepare(&self.view, parts).await {
            report.trouble(Some(error.to_string()));
            if attempts == 0 {
                tracing::warn!(view = self.view.table, %error, "waiting for the store");
            }
            attempts += 1;
            self.clock.sleep(Duration::from_millis(50 << attempts.min(5))).await;
        }
        report.withdraw();
    }

    /// Where the generations stand, after one step towards having the newest one read.
    async fn look(&self, store: &mut S::Views) -> Result<Vec<GenerationRow>, StoreError> {
        let rows = store.generations(&self.view).await?;
        let is_first = is_first(&rows);
        for it in &rows {
            if it.state == GenerationState::Building && store.complete(&self.view, &it.of).await? {
                tracing::info!(view = self.view.table, generation = it.of.generation, "complete");
            }
            if it.cuts_over(is_first) {
                match store.cut_over(&self.view, &it.of).await? {
                    Switched::Done => tracing::info!(
                        view = self.view.table,
                        generation = it.of.generation,
                        "is read from now on"
                    ),
                    Switched::Behind { events } => tracing::debug!(
                        view = self.view.table,
                        events,
                        "not as far as what is read"
                    ),
                }
            }
        }
        Ok(rows)
    }

    /// Starts and ends loops.
    fn adjust(
        &self,
        rows: &[GenerationRow],
        running: &mut BTreeMap<Generation, Running>,
        shutdown: &CancellationToken,
        starts: &UnboundedSender<Start>,
    ) {
        running.retain(|of, it| {
            let is_there = rows.iter().any(|row| row.of == *of);
            if !is_there {
                it.loops.iter().for_each(CancellationToken::cancel);
                it.report.withdraw();
            }
            is_there
        });
        let now = self.clock.elapsed();
        let is_first = is_first(rows);
        for row in rows {
            let it = running.entry(row.of.clone()).or_insert_with(|| Running {
                since: now,
                report: self.status.reporter(self.name(row.of.generation)),
                loops: Vec::new(),
            });
            it.report.stands(match row.state {
                GenerationState::Live => Standing::Needed,
                GenerationState::Building | GenerationState::Complete if is_first => {
                    Standing::Awaited
                }
                GenerationState::Building | GenerationState::Complete => Standing::Aside,
            });
            // A long build is shared among loops; a short one is over before another one has joined.
            let is_long = row.state == GenerationState::Building && now >= it.since + LONG_BUILD;
            let wanted = if is_long { self.settings.builders } else { 1 };
            let superfluous = wanted.min(it.loops.len())..;
            it.loops.drain(superfluous).for_each(|it| it.cancel());
            while it.loops.len() < wanted {
                let token = shutdown.child_token();
                // Nobody takes it any more: all of it ends.
                let _ = starts.send((row.clone(), it.report.clone(), token.clone()));
                it.loops.push(token);
            }
        }
    }

    fn name(&self, generation: i32) -> String {
        let (context, table) = (self.view.context, self.view.table);
        if generation == 1 {
            format!("{context}-aggregator/{table}")
        } else {
            format!("{context}-aggregator/{table}.{generation}")
        }
    }
}

/// Whether nothing is read yet.
fn is_first(rows: &[GenerationRow]) -> bool {
    rows.iter().all(|it| it.state != GenerationState::Live)
}

fn is_to_do(row: &GenerationRow, is_first: bool) -> bool {
    row.state == GenerationState::Building || row.cuts_over(is_first)
}

/// While there is something to do.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
const IDLE_PAUSE: Duration = Duration::from_secs(1);
/// From then on a build is a long one.
const LONG_BUILD: Duration = Duration::from_secs(3);
