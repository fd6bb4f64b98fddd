//! Every view is the fold of its events, row by row.
use super::{
    Anomaly,
    facts::{Event, Facts},
    promise,
};
use customers::views::{Customer, InvitationsPerDay};
use functions::{Happened, Project};
use serde_json::Value;
use shared_events::customers::CustomerEvent;
use std::collections::HashMap;

pub(super) fn check(facts: &Facts, found: &mut Vec<Anomaly>) {
    compare::<Customer>(&facts.stored.customers, facts.events, found);
    compare::<InvitationsPerDay>(&facts.stored.days, facts.events, found);
}

fn compare<V: Project<CustomerEvent>>(shown: &[Value], events: &[Event], found: &mut Vec<Anomaly>) {
    let mut wrong = |seen| found.push(Anomaly::new(promise::VIEWS, seen));
    let mut rows = fold::<V>(events);
    for it in shown {
        let key = it[V::KEY].as_str().unwrap_or_default();
        match (rows.remove(key), V::deserialize(it)) {
            (Some(row), Ok(shown)) if row == shown => {}
            (Some(row), _) => wrong(format!("{} shows {it}, not {row:?}", V::TABLE)),
            (None, _) => wrong(format!("{} shows {it}, which is no row, or is twice", V::TABLE)),
        }
    }
    for row in rows.values() {
        wrong(format!("{} does not show {row:?}", V::TABLE));
    }
}

/// A view's rows by the text of their keys.
fn fold<V: Project<CustomerEvent>>(events: &[Event]) -> HashMap<String, V> {
    let mut rows: HashMap<String, V> = HashMap::with_capacity(events.len());
    for it in events {
        let happened = Happened { at: it.row.at, version: it.row.version };
        let Some(key) = V::key(&it.happened, &happened).map(|key| key.to_string()) else {
            continue;
        };
        let row = rows.remove(&key);
        if let Some(row) = V::project(row, &it.happened, &happened) {
            rows.insert(key, row);
        }
    }
    rows
}
