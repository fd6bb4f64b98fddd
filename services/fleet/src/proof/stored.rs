//! What is stored in the end, wherever it is stored, and what must hold among it.
use super::{Anomaly, facts::Facts, promise};
use customers::Customer;
use functions::{Claim, Decider as _, Unique};
use shell::{
    audit::{Coverage, Held},
    partition::partition_of,
    port::store::{ClaimChange, DeadLetter, EventRow, Holder, LedgerRow, OutcomeRow},
};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Ledger, log and views of the customers after everything has come to rest.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// A row a partition.
    pub ledger: Vec<LedgerRow>,
    /// In order of partition and `pseq`.
    pub events: Vec<EventRow>,
    /// In any order.
    pub outcomes: Vec<OutcomeRow>,
    /// The unique values that are taken: `next` is the holder.
    pub claims: Vec<ClaimChange>,
    /// What could not be decided.
    pub dead_letters: Vec<DeadLetter>,
    /// What a reader of the event topic has, by partition, in the order of the log: duplicates and all.
    pub log: BTreeMap<i32, Vec<Published>>,
    /// The schemas of events that other builds may have written; those of this build need not be among them.
    pub schemas: Vec<String>,
    /// The rows of the view `customer`, as JSON.
    pub customers: Vec<serde_json::Value>,
    /// The rows of the view `invitations_per_day`, as JSON.
    pub days: Vec<serde_json::Value>,
    /// The ids of the commands in the order in which they were committed, where that is known (the simulator's
    /// store keeps it). Empty: the order within streams and of claims is checked instead.
    pub commit_order: Vec<Uuid>,
}

/// An event as it stands on the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its number in the partition.
    pub pseq: i64,
    /// The stream.
    pub stream: Uuid,
    /// Its number in the stream.
    pub version: i64,
    /// The Avro datum, without the frame.
    pub data: Vec<u8>,
}

pub(super) fn check(facts: &Facts, found: &mut Vec<Anomaly>) {
    // By the rows themselves, so that one that cannot be read is no gap.
    let mut partitions: HashMap<i32, Vec<&EventRow>> = HashMap::new();
    for it in &facts.stored.events {
        partitions.entry(it.part).or_default().push(it);
    }
    for events in partitions.values_mut() {
        events.sort_by_key(|it| it.pseq);
    }
    check_numbers(facts, &partitions, found);
    check_streams(facts, found);
    check_log(facts, &partitions, found);
    check_claims(facts, found);
}

type Partitions<'a> = HashMap<i32, Vec<&'a EventRow>>;

fn check_numbers(facts: &Facts, partitions: &Partitions, found: &mut Vec<Anomaly>) {
    for (part, events) in partitions {
        if let Some((row, pseq)) = events.iter().zip(1..).find(|(row, pseq)| row.pseq != *pseq) {
            let seen = format!("partition {part} has {} where {pseq} should be", row.pseq);
            found.push(Anomaly::new(promise::NUMBERS, seen));
        }
        if !facts.ledger.contains_key(part) {
            let seen = format!("partition {part} has events, and is not in the ledger");
            found.push(Anomaly::new(promise::NUMBERS, seen));
        }
    }
    if facts.ledger.len() != facts.stored.ledger.len() {
        let seen = "a partition is twice in the ledger".to_owned();
        found.push(Anomaly::new(promise::NUMBERS, seen));
    }
    for row in &facts.stored.ledger {
        let last = partitions.get(&row.part).and_then(|it| it.last()).map_or(0, |it| it.pseq);
        if row.pseq != last {
            let seen = format!(
                "the ledger says {} of partition {}, its last event is {last}",
                row.pseq, row.part
            );
            found.push(Anomaly::new(promise::NUMBERS, seen));
        }
        if row.published != row.pseq {
            let seen = format!("partition {}: {} of {} events", row.part, row.published, row.pseq);
            found.push(Anomaly::new(promise::PUBLISHED, seen));
        }
    }
}

fn check_streams(facts: &Facts, found: &mut Vec<Anomaly>) {
    let partitions = facts.partitions();
    for (stream, steps) in &facts.streams {
        let rows = || steps.iter().map(|it| it.event.row);
        if let Some((row, version)) = rows().zip(1..).find(|(row, it)| row.version != *it) {
            let seen = format!("stream {stream} has {} where {version} should be", row.version);
            found.push(Anomaly::new(promise::VERSIONS, seen));
        }
        let home = partition_of(*stream, partitions);
        if let Some(row) = rows().find(|it| it.part != home) {
            let seen = format!("stream {stream} is in {}, not in {home}", row.part);
            found.push(Anomaly::new(promise::PLACES, seen));
        }
        if let Some(step) = steps.iter().find(|it| it.after.is_none()) {
            let seen = format!("{:?} cannot have happened to {stream}", step.event.happened);
            found.push(Anomaly::new(promise::SEQUENTIAL, seen));
        }
    }
}

/// A reader that goes by `pseq` takes the next number and nothing else, and goes back for what it passed over
/// (protocol.md V4): it has everything in the end if every number is there somewhere, and always with the same event.
fn check_log(facts: &Facts, partitions: &Partitions, found: &mut Vec<Anomaly>) {
    const NONE: &[&EventRow] = &[];
    for part in facts.ledger.keys().chain(facts.stored.log.keys()) {
        let events = partitions.get(part).map_or(NONE, Vec::as_slice);
        let log = facts.stored.log.get(part).map_or(&[] as &[Published], Vec::as_slice);
        let mut seen = Coverage::default();
        for it in log {
            let index = usize::try_from(it.pseq - 1).ok().filter(|index| *index < events.len());
            let row = index.map(|index| events[index]);
            let is_it = row.is_some_and(|row| {
                (row.pseq, row.stream, row.version) == (it.pseq, it.stream, it.version)
                    && row.data == it.data
            });
            if index.is_some() {
                seen.see(it.pseq);
            }
            if !is_it {
                let seen = format!(
                    "partition {part}: {}, version {} of {}, is {}",
                    it.pseq,
                    it.version,
                    it.stream,
                    if row.is_some() { "another event there" } else { "in no ledger" }
                );
                found.push(Anomaly::new(promise::LOG, seen));
            }
        }
        let last = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let missing = seen.missing(last).next().and_then(|it| usize::try_from(it.start() - 1).ok());
        if let Some(row) = missing.and_then(|index| events.get(index)) {
            let seen = format!("partition {part}: {}, of {}, is not there", row.pseq, row.stream);
            found.push(Anomaly::new(promise::LOG, seen));
        }
    }
}

fn check_claims(facts: &Facts, found: &mut Vec<Anomaly>) {
    let held = held(facts);
    let mut claims: HashMap<(&str, &str), &ClaimChange> = HashMap::new();
    for it in &facts.stored.claims {
        if claims.insert((&it.kind, &it.value), it).is_some() {
            let seen = format!("{} {:?} is claimed twice", it.kind, it.value);
            found.push(Anomaly::new(promise::UNIQUE, seen));
        }
        if let Some(holder) = it.next.filter(|holder| !takes(facts, it, holder)) {
            let seen = format!(
                "{} {:?} is claimed by {} since event {} of partition {}, which does not take it",
                it.kind, it.value, holder.stream, holder.pseq, holder.part
            );
            found.push(Anomaly::new(promise::CLAIMS, seen));
        }
    }
    for (value, holders) in &held {
        if holders.len() > 1 {
            let seen = format!("{} {:?} is of {holders:?}", value.kind, value.value);
            found.push(Anomaly::new(promise::UNIQUE, seen));
        }
        let holder = claims.remove(&(value.kind, value.value.as_str())).and_then(|it| it.next);
        if holder.is_none_or(|it| !holders.contains(&it.stream)) {
            let by = holder.map_or("nobody".to_owned(), |it| it.stream.to_string());
            let seen =
                format!("{} {:?} is of {holders:?}, claimed by {by}", value.kind, value.value);
            found.push(Anomaly::new(promise::CLAIMS, seen));
        }
    }
    for it in claims.values() {
        let by = it.next.map(|it| it.stream);
        let seen = format!("{} {:?} is nobody's, and claimed by {by:?}", it.kind, it.value);
        found.push(Anomaly::new(promise::CLAIMS, seen));
    }
}

/// Who holds what in the end, one stream after another: it does not depend on the order between them.
fn held(facts: &Facts) -> HashMap<Unique, Vec<Uuid>> {
    let mut held: HashMap<Unique, Vec<Uuid>> = HashMap::new();
    for (stream, steps) in &facts.streams {
        let mut own = Held::default();
        for it in steps {
            own.apply(it.event.row.pseq, Customer::claims(&it.event.happened));
        }
        for (kind, value, _) in own.iter() {
            let unique = Unique { kind, value: value.to_owned() };
            held.entry(unique).or_default().push(*stream);
        }
    }
    held
}

/// Whether the event that a claim is said to come from takes the value. It may be an earlier one than the last that
/// does: what is given back and taken again in one batch is no change.
fn takes(facts: &Facts, claim: &ClaimChange, holder: &Holder) -> bool {
    let place = (holder.part, holder.pseq);
    let index = facts.events.binary_search_by_key(&place, |it| (it.row.part, it.row.pseq));
    let Some(event) = index.ok().map(|index| &facts.events[index]) else { return false };
    let is_it = |it: &Claim| matches!(it, Claim::Take(it) if it.kind == claim.kind && it.value == claim.value);
    event.row.stream == holder.stream && Customer::claims(&event.happened).iter().any(is_it)
}
