//! One pass over all events, stream after stream, for everything that is compared with them in this order.
use super::{Instant, difference::Findings};
use crate::{
    clock::Clock,
    port::store::{EventRow, StoreError},
    schemas::Schemas,
};
use futures::future::LocalBoxFuture;
use shared_events::WriterSchema;
use std::sync::Arc;

/// An event, and what it takes to read it.
pub(super) struct Event {
    pub(super) row: EventRow,
    /// The schema that it was written with; `None` if it is nowhere.
    pub(super) schema: Option<Arc<WriterSchema>>,
}

/// Some events that follow one another.
pub(super) struct Chunk {
    /// The topic that carries them, without the namespace.
    pub(super) topic: String,
    /// Whether they are of the context that is audited; else of one that its views follow.
    pub(super) is_own: bool,
    pub(super) events: Vec<Event>,
}

pub(super) type Done<'a, T = ()> = LocalBoxFuture<'a, Result<T, StoreError>>;

/// Something that is compared with the events.
pub(super) trait Check {
    /// Whether it has to see the events of this context.
    fn follows(&self, context: &str) -> bool;

    /// Takes note of the events that come next.
    fn take<'a>(&'a mut self, chunk: &'a Chunk, findings: &'a mut Findings<'_>) -> Done<'a>;

    /// All events were seen. What is left needs another pass.
    fn finish<'a>(self: Box<Self>, findings: &'a mut Findings<'_>) -> Done<'a, Finished>;
}

/// What was compared, and what is left for another pass.
pub(super) type Finished = (Vec<Counted>, Option<Box<dyn Check>>);

/// So many of something were compared.
pub(super) type Counted = (String, u64);

/// Goes through the events as often as the checks want.
pub(super) struct Walk<'a> {
    clock: Clock,
    instant: &'a Instant,
}

impl<'a> Walk<'a> {
    pub(super) fn new(clock: Clock, instant: &'a Instant) -> Self {
        Self { clock, instant }
    }

    pub(super) async fn run(
        self,
        mut checks: Vec<Box<dyn Check>>,
        findings: &mut Findings<'_>,
    ) -> Result<(), StoreError> {
        for pass in 1u32.. {
            if checks.is_empty() {
                return Ok(());
            }
            let began = self.clock.elapsed();
            let seen = self.pass(pass, &mut checks, findings).await?;
            let mut again = Vec::new();
            let mut counts = Vec::new();
            for check in checks {
                let (counted, rest) = check.finish(findings).await?;
                counts.extend(counted);
                again.extend(rest);
            }
            let took = self.clock.elapsed().saturating_sub(began);
            for (what, count) in counts {
                findings.checked(what, count, seen, took);
            }
            checks = again;
        }
        Ok(())
    }

    async fn pass(
        &self,
        pass: u32,
        checks: &mut [Box<dyn Check>],
        findings: &mut Findings<'_>,
    ) -> Result<u64, StoreError> {
        let step = if pass == 1 { "events".to_owned() } else { format!("events, pass {pass}") };
        let total = self.instant.events();
        let mut seen = 0;
        for (context, snapshot) in &self.instant.contexts {
            let is_own = *context == self.instant.context;
            if !checks.iter().any(|it| it.follows(context)) {
                continue;
            }
            let mut schemas = Schemas::new(snapshot.schemas().await?);
            let mut rows = snapshot.events_by_stream();
            while let Some(rows) = rows.chunk().await? {
                seen += rows.len() as u64;
                let event = |row: EventRow| Event { schema: schemas.get(row.schema), row };
                let events = rows.into_iter().map(event).collect();
                let chunk = Chunk { topic: format!("{context}.events"), is_own, events };
                for check in checks.iter_mut().filter(|it| it.follows(context)) {
                    check.take(&chunk, findings).await?;
                }
                findings.watcher.progress(&step, seen, total);
            }
        }
        Ok(seen)
    }
}
