//! Clients that ask without a pause and note what they are told, while something happens to a fleet; what is stored in
//! the end is compared with it. `flotilla chaos` lets faults happen, `flotilla drill` what operators do.
//!
//! - `client`, `request`: the load; `record`: the history of what was asked and told
//! - `ground`: the fleet it is about; `member`: a service of it in a process of its own
//! - `rest`, `tables`, `topic`: waiting for quiet, reading what is stored; [`crate::proof`] says what is wrong with it
//! - `tally`: what it comes to; `waits`: how long clients waited
mod client;
mod dice;
mod ground;
mod member;
mod record;
mod request;
mod rest;
mod tables;
mod tally;
mod topic;
mod waits;

pub(crate) use dice::Dice;
pub(crate) use ground::{Bffs, Ground, prepare};
pub(crate) use member::{Member, Service, options_for};
pub(crate) use record::{Record, Story};
pub use tally::Tally;
#[cfg(test)]
pub(crate) use waits::Wait;
pub(crate) use waits::Waits;

use crate::proof::{self, Anomaly, Stored};
use anyhow::Context as _;
use client::{Client, Stop};
use rest::PATIENCE;
use std::{fs, path::Path, sync::Arc, time::Duration};
use tokio::task::JoinSet;

const CLIENTS: usize = 8;

/// A trial that is going on. Dropping it ends its clients.
pub(crate) struct Trial<'a> {
    ground: &'a Ground,
    pub(crate) record: Arc<Record>,
    clients: JoinSet<()>,
    stop: Stop,
    /// Told in a line what happens.
    say: fn(&str),
}

/// What a trial came to.
pub(crate) struct Verdict {
    pub(crate) story: Story,
    pub(crate) stored: Stored,
    pub(crate) anomalies: Vec<Anomaly>,
}

impl<'a> Trial<'a> {
    /// Lets clients begin.
    pub(crate) fn begin(ground: &'a Ground, dice: &mut Dice, say: fn(&str)) -> Self {
        let (record, stop) = (Arc::new(Record::new(ground.partitions())), Stop::default());
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let (bffs, record) = (ground.bffs.clone(), Arc::clone(&record));
            let client = Client::new(number, dice.child(), bffs, record, stop.clone());
            clients.spawn(client.run());
        }
        Self { ground, record, clients, stop, say }
    }

    /// By the clients' clock.
    pub(crate) fn now(&self) -> Duration {
        self.record.now()
    }

    pub(crate) fn tell(&self, what: &str) {
        let story = self.record.story();
        let (at, answered) = (self.record.now(), story.outcomes.values().sum::<usize>());
        let waiting = story.waiting.len();
        drop(story);
        let at = at.as_secs_f64();
        (self.say)(&format!("{at:6.1} s, {answered} commands, {waiting} waiting: {what}"));
    }

    /// Waits until all services are ready and commands sent since are answered in every partition.
    pub(crate) async fn goes_on(&self, since: Duration, not_ready: impl AsyncFn() -> Vec<String>) {
        let clock = &self.ground.shell.clock;
        let goes_on = async {
            while !self.record.goes_on(since) || !not_ready().await.is_empty() {
                clock.sleep(Duration::from_millis(20)).await;
            }
        };
        if clock.timeout(PATIENCE, goes_on).await.is_none() {
            let seen = format!(
                "after {PATIENCE:.0?} these are not ready: {:?}; waiting: {:?}",
                not_ready().await,
                self.record.story().waiting
            );
            self.record.anomaly("once a fault is over, everything goes on", seen);
        }
    }

    /// Lets clients go on for a while.
    pub(crate) async fn calm(&self, time: Duration) {
        self.ground.shell.clock.sleep(time).await;
    }

    /// Nothing is wrong any more: everything that is pending finishes, and is compared.
    pub(crate) async fn ends(mut self) -> anyhow::Result<Verdict> {
        self.settles().await?;
        let stored = rest::stored(self.ground).await?;
        let seen = self.record.story().seen.clone();
        let listed = rest::listed(self.ground, &seen).await?;
        let story = std::mem::take(&mut *self.record.story());
        (self.say)(&format!("checking {} calls", story.history.calls.len()));
        let mut anomalies = proof::check(&story.history, &stored);
        anomalies.extend(rest::check(&story, &stored, &listed));
        anomalies.sort_unstable();
        anomalies.dedup();
        Ok(Verdict { story, stored, anomalies })
    }

    async fn settles(&mut self) -> anyhow::Result<()> {
        self.stop.soon.cancel();
        let clients = &mut self.clients;
        let ended = async { while clients.join_next().await.is_some() {} };
        if self.ground.shell.clock.timeout(PATIENCE, ended).await.is_none() {
            let waiting = self.record.story().waiting.clone();
            let seen = format!("these clients wait, since: {waiting:?}");
            self.record.anomaly("once faults stop, every command is answered", seen);
        }
        self.stop.now.cancel();
        while self.clients.join_next().await.is_some() {}
        if let Err(left) = rest::comes_to_rest(self.ground).await? {
            self.record.anomaly("once faults stop, everything pending is done", left);
        }
        Ok(())
    }
}

impl Verdict {
    pub(crate) fn tally(&self) -> Tally {
        Tally::of(self)
    }

    /// Where there is an anomaly, the whole history is kept in this folder: one call a line.
    pub(crate) fn keep(&self, folder: &Path) -> anyhow::Result<()> {
        if self.anomalies.is_empty() {
            return Ok(());
        }
        write_lines(&folder.join("anomalies.txt"), self.anomalies.iter())?;
        let calls = self.story.history.calls.iter();
        write_lines(&folder.join("history.txt"), calls.map(|it| format!("{it:?}")))
    }
}

fn write_lines<T: ToString>(file: &Path, lines: impl Iterator<Item = T>) -> anyhow::Result<()> {
    let text: String = lines.map(|it| it.to_string() + "\n").collect();
    fs::write(file, text).with_context(|| format!("write {}", file.display()))
}
