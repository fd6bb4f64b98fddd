//! A schema registry that forgets with the process.
use super::seat::{Faults, Seat};
use crate::{
    clock::Clock,
    codec::{Registry, RegistryError},
    port::store::StoreError,
};
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex, PoisonError};

/// A schema registry in memory. Cheap to clone.
#[derive(Clone)]
pub struct MemoryRegistry {
    inner: Arc<Mutex<Inner>>,
    seat: Seat,
}

#[derive(Default)]
struct Inner {
    /// The schema with id `i + 1`.
    schemas: Vec<String>,
    away: bool,
}

impl MemoryRegistry {
    /// An empty registry.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { inner: Arc::default(), seat: Seat { who: 0, clock, faults: None } }
    }

    /// The same registry as this process uses it.
    pub(super) fn seen_from(&self, who: u32, clock: Clock, faults: Arc<dyn Faults>) -> Self {
        Self { seat: Seat { who, clock, faults: Some(faults) }, ..self.clone() }
    }

    /// Whether it stops answering.
    pub fn set_away(&self, away: bool) {
        self.with(|it| it.away = away);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Registry for MemoryRegistry {
    fn register<'a>(
        &'a self,
        _subject: &'a str,
        schema: &'a str,
    ) -> BoxFuture<'a, Result<u32, RegistryError>> {
        let register = move |it: &mut Inner| {
            let known = it.schemas.iter().position(|known| known == schema);
            let index = known.unwrap_or_else(|| {
                it.schemas.push(schema.to_owned());
                it.schemas.len() - 1
            });
            u32::try_from(index + 1).unwrap_or(u32::MAX)
        };
        Box::pin(self.call("register a schema", register))
    }

    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<String>, RegistryError>> {
        let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        let schema = move |it: &mut Inner| index.and_then(|at| it.schemas.get(at).cloned());
        Box::pin(self.call("ask for a schema", schema))
    }
}

impl MemoryRegistry {
    async fn call<T>(
        &self,
        what: &'static str,
        act: impl FnOnce(&mut Inner) -> T,
    ) -> Result<T, RegistryError> {
        let act = || {
            self.with(|it| {
                if it.away { Err(StoreError::Away("told to be away".into())) } else { Ok(act(it)) }
            })
        };
        self.seat.call(what, act).await.map_err(|error| RegistryError::Away(error.to_string()))
    }
}
