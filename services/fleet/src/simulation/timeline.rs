//! What happened in a run, for people.
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Lines in the order in which things happened; kept only where somebody wants to read them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Timeline(Option<Arc<Mutex<Vec<Line>>>>);

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Since the beginning of the run.
    pub at: Duration,
    /// The process, or what else it happened to.
    pub who: String,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.6} {:<15} {}", self.at.as_secs_f64(), self.who, self.what)
    }
}

impl Timeline {
    /// One that keeps what it is told.
    #[must_use]
    pub fn kept() -> Self {
        Self(Some(Arc::default()))
    }

    /// Notes what `say` says, which is not asked if nobody wants to know.
    pub(super) fn note(&self, at: Duration, say: impl FnOnce() -> (String, String)) {
        if let Some(lines) = &self.0 {
            let (who, what) = say();
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(Line { at, who, what });
        }
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let lines = self.0.as_ref().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner));
        lines.map(|it| it.clone()).unwrap_or_default()
    }
}
