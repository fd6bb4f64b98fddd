//! Numbers without gaps, streams in their places, time that never goes back.
use super::{
    coverage::Coverage,
    difference::{Findings, Kind},
    walk::{Check, Chunk, Done, Finished},
};
use crate::{
    partition::partition_of,
    port::store::{EventRow, LedgerRow, StoreError},
};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Compares the numbers of events with each other, and with the ledger.
pub(super) struct Numbers {
    ledger: BTreeMap<i32, LedgerRow>,
    partitions: i32,
    seen: BTreeMap<i32, Seen>,
    last: Option<Last>,
    events: u64,
    streams: u64,
}

/// The events of a partition.
#[derive(Default)]
struct Seen {
    coverage: Coverage,
    highest: i64,
}

/// The event before, of the same stream.
struct Last {
    stream: Uuid,
    version: i64,
    at: DateTime<Utc>,
    home: i32,
}

impl Numbers {
    pub(super) fn new(ledger: Vec<LedgerRow>) -> Self {
        let partitions = ledger.iter().map(|it| it.part + 1).max().unwrap_or_default();
        let ledger = ledger.into_iter().map(|it| (it.part, it)).collect();
        Self { ledger, partitions, seen: BTreeMap::new(), last: None, events: 0, streams: 0 }
    }

    fn event(&mut self, it: &EventRow, findings: &mut Findings<'_>) {
        self.events += 1;
        let in_ledger = self.ledger.get(&it.part).map_or(0, |row| row.pseq);
        let seen = self.seen.entry(it.part).or_default();
        // Whatever number an event claims to have, memory is taken for those that there should be.
        if it.pseq <= in_ledger {
            seen.coverage.see(it.pseq);
        }
        seen.highest = seen.highest.max(it.pseq);
        let last = self.last.take().filter(|last| last.stream == it.stream);
        let before = last.as_ref().map_or(0, |last| last.version);
        let place = || format!("stream {}", it.stream);
        if it.version != before + 1 {
            let expected = format!("version {}", before + 1);
            let found =
                format!("version {} (event {} of partition {})", it.version, it.pseq, it.part);
            findings.differ(Kind::Version, place(), expected, found, None);
        }
        if let Some(last) = &last
            && it.at < last.at
        {
            let place = format!("stream {}, version {}", it.stream, it.version);
            let expected = format!("{} or later", last.at);
            findings.differ(Kind::Time, place, expected, it.at.to_string(), None);
        }
        let home = last.map_or_else(
            || {
                self.streams += 1;
                partition_of(it.stream, self.partitions)
            },
            |last| last.home,
        );
        if it.part != home {
            let place = format!("stream {}, version {}", it.stream, it.version);
            let (expected, found) = (format!("partition {home}"), format!("partition {}", it.part));
            findings.differ(Kind::Place, place, expected, found, None);
        }
        self.last = Some(Last { stream: it.stream, version: it.version, at: it.at, home });
    }

    fn end(&self, findings: &mut Findings<'_>) {
        for (part, row) in &self.ledger {
            let nothing = Seen::default();
            let seen = self.seen.get(part).unwrap_or(&nothing);
            for range in seen.coverage.missing(row.pseq) {
                let (first, last) = (range.start(), range.end());
                let events = if first == last {
                    format!("event {first}")
                } else {
                    format!("events {first} to {last}")
                };
                findings.differ(Kind::Pseq, format!("partition {part}"), events, "nothing", None);
            }
            if seen.highest > row.pseq {
                let expected = format!("{} events, as the ledger says", row.pseq);
                let found = format!("event {}", seen.highest);
                findings.differ(Kind::Pseq, format!("partition {part}"), expected, found, None);
            }
            if row.published > row.pseq {
                let expected = format!("at most {} published", row.pseq);
                let found = format!("{} published", row.published);
                findings.differ(Kind::Pseq, format!("partition {part}"), expected, found, None);
            }
        }
        for (part, seen) in self.seen.iter().filter(|it| !self.ledger.contains_key(it.0)) {
            let found = format!("events up to {}", seen.highest);
            findings.differ(
                Kind::Pseq,
                format!("partition {part}"),
                "a row in the ledger",
                found,
                None,
            );
        }
    }
}

impl Check for Numbers {
    fn follows(&self, _: &str) -> bool {
        true
    }

    fn take<'a>(&'a mut self, chunk: &'a Chunk, findings: &'a mut Findings<'_>) -> Done<'a> {
        Box::pin(async move {
            for it in chunk.events.iter().filter(|_| chunk.is_own) {
                self.event(&it.row, findings);
            }
            Ok(())
        })
    }

    fn finish<'a>(self: Box<Self>, findings: &'a mut Findings<'_>) -> Done<'a, Finished> {
        Box::pin(async move {
            self.end(findings);
            let counts = vec![
                ("events: numbers and the ledger".to_owned(), self.events),
                ("streams: versions, time, partition".to_owned(), self.streams),
            ];
            Ok::<_, StoreError>((counts, None))
        })
    }
}
