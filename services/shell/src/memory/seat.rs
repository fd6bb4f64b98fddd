//! From where a port in memory is used: by which process, by which clock, and what goes wrong for it.
use crate::{clock::Clock, port::store::StoreError};
use std::{sync::Arc, time::Duration};

/// Decides what goes wrong at each call of a port. Called in the order in which things happen, so that a seeded one
/// does the same again.
pub trait Faults: Send + Sync + 'static {
    /// A process calls the store, the registry, or asks the log something.
    fn call(&self, who: u32, what: &'static str) -> CallFault;

    /// A process hands a record over to the log.
    fn send(&self, who: u32, topic: &str) -> SendFault;

    /// Does something when so much time has passed.
    fn later(&self, after: Duration, act: Box<dyn FnOnce() + Send>);
}

/// How long a call takes, and whether it fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallFault {
    /// Until it takes effect; [`Duration::MAX`]: it never does.
    pub before: Duration,
    /// From then until it returns; [`Duration::MAX`]: it never does.
    pub after: Duration,
    /// What the caller is told instead of the result.
    pub failure: Option<Failure>,
}

/// A call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing happened.
    NotDone,
    /// It happened, and the answer was lost: to the caller the same.
    AnswerLost,
}

/// What becomes of a record that is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFault {
    /// It stands in the log after `after`, so often; its sender is told `report` later.
    Delivered {
        /// Until it is appended. Records of one producer for one partition keep their order.
        after: Duration,
        /// How often: more than once as from a producer without idempotence.
        times: usize,
        /// From then until its sender is told.
        report: Duration,
    },
    /// It stands in the log, and its sender is told that it does not.
    DeniedAfter(Duration),
    /// It is lost, and its sender is told so after this.
    Lost(Duration),
    /// It is not taken: the queue is full.
    Full,
    /// It is not taken by this producer.
    Refused,
}

/// Who uses a port.
#[derive(Clone)]
pub(super) struct Seat {
    /// Number of the process.
    pub(super) who: u32,
    pub(super) clock: Clock,
    /// `None`: nothing goes wrong by itself, and nothing takes time.
    pub(super) faults: Option<Arc<dyn Faults>>,
}

impl Seat {
    /// A call of a port, which takes the time that it takes and perhaps fails.
    pub(super) async fn call<T, E: From<StoreError>>(
        &self,
        what: &'static str,
        act: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(faults) = &self.faults else { return act() };
        let CallFault { before, after, failure } = faults.call(self.who, what);
        self.pass(before).await;
        let result = if failure == Some(Failure::NotDone) { None } else { Some(act()) };
        self.pass(after).await;
        match (result, failure) {
            (Some(result), None) => result,
            (Some(Err(error)), Some(_)) => Err(error),
            (Some(Ok(_)) | None, _) => Err(StoreError::Away("the connection broke".into()).into()),
        }
    }

    async fn pass(&self, time: Duration) {
        if time == Duration::MAX {
            std::future::pending::<()>().await;
        }
        if !time.is_zero() {
            self.clock.sleep(time).await;
        }
    }
}
