//! A schema registry that forgets with the process.
use crate::codec::{Registry, RegistryError};
use futures::future::{BoxFuture, ready};
use std::sync::{Arc, Mutex, PoisonError};

/// A schema registry in memory. Cheap to clone.
#[derive(Clone, Default)]
pub struct MemoryRegistry(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// The schema with id `i + 1`.
    schemas: Vec<String>,
    away: bool,
}

impl MemoryRegistry {
    /// Whether it stops answering.
    pub fn set_away(&self, away: bool) {
        self.with(|it| it.away = away);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Registry for MemoryRegistry {
    fn register<'a>(
        &'a self,
        _subject: &'a str,
        schema: &'a str,
    ) -> BoxFuture<'a, Result<u32, RegistryError>> {
        let id = self.with(|it| {
            if it.away {
                return Err(away());
            }
            let known = it.schemas.iter().position(|known| known == schema);
            let index = known.unwrap_or_else(|| {
                it.schemas.push(schema.to_owned());
                it.schemas.len() - 1
            });
            Ok(u32::try_from(index + 1).unwrap_or(u32::MAX))
        });
        Box::pin(ready(id))
    }

    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<String>, RegistryError>> {
        let schema = self.with(|it| {
            let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
            if it.away {
                Err(away())
            } else {
                Ok(index.and_then(|index| it.schemas.get(index).cloned()))
            }
        });
        Box::pin(ready(schema))
    }
}

fn away() -> RegistryError {
    RegistryError::Away("told to be away".into())
}
