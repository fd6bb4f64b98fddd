//! What happened in a run, for people.
use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
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

/// Does something while what the services log becomes part of the timeline, `now` and by `who`.
pub(super) fn with_logs<T>(
    timeline: &Timeline,
    now: impl Fn() -> (Duration, String) + Send + Sync + 'static,
    act: impl FnOnce() -> T,
) -> T {
    if timeline.0.is_none() {
        return tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), act);
    }
    let layer = Logs { timeline: timeline.clone(), now: Box::new(now) };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act)
}

struct Logs {
    timeline: Timeline,
    now: Box<dyn Fn() -> (Duration, String) + Send + Sync>,
}

impl<S: Subscriber> Layer<S> for Logs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() > tracing::Level::INFO {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let (at, who) = (self.now)();
        self.timeline.note(at, || (who, format!("  {}{}", text.message, text.fields)));
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "context" => Ok(()),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
