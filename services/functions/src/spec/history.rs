//! Results of committed histories: they change only together with a `REVISION` (protocol.md V2).
//!
//! Rows and snapshots outlive the code that made them. When a fold gives another result for the same events, those made
//! before are wrong, and only a raised `REVISION` tells the shell to make them again. So a context commits histories
//! (JSON files, by hand, never edited afterwards; new events get a new file) together with what every fold makes of
//! them, and [`Committed::check`] refuses another result under the same revision.
//!
//! ```json
//! {
//!   "about": "Ada is invited and accepts.",
//!   "events": [
//!     { "at": "2026-11-20T10:00:00Z", "record": "CustomerInvited", "body": { "customer_id": "…", "email": "…" } }
//!   ],
//!   "folds": {}
//! }
//! ```
//! An empty `folds` is filled by the test when it runs with `UPDATE_HISTORY=1`. Reading and writing the file is the
//! test's: nothing here touches the world.
use super::{difference::difference, projections::Projected};
use crate::{Decider, Happened, Message, Project};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Events in the order in which they happened, with their circumstances.
pub type History<E> = Vec<(Happened, E)>;

/// A committed history and what the folds made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Committed {
    /// What it is a history of.
    pub about: String,
    /// What happened, in order.
    pub events: Vec<Entry>,
    /// What each fold made of it, by the fold's name.
    pub folds: BTreeMap<String, Fold>,
}

/// An event of a committed history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Which record it is, without its namespace.
    pub record: String,
    /// Its fields.
    pub body: Value,
}

/// What a fold makes of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// The `REVISION` that made it.
    pub revision: u32,
    /// The rows or states in JSON, by their keys.
    pub result: BTreeMap<String, Value>,
}

impl Fold {
    /// The rows of a view.
    ///
    /// # Panics
    /// As [`Projected::and`].
    #[must_use]
    #[track_caller]
    pub fn rows<V: Project<E>, E: Message>(history: &History<E>) -> (String, Self) {
        let projected = Projected::<V>::new().and_history(history);
        let rows = projected.rows().iter().map(|(key, row)| (key.to_string(), json(row)));
        (format!("view {}", V::TABLE), Self { revision: V::REVISION, result: rows.collect() })
    }

    /// The states of a decider's streams, as snapshots keep them; `name` says which decider it is.
    ///
    /// # Panics
    /// If a state cannot be written as JSON.
    #[must_use]
    #[track_caller]
    pub fn states<D: Decider>(name: &str, history: &History<D::Event>) -> (String, Self) {
        let mut states = BTreeMap::<Uuid, D>::new();
        for (_, event) in history {
            states.entry(event.stream()).or_default().evolve(event);
        }
        let states = states.iter().map(|(stream, state)| (stream.to_string(), json(state)));
        (format!("state {name}"), Self { revision: D::REVISION, result: states.collect() })
    }
}

impl Committed {
    /// The events as messages, versions counted per stream; `read` makes a message of a record's name and fields.
    ///
    /// # Errors
    /// What `read` says, with the event's place.
    pub fn history<E: Message>(
        &self,
        read: impl Fn(&str, Value) -> Result<E, String>,
    ) -> Result<History<E>, String> {
        let mut versions = BTreeMap::<Uuid, i64>::new();
        let mut history = Vec::with_capacity(self.events.len());
        for (index, Entry { at, record, body }) in self.events.iter().enumerate() {
            let event = read(record, body.clone()).map_err(|why| {
                format!("event {index} ({record}) of the history {:?}: {why}", self.about)
            })?;
            let version = versions.entry(event.stream()).or_default();
            *version += 1;
            history.push((Happened { at: *at, version: *version }, event));
        }
        Ok(history)
    }

    /// Compares what the folds make of the history with what is committed. `Ok(None)`: nothing changed. With `update`,
    /// `Ok(Some(_))` is what to commit instead; a result that changed under the same revision is refused even then.
    ///
    /// # Errors
    /// What changed, and what to do about it.
    pub fn check(
        &self,
        folds: impl IntoIterator<Item = (String, Fold)>,
        update: bool,
    ) -> Result<Option<Self>, String> {
        let now = Self { folds: folds.into_iter().collect(), ..self.clone() };
        let mut to_update = Vec::new();
        for (name, fold) in &now.folds {
            let Some(before) = self.folds.get(name) else {
                to_update.push(format!("{name} is not committed yet"));
                continue;
            };
            if fold.revision < before.revision
                || (fold.revision == before.revision && fold != before)
            {
                return Err(format!(
                    "{name} gives another result for the history {:?} than is committed for revision {}, and is \
                     of revision {}: raise its REVISION above that (rows and snapshots made before are then made \
                     again), and run this test with UPDATE_HISTORY=1\n\n{}",
                    self.about,
                    before.revision,
                    fold.revision,
                    difference(&before.result, &fold.result)
                ));
            }
            if fold != before {
                to_update.push(format!("{name} has a new revision, {}", fold.revision));
            }
        }
        for name in self.folds.keys().filter(|it| !now.folds.contains_key(*it)) {
            to_update.push(format!("{name} is no more"));
        }
        match (to_update.is_empty(), update) {
            (true, _) => Ok(None),
            (false, true) => Ok(Some(now)),
            (false, false) => Err(format!(
                "the history {:?} is behind, run this test with UPDATE_HISTORY=1 and commit the file: {}",
                self.about,
                to_update.join("; ")
            )),
        }
    }
}

#[track_caller]
fn json(it: &impl Serialize) -> Value {
    match serde_json::to_value(it) {
        Ok(json) => json,
        Err(why) => panic!("a row or state cannot be written as JSON: {why}"),
    }
}
