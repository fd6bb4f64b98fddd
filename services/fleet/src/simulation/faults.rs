//! What goes wrong at each call of a port: chosen by a seed, counted, and each of them can be left out of a run.
use super::{
    plan::{Kind, Plan},
    random::Random,
    scheduler::{Kernel, Life},
    timeline::Timeline,
};
use shell::memory::{CallFault, Failure, Faults, SendFault};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Does what the plan says. Cheap to clone.
#[derive(Clone)]
pub(super) struct Gremlin {
    pub(super) kernel: Kernel,
    pub(super) timeline: Timeline,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    random: Random,
    plan: Plan,
    /// The number of the next fault: what [`Plan::without`] names.
    next: u32,
    struck: BTreeMap<Kind, u32>,
    numbers: Vec<u32>,
    names: BTreeMap<u32, String>,
    is_calm: bool,
    /// Those who are slow, and until when.
    slow: BTreeMap<u32, Duration>,
}

impl Gremlin {
    pub(super) fn new(plan: &Plan, kernel: Kernel, timeline: Timeline) -> Self {
        let inner = Inner {
            random: Random::new(plan.seed, 2),
            plan: plan.clone(),
            next: 0,
            struck: BTreeMap::new(),
            numbers: Vec::new(),
            names: BTreeMap::new(),
            is_calm: false,
            slow: BTreeMap::new(),
        };
        Self { kernel, timeline, inner: Arc::new(Mutex::new(inner)) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing goes wrong.
    pub(super) fn calm(&self) {
        self.inner().is_calm = true;
        self.note(0, || "no more faults".to_owned());
    }

    pub(super) fn is_calm(&self) -> bool {
        self.inner().is_calm
    }

    /// How often each kind of fault struck.
    pub(super) fn struck(&self) -> BTreeMap<Kind, u32> {
        self.inner().struck.clone()
    }

    /// The numbers of the faults that struck.
    pub(super) fn numbers(&self) -> BTreeSet<u32> {
        self.inner().numbers.iter().copied().collect()
    }

    pub(super) fn name(&self, who: u32, name: String) {
        self.inner().names.insert(who, name);
    }

    pub(super) fn name_of(&self, who: u32) -> String {
        self.inner().names.get(&who).cloned().unwrap_or_else(|| "world".to_owned())
    }

    pub(super) fn note(&self, who: u32, what: impl FnOnce() -> String) {
        self.timeline.note(self.kernel.now(), || (self.name_of(who), what()));
    }

    /// Whether a fault that is about to strike does: not if the plan leaves it out.
    pub(super) fn strikes(&self, kind: Kind, who: u32, what: impl FnOnce() -> String) -> bool {
        let number = {
            let mut it = self.inner();
            it.next += 1;
            let number = it.next;
            if it.is_calm || it.plan.without.contains(&number) {
                return false;
            }
            *it.struck.entry(kind).or_default() += 1;
            it.numbers.push(number);
            number
        };
        self.note(who, || format!("#{number} {kind}: {}", what()));
        true
    }

    /// Of the plan's kinds that strike between calls, one by its seed.
    pub(super) fn draw<T>(&self, draw: impl FnOnce(&mut Random, &Plan) -> T) -> T {
        let mut guard = self.inner();
        let it = &mut *guard;
        draw(&mut it.random, &it.plan)
    }

    pub(super) fn slow_down(&self, who: u32, time: Duration) {
        let until = self.kernel.now() + time;
        self.inner().slow.insert(who, until);
    }

    /// A kind that strikes at calls, by the plan's rates; at most one a call.
    fn at_call(&self, kinds: &[Kind]) -> Option<Kind> {
        let mut it = self.inner();
        if it.is_calm {
            return None;
        }
        let mut draw = it.random.below(1_000_000);
        for kind in kinds {
            let rate = it.plan.rates.get(kind).copied().unwrap_or_default();
            if draw < rate {
                return Some(*kind);
            }
            draw -= rate;
        }
        None
    }

    /// How long something takes that takes no time to speak of.
    fn latency(&self, who: u32) -> Duration {
        let now = self.kernel.now();
        let mut it = self.inner();
        let longest = Duration::from_micros(it.plan.latency_us);
        let time = it.random.up_to(longest);
        if it.slow.get(&who).is_some_and(|until| *until > now) && !it.is_calm {
            return time * 100;
        }
        time
    }

    fn up_to(&self, longest: Duration) -> Duration {
        self.inner().random.up_to(longest)
    }
}

impl Faults for Gremlin {
    fn call(&self, who: u32, what: &'static str) -> CallFault {
        let (before, after) = (self.latency(who), self.latency(who));
        let fine = CallFault { before, after, failure: None };
        let long = self.up_to(Duration::from_millis(1500));
        match self.at_call(&AT_CALLS) {
            Some(kind @ Kind::CallFails) if self.strikes(kind, who, || what.to_owned()) => {
                CallFault { failure: Some(Failure::NotDone), ..fine }
            }
            Some(kind @ Kind::AnswerLost) if self.strikes(kind, who, || what.to_owned()) => {
                CallFault { failure: Some(Failure::AnswerLost), ..fine }
            }
            Some(kind @ Kind::CallSlow)
                if self.strikes(kind, who, || format!("{what}, {long:?}")) =>
            {
                if long.subsec_nanos().is_multiple_of(2) {
                    CallFault { before: long, ..fine }
                } else {
                    CallFault { after: long, ..fine }
                }
            }
            Some(kind @ Kind::DiesBeforeCall)
                if who != 0 && self.strikes(kind, who, || what.to_owned()) =>
            {
                self.kernel.set_life(who, Life::Dead);
                CallFault { before: Duration::MAX, ..fine }
            }
            Some(kind @ Kind::DiesAfterCall)
                if who != 0 && self.strikes(kind, who, || what.to_owned()) =>
            {
                let kernel = self.kernel.clone();
                let die = Box::new(move || kernel.set_life(who, Life::Dead));
                self.kernel.later(before + Duration::from_nanos(1), die);
                CallFault { after: Duration::MAX, ..fine }
            }
            _ => fine,
        }
    }

    fn send(&self, who: u32, topic: &str) -> SendFault {
        let (after, report) = (self.latency(who), self.latency(who));
        let fine = SendFault::Delivered { after, times: 1, report };
        let long = self.up_to(Duration::from_secs(4));
        let what = || topic.to_owned();
        match self.at_call(&AT_SENDS) {
            Some(kind @ Kind::SendLost) if self.strikes(kind, who, what) => SendFault::Lost(long),
            Some(kind @ Kind::SendDenied) if self.strikes(kind, who, what) => {
                SendFault::DeniedAfter(long)
            }
            Some(kind @ Kind::SendLate)
                if self.strikes(kind, who, || format!("{topic}, {long:?}")) =>
            {
                SendFault::Delivered { after: long, times: 1, report }
            }
            Some(kind @ Kind::ReportLate)
                if self.strikes(kind, who, || format!("{topic}, {long:?}")) =>
            {
                SendFault::Delivered { after, times: 1, report: long }
            }
            Some(kind @ Kind::SendTwice) if self.strikes(kind, who, what) => {
                SendFault::Delivered { after, times: 2, report }
            }
            Some(kind @ Kind::SendFull) if self.strikes(kind, who, what) => SendFault::Full,
            Some(kind @ Kind::SendRefused) if self.strikes(kind, who, what) => SendFault::Refused,
            _ => fine,
        }
    }

    fn later(&self, after: Duration, act: Box<dyn FnOnce() + Send>) {
        self.kernel.later(after, act);
    }
}

const AT_CALLS: [Kind; 5] =
    [Kind::CallFails, Kind::AnswerLost, Kind::CallSlow, Kind::DiesBeforeCall, Kind::DiesAfterCall];
const AT_SENDS: [Kind; 7] = [
    Kind::SendLost,
    Kind::SendDenied,
    Kind::SendLate,
    Kind::ReportLate,
    Kind::SendTwice,
    Kind::SendFull,
    Kind::SendRefused,
];
