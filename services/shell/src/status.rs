//! What a process tells about itself: whether it lives, whether it is ready, and where each partition stands.
mod report;

pub use report::{ContextReport, DeadLetters, ParkedEvents, PartReport, Report, ServiceReport};

use crate::clock::Clock;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// The state of every service in this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Status {
    instance: Uuid,
    clock: Clock,
    all: Arc<Mutex<All>>,
}

#[derive(Debug, Default)]
struct All {
    services: BTreeMap<String, ServiceStatus>,
    /// Services that will report, or whose parts will.
    expected: BTreeSet<String>,
    /// The contexts that the process works for.
    contexts: BTreeSet<String>,
}

/// The state of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Whether it has joined its group, or listens.
    pub joined: bool,
    /// Whether it once had all there was; always true for services that do not follow anything.
    pub caught_up: bool,
    /// Who waits for it.
    pub standing: Standing,
    /// Why it cannot work right now.
    pub trouble: Option<String>,
    /// Partitions that were stopped for good, with the reason.
    pub stuck: BTreeMap<(String, i32), String>,
    /// Each partition that it owns or should own, by topic and number.
    pub parts: BTreeMap<(String, i32), PartStatus>,
}

/// Who waits for a service, or a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// The process is ready when it is.
    #[default]
    Needed,
    /// The process is not ready before it has become needed.
    Awaited,
    /// Nobody: it may become needed later.
    Aside,
}

/// Where a partition stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartStatus {
    /// The epoch in which this process owns it.
    pub epoch: i64,
    /// The next offset to be read.
    pub position: i64,
    /// Records that wait, as of the last check.
    pub lag: Option<i64>,
    /// The last event decided, or shown.
    pub pseq: i64,
    /// The last event that is in the log for certain (handlers only).
    pub published: Option<i64>,
    /// Why it makes no progress.
    pub trouble: Option<String>,
    /// Since when something waits without any progress, by the process's clock; found out by the reporter.
    pub waiting_since: Option<Duration>,
}

impl PartStatus {
    /// What follows on `before`: numbers that are not known now are those known then.
    fn after(self, before: Option<&Self>, now: Duration) -> Self {
        // Whoever has lost a partition does not know its numbers any more.
        let is_lost = self.trouble.is_some() && self.pseq == 0 && self.published.is_none();
        let mut next = match before {
            Some(before) if is_lost => Self { trouble: self.trouble, ..before.clone() },
            _ => self,
        };
        let end = before.and_then(|it| Some(it.position + it.lag?));
        next.lag = next.lag.or_else(|| end.map(|it| (it - next.position).max(0)));
        let unpublished = next.published.is_some_and(|it| it < next.pseq);
        let waits = next.trouble.is_some() || unpublished || next.lag.is_some_and(|it| it > 0);
        let moved = before.is_none_or(|it| {
            (it.position, it.pseq, it.published) != (next.position, next.pseq, next.published)
        });
        next.waiting_since = match before.and_then(|it| it.waiting_since) {
            _ if !waits => None,
            Some(since) if !moved => Some(since),
            _ => Some(now),
        };
        next
    }
}

impl ServiceStatus {
    /// Why the service is not ready, if it is not.
    #[must_use]
    pub fn not_ready(&self) -> Option<String> {
        if self.standing == Standing::Aside {
            None
        } else if let Some(trouble) = &self.trouble {
            Some(trouble.clone())
        } else if let Some(((topic, part), why)) = self.stuck.first_key_value() {
            Some(format!("{topic}/{part} is stopped: {why}"))
        } else if !self.joined {
            Some("has not joined its group yet".into())
        } else if !self.caught_up {
            Some("is catching up for the first time".into())
        } else if self.standing == Standing::Awaited {
            Some("is being completed".into())
        } else {
            None
        }
    }
}

impl Status {
    /// Of a process with this id.
    #[must_use]
    pub fn new(instance: Uuid, clock: Clock) -> Self {
        Self { instance, clock, all: Arc::default() }
    }

    /// This process.
    #[must_use]
    pub fn instance(&self) -> Uuid {
        self.instance
    }

    /// The process is not ready before this service, or a part of it (`<service>/<part>`), reports.
    pub fn expect(&self, service: impl Into<String>) {
        self.lock().expected.insert(service.into());
    }

    /// The process works for this context: its troubles are told with the status.
    pub fn works_for(&self, context: impl Into<String>) {
        self.lock().contexts.insert(context.into());
    }

    /// The contexts that the process works for.
    #[must_use]
    pub fn contexts(&self) -> BTreeSet<String> {
        self.lock().contexts.clone()
    }

    /// For a service to report to.
    #[must_use]
    pub fn reporter(&self, service: impl Into<String>) -> Reporter {
        let service = service.into();
        self.lock().services.insert(service.clone(), ServiceStatus::default());
        Reporter { status: self.clone(), service }
    }

    /// All services of the process that report.
    #[must_use]
    pub fn services(&self) -> BTreeMap<String, ServiceStatus> {
        self.lock().services.clone()
    }

    /// What is not ready, and why; nothing if the process is ready.
    #[must_use]
    pub fn not_ready(&self) -> BTreeMap<String, String> {
        let all = self.lock();
        let reports = |expected: &str| {
            let is_part =
                |it: &str| it.strip_prefix(expected).is_some_and(|it| it.starts_with('/'));
            all.services.keys().any(|it| it == expected || is_part(it))
        };
        let silent = all.expected.iter().filter(|it| !reports(it));
        let silent = silent.map(|it| (it.clone(), "is starting, or waits for Kafka".to_owned()));
        let told =
            all.services.iter().filter_map(|(name, it)| Some((name.clone(), it.not_ready()?)));
        silent.chain(told).collect()
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where one service reports its state.
#[derive(Clone, Debug)]
pub struct Reporter {
    status: Status,
    service: String,
}

impl Reporter {
    /// This process.
    #[must_use]
    pub fn instance(&self) -> Uuid {
        self.status.instance
    }

    /// It is a member of its group, or listens.
    pub fn joined(&self) {
        self.change(|it| it.joined = true);
    }

    /// It has, or never had to, caught up.
    pub fn caught_up(&self) {
        self.change(|it| it.caught_up = true);
    }

    /// Who waits for it.
    pub fn stands(&self, standing: Standing) {
        self.change(|it| it.standing = standing);
    }

    /// There is no such service any more.
    pub fn withdraw(&self) {
        self.status.lock().services.remove(&self.service);
    }

    /// Why it cannot work; `None`: it can.
    pub fn trouble(&self, why: Option<String>) {
        self.change(|it| it.trouble = why);
    }

    /// Where a partition stands.
    pub fn part(&self, topic: &str, part: i32, status: PartStatus) {
        let now = self.status.clock.elapsed();
        self.change(|it| {
            let place = (topic.to_owned(), part);
            let status = status.after(it.parts.get(&place), now);
            it.parts.insert(place, status);
        });
    }

    /// A partition is somebody else's.
    pub fn part_gone(&self, topic: &str, part: i32) {
        self.change(|it| {
            let place = (topic.to_owned(), part);
            it.parts.remove(&place);
            it.stuck.remove(&place);
        });
    }

    /// A partition is stopped for good.
    pub fn stuck(&self, topic: &str, part: i32, why: &str) {
        self.change(|it| drop(it.stuck.insert((topic.to_owned(), part), why.to_owned())));
    }

    fn change(&self, change: impl FnOnce(&mut ServiceStatus)) {
        if let Some(it) = self.status.lock().services.get_mut(&self.service) {
            change(it);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Duration = Duration::ZERO;
    const LATER: Duration = Duration::from_secs(10);

    fn at(position: i64, lag: Option<i64>) -> PartStatus {
        PartStatus { epoch: 3, position, lag, ..PartStatus::default() }
    }

    #[test]
    fn what_waits_without_progress_is_noticed() {
        let first = at(5, Some(2)).after(None, ZERO);
        assert_eq!(first.waiting_since, Some(ZERO));
        let same = at(5, Some(4)).after(Some(&first), LATER);
        assert_eq!(same.waiting_since, Some(ZERO), "it did not move");
        let moved = at(6, None).after(Some(&same), LATER);
        assert_eq!((moved.lag, moved.waiting_since), (Some(3), Some(LATER)));
        let done = at(9, None).after(Some(&moved), LATER);
        assert_eq!((done.lag, done.waiting_since), (Some(0), None));
        let unpublished = PartStatus { pseq: 4, published: Some(3), ..at(9, Some(0)) };
        assert_eq!(unpublished.after(Some(&done), LATER).waiting_since, Some(LATER));
    }

    #[test]
    fn whoever_lost_a_partition_tells_where_it_stood() {
        let owned = at(5, Some(2)).after(None, ZERO);
        let lost = PartStatus { trouble: Some("fenced".into()), ..PartStatus::default() };
        let told = lost.after(Some(&owned), LATER);
        assert_eq!((told.epoch, told.position, told.lag), (3, 5, Some(2)));
        assert_eq!(told.trouble.as_deref(), Some("fenced"));
    }

    #[test]
    fn a_process_is_not_ready_before_all_its_services_have_begun() {
        let status = Status::new(Uuid::nil(), Clock::system());
        status.expect("customers-aggregator");
        assert!(status.not_ready().contains_key("customers-aggregator"));
        let report = status.report();
        assert!(!report.ready && !report.services["customers-aggregator"].ready);
        let view = status.reporter("customers-aggregator/customer");
        view.joined();
        view.caught_up();
        assert_eq!(status.not_ready(), BTreeMap::new());
    }

    #[test]
    fn partitions_are_told_in_the_order_of_their_numbers() {
        let status = Status::new(Uuid::nil(), Clock::system());
        let handler = status.reporter("customers-handler");
        for part in [10, 2, 1] {
            handler.part("customers.commands", part, at(1, Some(0)));
        }
        handler.stuck("customers.commands", 2, "two histories");
        let told = status.report().services.remove("customers-handler").unwrap().partitions;
        let numbers: Vec<i32> = told.iter().map(|it| it.partition).collect();
        assert_eq!(numbers, [1, 2, 10]);
        assert!(told[1].stopped && told[1].trouble.as_deref() == Some("two histories"));
    }
}
