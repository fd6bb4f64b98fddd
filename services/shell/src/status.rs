//! What a process tells about itself: whether it lives, whether it is ready, and where each partition stands.
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// The state of every service in this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Status {
    instance: Uuid,
    services: Arc<Mutex<BTreeMap<String, ServiceStatus>>>,
}

/// The state of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Whether it has joined its group, or listens.
    pub joined: bool,
    /// Whether it once had all there was; always true for services that do not follow anything.
    pub caught_up: bool,
    /// Why it cannot work right now.
    pub trouble: Option<String>,
    /// Partitions that were stopped for good, with the reason.
    pub stuck: BTreeMap<String, String>,
    /// Each partition that it owns or should own, by `topic/partition`.
    pub parts: BTreeMap<String, PartStatus>,
}

/// Where a partition stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    pub published: i64,
    /// Why it makes no progress.
    pub trouble: Option<String>,
}

impl ServiceStatus {
    /// Why the service is not ready, if it is not.
    #[must_use]
    pub fn not_ready(&self) -> Option<String> {
        if let Some(trouble) = &self.trouble {
            Some(trouble.clone())
        } else if let Some((part, why)) = self.stuck.first_key_value() {
            Some(format!("{part} is stopped: {why}"))
        } else if !self.joined {
            Some("has not joined its group yet".into())
        } else if !self.caught_up {
            Some("is catching up for the first time".into())
        } else {
            None
        }
    }
}

impl Status {
    /// Of a process with this id.
    #[must_use]
    pub fn new(instance: Uuid) -> Self {
        Self { instance, services: Arc::default() }
    }

    /// This process.
    #[must_use]
    pub fn instance(&self) -> Uuid {
        self.instance
    }

    /// For a service to report to.
    #[must_use]
    pub fn reporter(&self, service: impl Into<String>) -> Reporter {
        let service = service.into();
        self.lock().insert(service.clone(), ServiceStatus::default());
        Reporter { status: self.clone(), service }
    }

    /// All services of the process.
    #[must_use]
    pub fn services(&self) -> BTreeMap<String, ServiceStatus> {
        self.lock().clone()
    }

    /// What is not ready, and why; nothing if the process is ready.
    #[must_use]
    pub fn not_ready(&self) -> BTreeMap<String, String> {
        let services = self.lock();
        services.iter().filter_map(|(name, it)| Some((name.clone(), it.not_ready()?))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ServiceStatus>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Why it cannot work; `None`: it can.
    pub fn trouble(&self, why: Option<String>) {
        self.change(|it| it.trouble = why);
    }

    /// Where a partition stands.
    pub fn part(&self, topic: &str, part: i32, status: PartStatus) {
        self.change(|it| drop(it.parts.insert(format!("{topic}/{part}"), status)));
    }

    /// A partition is somebody else's.
    pub fn part_gone(&self, topic: &str, part: i32) {
        self.change(|it| {
            let name = format!("{topic}/{part}");
            it.parts.remove(&name);
            it.stuck.remove(&name);
        });
    }

    /// A partition is stopped for good.
    pub fn stuck(&self, topic: &str, part: i32, why: &str) {
        self.change(|it| drop(it.stuck.insert(format!("{topic}/{part}"), why.to_owned())));
    }

    fn change(&self, change: impl FnOnce(&mut ServiceStatus)) {
        if let Some(it) = self.status.lock().get_mut(&self.service) {
            change(it);
        }
    }
}
