//! The one place that asks what time it is, and waits.
//!
//! Loops get a [`Clock`] and never look at the world's: the same code runs on a virtual clock.
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use std::{sync::Arc, time::Duration};

/// What time it is, and how to wait.
#[derive(Clone)]
pub struct Clock(Arc<dyn Time>);

/// A source of time.
pub trait Time: Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> DateTime<Utc>;
    /// Time since some fixed moment; never goes back.
    fn elapsed(&self) -> Duration;
    /// Resolves when the time has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

impl Clock {
    /// A clock that shows this time.
    pub fn new(time: impl Time) -> Self {
        Self(Arc::new(time))
    }

    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(SystemTime { begun: tokio::time::Instant::now() })
    }

    /// The wall clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    /// Time since some fixed moment; never goes back.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Resolves when the time has passed.
    pub async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }

    /// What the future resolves to, or `None` if that takes longer than `limit`.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let future = std::pin::pin!(future);
        match futures::future::select(future, self.0.sleep(limit)).await {
            futures::future::Either::Left((output, _)) => Some(output),
            futures::future::Either::Right(((), _)) => None,
        }
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({:?})", self.elapsed())
    }
}

struct SystemTime {
    begun: tokio::time::Instant,
}

impl Time for SystemTime {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> DateTime<Utc> {
        std::time::SystemTime::now().into()
    }

    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
