//! Many seeds, on all cores, until one fails or the time is over.
use super::{
    plan::{Kind, Plan},
    run::Outcome,
    shrink::run_caught,
    timeline::Timeline,
};
use crate::stack::Stopwatch;
use shell::defect::Defect;
use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Which seeds to try.
#[derive(Clone, Debug)]
pub struct Search {
    /// The first of them.
    pub from: u64,
    /// At most so many.
    pub seeds: u64,
    /// Not beyond this.
    pub time: Duration,
    /// How many seeds that fail are enough.
    pub failures_max: usize,
    /// A deliberate mistake in the code under test.
    pub defect: Option<Defect>,
}

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Runs.
    pub schedules: u64,
    /// Commands that were answered in them.
    pub commands: u64,
    /// Queries that were answered in them.
    pub reads: u64,
    /// Virtual time that passed in them.
    pub virtual_time: Duration,
    /// Faults by kind.
    pub faults: BTreeMap<Kind, u64>,
    /// Real time.
    pub took: Duration,
    /// Cores at work.
    pub cores: usize,
    /// The seeds that failed, with their plans.
    pub failures: Vec<(Plan, Outcome)>,
}

/// Tries seeds, and tells `watch` once a second what was found so far.
pub fn search(what: &Search, watch: impl Fn(&Progress) + Sync) -> Progress {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let cores = cores.min(usize::try_from(what.seeds).unwrap_or(usize::MAX)).max(1);
    let found = Mutex::new(Progress { cores, ..Progress::default() });
    let (next, is_over) = (AtomicU64::new(what.from), AtomicBool::new(false));
    let watch_time = Stopwatch::start();
    let told = Mutex::new(Duration::ZERO);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= what.from.saturating_add(what.seeds) {
                        break;
                    }
                    let plan = Plan { defect: what.defect, ..Plan::of(seed) };
                    let outcome = run_caught(&plan, &Timeline::default());
                    let took = watch_time.took();
                    let mut it = found.lock().unwrap_or_else(PoisonError::into_inner);
                    it.add(plan, outcome, took);
                    if it.failures.len() >= what.failures_max || took >= what.time {
                        is_over.store(true, Ordering::Relaxed);
                    }
                    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                    if took.saturating_sub(*told) >= Duration::from_secs(1) {
                        *told = took;
                        watch(&it);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    fn add(&mut self, plan: Plan, outcome: Outcome, took: Duration) {
        self.schedules += 1;
        self.commands += outcome.answered as u64;
        self.reads += outcome.reads as u64;
        self.virtual_time += outcome.took;
        self.took = took;
        for (kind, count) in &outcome.faults {
            *self.faults.entry(*kind).or_default() += u64::from(*count);
        }
        if !outcome.anomalies.is_empty() {
            self.failures.push((plan, outcome));
        }
    }

    /// Runs in a second of one core.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn rate(&self) -> f64 {
        let seconds = self.took.as_secs_f64() * self.cores as f64;
        if seconds > 0.0 { self.schedules as f64 / seconds } else { 0.0 }
    }
}
