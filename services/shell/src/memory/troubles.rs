//! What a context keeps aside, counted.
use super::store::Database;
use crate::status::{ContextReport, DeadLetters, ParkedEvents};
use std::collections::{BTreeMap, BTreeSet};

/// Dead letters by code, and parked events by view.
pub(super) fn troubles(database: &Database) -> ContextReport {
    let mut letters: BTreeMap<&str, DeadLetters> = BTreeMap::new();
    for it in database.dead_letters.iter().filter(|it| !database.aside.is_resolved(it)) {
        let all = letters.entry(&it.code).or_insert_with(|| DeadLetters {
            code: it.code.clone(),
            count: 0,
            latest: it.at,
            reason: it.reason.clone(),
        });
        all.count += 1;
        all.latest = all.latest.max(it.at);
    }
    let parked = database.views.iter().map(|(of, table)| {
        let streams: BTreeSet<_> = table.parked.iter().map(|it| it.stream).collect();
        ParkedEvents {
            view: of.table.to_owned(),
            events: i64::try_from(table.parked.len()).unwrap_or(i64::MAX),
            streams: i64::try_from(streams.len()).unwrap_or(i64::MAX),
            reason: table.parked.first().map(|it| it.reason.clone()).unwrap_or_default(),
        }
    });
    ContextReport {
        dead_letters: letters.into_values().collect(),
        parked: parked.collect(),
        error: None,
    }
}
