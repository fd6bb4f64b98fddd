//! What must be true of a fleet whatever happened to it: nothing that was accepted is lost, nothing is there twice.
#![expect(clippy::unwrap_used, reason = "only tests call this")]
use crate::{
    auditing::{at_rest, differences},
    client::CUSTOMER,
    fleet::Fleet,
    load::Story,
    server::{Answer, Server, answer, until_some},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// An event as the ledger has it.
struct Event {
    stream: Uuid,
    causation: Uuid,
}

/// Compares what clients were told with the ledger and the views, and all that is stored with each other.
pub(crate) async fn audit(fleet: &Fleet, server: &Server, story: &Story) {
    let events = ledger(fleet);
    check_effects(&events, story);
    // Numbers, the topic, claims, outcomes and views agree with each other.
    at_rest(fleet).await;
    assert_eq!(differences(fleet).await, []);
    check_views(fleet, server, story, &events).await;
}

fn ledger(fleet: &Fleet) -> Vec<Event> {
    let sql = "select coalesce(json_agg(json_build_array(stream, meta->>'causation')), '[]') from write.event";
    let rows: Vec<(Uuid, Uuid)> = serde_json::from_value(fleet.json(sql)).unwrap();
    rows.into_iter().map(|(stream, causation)| Event { stream, causation }).collect()
}

/// Each accepted mutation has exactly one effect, and nothing else happened.
fn check_effects(events: &[Event], story: &Story) {
    let told: BTreeSet<Uuid> =
        story.told.iter().filter(|it| it.happened).map(|it| it.command_id).collect();
    let mut happened = BTreeSet::new();
    for it in events {
        assert!(happened.insert(it.causation), "command {} has two effects", it.causation);
    }
    assert_eq!(happened, told, "what happened is what clients were told");
    let mut holders: BTreeMap<&str, &Value> = BTreeMap::new();
    let shared = |email: &str| email.starts_with("everybody");
    for it in &story.told {
        let email = it.customer["email"].as_str().unwrap();
        if shared(email) {
            let holder = holders.entry(email).or_insert(&it.customer["id"]);
            assert_eq!(*holder, &it.customer["id"], "{email} has two customers");
        }
    }
}

async fn check_views(fleet: &Fleet, server: &Server, story: &Story, events: &[Event]) {
    let mut expected: BTreeMap<String, Value> = BTreeMap::new();
    // A client has one mutation in flight: what it was told last of its customer stands.
    for it in &story.told {
        let id = it.customer["id"].as_str().unwrap().to_owned();
        let version = |it: &Value| it["version"].as_i64();
        let last = expected.entry(id).or_insert_with(|| it.customer.clone());
        if version(last) < version(&it.customer) {
            *last = it.customer.clone();
        }
    }
    let streams: BTreeSet<Uuid> = events.iter().map(|it| it.stream).collect();
    assert_eq!(expected.len(), streams.len());
    let position = story.position.to_string();
    let ask = async |document: &str| {
        until_some("the views are asked", async || {
            let it: Answer = answer(server.ask_after(&position, document)).await;
            it.body.get("errors").is_none().then_some(it.body)
        })
        .await
    };
    let mut shown = BTreeMap::new();
    let mut after = String::new();
    loop {
        let fields = format!("nodes {{ {CUSTOMER} }} pageInfo {{ hasNextPage endCursor }}");
        let page = ask(&format!("{{ customers(first: 500{after}) {{ {fields} }} }}")).await;
        let page = &page["data"]["customers"];
        for it in page["nodes"].as_array().unwrap() {
            shown.insert(it["id"].as_str().unwrap().to_owned(), it.clone());
        }
        if page["pageInfo"]["hasNextPage"] != json!(true) {
            break;
        }
        after = format!(", after: {}", page["pageInfo"]["endCursor"]);
    }
    assert_eq!(shown, expected, "the view shows what clients were told");
    let days = ask("{ invitationsPerDay { invited verified } }").await;
    let days = days["data"]["invitationsPerDay"].as_array().unwrap().clone();
    let sum = |name: &str| days.iter().filter_map(|it| it[name].as_i64()).sum::<i64>();
    let count = |name: &str| {
        let sql = format!("select count(*) from write.event where type like '%.{name}'");
        fleet.sql(&sql).parse::<i64>().unwrap()
    };
    assert_eq!(sum("invited"), count("CustomerInvited"));
    assert_eq!(sum("verified"), count("CustomerVerified"));
}
