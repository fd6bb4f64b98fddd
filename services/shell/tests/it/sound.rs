//! What must be so whatever happened: every effect once, numbers without gaps, the log and the views as the ledger.
use crate::fleet::{EVENTS, until};
use customers::views::{Customer, InvitationsPerDay};
use functions::{Happened, Project, View};
use serde_json::Value;
use shared_events::{
    Decoded, Message, customers::CustomerEvent, headers::EventHeaders, known_schema,
};
use shell::{memory::Fleet, port::store::EventRow};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

const CONTEXT: &str = "customers";

/// Waits until everything decided is shown, then checks all of it.
pub(crate) async fn sound(fleet: &Fleet) {
    until("the log has every event", || published(fleet) == in_ledger(fleet)).await;
    until("the customers are shown", || shown::<Customer>(fleet) == folded::<Customer>(fleet))
        .await;
    until("the days are shown", || {
        shown::<InvitationsPerDay>(fleet) == folded::<InvitationsPerDay>(fleet)
    })
    .await;
    check_ledger(fleet);
}

/// Of the write side alone: numbers without gaps, and every command with one effect at most.
#[track_caller]
pub(crate) fn check_ledger(fleet: &Fleet) {
    let events = fleet.store.events(CONTEXT);
    let mut pseqs: BTreeMap<i32, i64> = BTreeMap::new();
    let mut versions: BTreeMap<Uuid, i64> = BTreeMap::new();
    let mut causes: BTreeSet<Uuid> = BTreeSet::new();
    for it in &events {
        let pseq = pseqs.entry(it.part).or_default();
        *pseq += 1;
        assert_eq!(it.pseq, *pseq, "partition {}", it.part);
        let version = versions.entry(it.stream).or_default();
        *version += 1;
        assert_eq!(it.version, *version, "stream {}", it.stream);
        // No command on a customer makes two things happen.
        assert!(causes.insert(causation(it)), "{} has two effects", causation(it));
    }
    for it in fleet.store.ledger_rows(CONTEXT) {
        assert_eq!(it.pseq, pseqs.get(&it.part).copied().unwrap_or_default(), "{it:?}");
    }
    let decided: BTreeSet<Uuid> =
        fleet.store.outcomes(CONTEXT).iter().map(|it| it.command_id).collect();
    assert!(causes.is_subset(&decided), "an effect without an outcome");
    check_claims(fleet, &events);
}

/// Those who have an address hold it, each alone.
#[track_caller]
fn check_claims(fleet: &Fleet, events: &[EventRow]) {
    let mut emails: BTreeMap<Uuid, String> = BTreeMap::new();
    for it in events {
        match event(it) {
            CustomerEvent::CustomerInvited(it) => drop(emails.insert(it.customer_id, it.email)),
            CustomerEvent::CustomerEmailChanged(it) => {
                drop(emails.insert(it.customer_id, it.email));
            }
            CustomerEvent::CustomerVerified(_) => {}
            CustomerEvent::CustomerRemoved(it) => drop(emails.remove(&it.customer_id)),
        }
    }
    let held: BTreeMap<String, Uuid> = fleet
        .store
        .claims(CONTEXT)
        .into_iter()
        .map(|it| (it.value, it.next.unwrap().stream))
        .collect();
    let have: BTreeMap<String, Uuid> =
        emails.iter().map(|(id, email)| (email.to_lowercase(), *id)).collect();
    assert_eq!(have.len(), emails.len(), "an address belongs to two customers");
    assert_eq!(held, have);
}

fn causation(event: &EventRow) -> Uuid {
    let meta: Value = serde_json::from_str(&event.meta).unwrap();
    meta["causation"].as_str().unwrap().parse().unwrap()
}

fn event(row: &EventRow) -> CustomerEvent {
    let schema = known_schema(row.schema).unwrap();
    match CustomerEvent::decode(schema, &row.data).unwrap() {
        Decoded::Messages(mut events) => events.remove(0),
        Decoded::FromTheFuture => panic!("{row:?}"),
    }
}

/// (partition, `pseq`, stream, version, datum) of every event.
type Facts = Vec<(i32, i64, Uuid, i64, Vec<u8>)>;

fn in_ledger(fleet: &Fleet) -> Facts {
    let events = fleet.store.events(CONTEXT).into_iter();
    events.map(|it| (it.part, it.pseq, it.stream, it.version, it.data)).collect()
}

/// What a reader of the log has that goes by `pseq`, from its first record on: an event that came too early is found
/// again later.
pub(crate) fn published(fleet: &Fleet) -> Facts {
    let mut facts = Facts::new();
    for part in 0..3 {
        let mut events = BTreeMap::new();
        for record in fleet.log.records(EVENTS, part) {
            let Ok(headers) = EventHeaders::read(&record.headers) else { continue };
            let datum = record.payload.unwrap()[5..].to_vec();
            let event = (part, headers.pseq, headers.stream, headers.version, datum);
            if let Some(before) = events.insert(headers.pseq, event.clone()) {
                assert_eq!(before, event, "two events with one number");
            }
        }
        facts.extend(events.into_values());
    }
    facts
}

fn shown<V: View>(fleet: &Fleet) -> BTreeMap<String, V> {
    let rows = fleet.store.rows(CONTEXT, V::TABLE).into_iter();
    rows.map(|it| (it[V::KEY].as_str().unwrap().to_owned(), serde_json::from_value(it).unwrap()))
        .collect()
}

fn folded<V: View + Project<CustomerEvent>>(fleet: &Fleet) -> BTreeMap<String, V> {
    let mut rows: BTreeMap<String, V> = BTreeMap::new();
    for it in fleet.store.events(CONTEXT) {
        let happened = Happened { at: it.at, version: it.version };
        let event = event(&it);
        let Some(key) = V::key(&event, &happened).map(|it| it.to_string()) else { continue };
        let row = rows.remove(&key);
        if let Some(row) = V::project(row, &event, &happened) {
            rows.insert(key, row);
        }
    }
    rows
}
