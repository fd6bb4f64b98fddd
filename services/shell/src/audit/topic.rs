//! The topic holds the events of the event table: all that are published, and nothing else.
//!
//! Each record is compared with the event of its number. As nothing is published before it is committed, that event is
//! there whenever the record is, also if both are newer than the instant of the audit. Records that come more than once
//! are all compared: which of them a reader takes depends on where it begins.
use super::{
    AuditError, Instant,
    coverage::Coverage,
    difference::{Findings, Kind, Remedy},
};
use crate::{
    Shell,
    codec::OpenError,
    handler::envelope::event_headers,
    port::{
        log::Record,
        store::{EventRow, Ledger as _, LedgerRow, Store as _},
    },
    postgres::PostgresLedger,
};
use shared_events::headers::EventHeaders;
use std::collections::BTreeMap;

/// Reads the topic from its beginning, partition by partition.
pub(super) async fn check(
    shell: &Shell,
    instant: &Instant,
    findings: &mut Findings<'_>,
) -> Result<(), AuditError> {
    let began = shell.clock.elapsed();
    let topic = shell.names().events(instant.context);
    let mut events = shell.postgres.ledger(instant.context);
    let (mut records, mut count) = (0, 0);
    for row in &instant.ledger {
        let mut seen = Coverage::default();
        let mut reader = shell.kafka.read_partition(&topic, row.part)?;
        loop {
            let chunk = reader.read(CHUNK).await?;
            if chunk.is_empty() {
                break;
            }
            records += chunk.len() as u64;
            count += compare(shell, instant.context, &chunk, &mut events, row, &mut seen, findings)
                .await?;
            findings.watcher.progress("topic", records, instant.events());
        }
        for range in seen.missing(row.published.min(row.pseq)) {
            let (first, last) = (*range.start(), *range.end());
            let expected = if first == last {
                format!("event {first}")
            } else {
                format!("events {first} to {last}")
            };
            let remedy = Remedy::Republish { part: row.part, from_pseq: first };
            let place = format!("{topic}/{}", row.part);
            findings.differ(Kind::Topic, place, expected, "nothing", Some(remedy));
        }
    }
    let took = shell.clock.elapsed().saturating_sub(began);
    findings.checked("topic: the event table", count, records, took);
    Ok(())
}

/// Records at once.
const CHUNK: usize = 2_000;

/// Compares records with the event table; how many events were seen for the first time.
async fn compare(
    shell: &Shell,
    context: &str,
    records: &[Record],
    events: &mut PostgresLedger,
    row: &LedgerRow,
    seen: &mut Coverage,
    findings: &mut Findings<'_>,
) -> Result<u64, AuditError> {
    let mut count = 0;
    let mut read = Vec::with_capacity(records.len());
    for record in records {
        match EventHeaders::read(&record.headers) {
            Ok(headers) => read.push((record, headers)),
            Err(error) => {
                let found = format!("a record that is no event: {error}");
                findings.differ(Kind::Topic, place(record), "an event", found, None);
            }
        }
    }
    let mut pseqs: Vec<i64> = read.iter().map(|(_, it)| it.pseq).collect();
    pseqs.sort_unstable();
    pseqs.dedup();
    let mut stored: BTreeMap<i64, EventRow> = BTreeMap::new();
    for run in pseqs.chunk_by(|a, b| *b == a + 1) {
        let limit = i64::try_from(run.len()).unwrap_or(i64::MAX);
        // What is not there is not, whatever stands behind it.
        let found = events.events_after(row.part, run[0].saturating_sub(1), limit).await?;
        stored.extend(found.into_iter().map(|it| (it.pseq, it)));
    }
    for (record, headers) in read {
        let wrong = match stored.get(&headers.pseq) {
            None => Some(("no event of this number, as the event table has none", told(&headers))),
            Some(event) => {
                count += u64::from(!seen.see(headers.pseq));
                let is_it =
                    is_same(shell, context, record, &headers, event, row.incarnation).await?;
                is_it.err().map(|found| ("the event of the event table", found))
            }
        };
        if let Some((expected, found)) = wrong {
            let place = format!("{}, event {}", place(record), headers.pseq);
            findings.differ(Kind::Topic, place, expected, found, None);
        }
    }
    Ok(count)
}

fn place(record: &Record) -> String {
    format!("{}/{} at {}", record.topic, record.part, record.offset)
}

fn told(it: &EventHeaders) -> String {
    format!("{}, version {} of stream {}", it.record, it.version, it.stream)
}

/// Whether a record is what the handler publishes of the event; what it is instead.
async fn is_same(
    shell: &Shell,
    context: &str,
    record: &Record,
    headers: &EventHeaders,
    event: &EventRow,
    incarnation: i64,
) -> Result<Result<(), String>, AuditError> {
    let expected = match event_headers(context, incarnation, event) {
        Ok(it) => it,
        Err(why) => return Ok(Err(format!("nothing to compare it with: {why}"))),
    };
    if headers.incarnation != incarnation {
        return Ok(Err(format!("incarnation {} instead of {incarnation}", headers.incarnation)));
    }
    if *headers != expected {
        return Ok(Err(if (headers.stream, headers.version) == (event.stream, event.version) {
            format!("another envelope: {headers:?}")
        } else {
            told(headers)
        }));
    }
    if record.key.as_deref() != Some(event.stream.to_string().as_bytes()) {
        let key = record.key.as_deref().map(String::from_utf8_lossy);
        return Ok(Err(format!("the key {}", key.as_deref().unwrap_or("(none)"))));
    }
    match shell.codec.open(record.payload.as_deref(), Some(event.schema)).await {
        Ok((_, datum)) if datum == event.data => Ok(Ok(())),
        Ok((_, datum)) => Ok(Err(format!(
            "another body, of {} bytes instead of {}, or of as many others",
            datum.len(),
            event.data.len()
        ))),
        Err(OpenError::Unreadable(why)) => Ok(Err(why)),
        Err(OpenError::Away(why)) => Err(AuditError::Registry(why)),
    }
}
