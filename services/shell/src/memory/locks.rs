//! Locks on the rows of a view that span streams: held between a load and its write, and not for ever.
use crate::clock::Clock;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// As Postgres is told (protocol.md V3): a transaction that does nothing for this long is ended.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// One lock for each view whose rows span streams.
#[derive(Clone, Default)]
pub(super) struct Locks(Arc<Shared>);

#[derive(Default)]
struct Shared {
    holders: Mutex<Holders>,
    freed: Notify,
}

#[derive(Default)]
struct Holders {
    /// Who holds the lock of a table, and since when.
    held: BTreeMap<&'static str, (u64, Duration)>,
    next: u64,
}

/// A lock that is held, unless it was taken away; freed when it is dropped.
pub(super) struct Lock {
    locks: Locks,
    table: &'static str,
    holder: u64,
}

impl Locks {
    fn holders(&self) -> MutexGuard<'_, Holders> {
        self.0.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn take(&self, table: &'static str, clock: &Clock) -> Lock {
        loop {
            let freed = self.0.freed.notified();
            let now = clock.elapsed();
            let left = {
                let mut holders = self.holders();
                let since = holders.held.get(table).map(|(_, since)| *since);
                let left = since.map_or(Duration::ZERO, |it| (it + IDLE_MAX).saturating_sub(now));
                if left.is_zero() {
                    holders.next += 1;
                    let holder = holders.next;
                    holders.held.insert(table, (holder, now));
                    return Lock { locks: self.clone(), table, holder };
                }
                left
            };
            clock.timeout(left, freed).await;
        }
    }
}

impl Lock {
    pub(super) fn is_held(&self) -> bool {
        self.locks.holders().held.get(self.table).is_some_and(|(holder, _)| *holder == self.holder)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut holders = self.locks.holders();
        if holders.held.get(self.table).is_some_and(|(holder, _)| *holder == self.holder) {
            holders.held.remove(self.table);
        }
        drop(holders);
        self.locks.0.freed.notify_waiters();
    }
}
