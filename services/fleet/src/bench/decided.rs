//! How fast commands are decided, read from the ledger: durable truth.
use super::stage::Fleet;
use crate::stack::Stopwatch;
use anyhow::bail;
use shell::port::store::{Ledger as _, Store as _};
use std::time::Duration;

/// How far the handlers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    /// Commands.
    pub(super) commands: i64,
    /// Events.
    pub(super) events: i64,
}

/// A look at the ledger of a fleet.
pub(super) struct Watch<'a> {
    fleet: &'a Fleet,
    ledger: shell::postgres::PostgresLedger,
}

impl<'a> Watch<'a> {
    pub(super) fn of(fleet: &'a Fleet) -> Self {
        Self { fleet, ledger: fleet.shell.postgres.ledger("customers") }
    }

    pub(super) async fn now(&mut self) -> anyhow::Result<Decided> {
        let parts: Vec<i32> = (0..self.fleet.shell.config.partitions).collect();
        let rows = self.ledger.rows(&parts).await?;
        Ok(Decided {
            commands: rows.iter().map(|it| it.next_offset).sum(),
            events: rows.iter().map(|it| it.pseq).sum(),
        })
    }

    /// Waits until so many commands more than `before` are decided, each with one event. Commands a second, from
    /// the first that was seen to the last.
    pub(super) async fn rate(&mut self, before: Decided, count: usize) -> anyhow::Result<f64> {
        let clock = &self.fleet.shell.clock.clone();
        let (count, patience) = (i64::try_from(count)?, Stopwatch::start());
        let mut first = None;
        loop {
            let now = self.now().await?;
            let done = now.commands - before.commands;
            let (watch, at_first) = match first {
                Some(it) => it,
                None if done > 0 => *first.insert((Stopwatch::start(), done)),
                None => (Stopwatch::start(), 0),
            };
            if done >= count {
                let events = now.events - before.events;
                if events != done {
                    bail!("{done} commands made {events} events: some were refused");
                }
                #[expect(clippy::cast_precision_loss, reason = "so many there will never be")]
                return Ok((done - at_first) as f64 / watch.took().as_secs_f64());
            }
            if patience.took() > PATIENCE {
                bail!("{done} of {count} commands are decided after {PATIENCE:?}");
            }
            clock.sleep(PULSE).await;
        }
    }
}

const PULSE: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_mins(5);
