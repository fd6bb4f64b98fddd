//! The `AsyncAPI` document is whole: every topic, record and header, and every reference leads somewhere.
use serde_json::Value;
use shared_events::{
    Fingerprint, Kind,
    asyncapi::asyncapi,
    families,
    headers::{CommandHeaders, EventHeaders, RawHeaders, ReplyHeaders, ReplyTo, RestsOn},
};
use std::collections::BTreeSet;
use uuid::Uuid;

fn document() -> Value {
    asyncapi("", 12)
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|it| references(it, found));
        }
        Value::Array(items) => items.iter().for_each(|it| references(it, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 30);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_topic_has_its_records() {
    let document = document();
    let topics: Vec<_> = document["channels"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(topics, ["customers.commands", "customers.events", "replies"]);
    for family in families() {
        let topic = if family.kind == Kind::Control { "customers.commands" } else { family.topic };
        let channel = &document["channels"][topic];
        assert_eq!(channel["address"], topic);
        assert_eq!(channel["bindings"]["kafka"]["partitions"], 12);
        for record in family.records() {
            let short = record.name().rsplit('.').next().unwrap();
            let reference = format!("#/components/messages/{}", record.name());
            assert_eq!(channel["messages"][short]["$ref"], reference);
            let payload = &document["components"]["messages"][record.name()]["payload"];
            assert_eq!(payload["schemaFormat"], "application/vnd.apache.avro;version=1.9.0");
            let schema: Value = serde_json::from_str(record.json()).unwrap();
            assert_eq!(payload["schema"], schema);
        }
    }
    let actions: BTreeSet<_> = document["operations"].as_object().unwrap().keys().collect();
    assert_eq!(
        actions.into_iter().collect::<Vec<_>>(),
        ["receive.customers.commands", "send.customers.events", "send.replies"]
    );
}

#[test]
fn the_prefix_is_part_of_the_addresses() {
    let document = asyncapi("test1-", 3);
    let channel = &document["channels"]["customers.events"];
    assert_eq!(channel["address"], "test1-customers.events");
    assert_eq!(channel["bindings"]["kafka"]["topic"], "test1-customers.events");
}

/// The described headers are those that are written; the required ones are those that reading insists on.
fn check(schema: &str, written: &RawHeaders, read: impl Fn(&RawHeaders) -> bool) {
    let document = document();
    let schema = &document["components"]["schemas"][schema];
    let described: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(described, written.iter().map(|it| &it.0).collect());
    let properties = schema["properties"].as_object().unwrap();
    for (name, property) in properties {
        assert!(property["description"].as_str().unwrap().ends_with('.'), "{name}");
        // Where a command's answer goes, and what an answer rests on, are two headers that only go together.
        let pairs = [["reply_partition", "reply_instance"], ["pseq", "incarnation"]];
        let is_whole = |it: &[&str; 2]| {
            it.contains(&name.as_str()) && it.iter().all(|it| properties.contains_key(*it))
        };
        let pair = pairs.into_iter().find(is_whole).unwrap_or_default();
        let mut without = written.clone();
        without.retain(|(it, _)| it != name && !pair.contains(&it.as_str()));
        let required = schema["required"].as_array().unwrap().contains(&name.as_str().into());
        assert_eq!(read(&without), !required, "{name}");
    }
}

#[test]
fn every_header_is_described() {
    let command = CommandHeaders {
        id: Uuid::nil(),
        record: "r".to_owned(),
        source: "s".to_owned(),
        time: chrono::DateTime::UNIX_EPOCH,
        fingerprint: Fingerprint(1),
        correlation: Uuid::nil(),
        causation: Some(Uuid::nil()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        actor: Some("a".to_owned()),
        expected_version: Some(1),
        reply_to: Some(ReplyTo { partition: 0, instance: "i".to_owned() }),
    };
    let event = EventHeaders {
        id: command.id,
        record: command.record.clone(),
        source: command.source.clone(),
        time: command.time,
        fingerprint: command.fingerprint,
        correlation: command.correlation,
        causation: Uuid::nil(),
        traceparent: command.traceparent.clone(),
        actor: command.actor.clone(),
        stream: Uuid::nil(),
        pseq: 1,
        version: 1,
        incarnation: 1,
    };
    let reply = ReplyHeaders {
        command_id: Uuid::nil(),
        request_hash: [1; 16],
        instance: "i".to_owned(),
        fingerprint: Fingerprint(1),
        rests_on: Some(RestsOn { pseq: 1, incarnation: 1 }),
        traceparent: command.traceparent.clone(),
    };
    check("commandHeaders", &command.write(), |it| CommandHeaders::read(it).is_ok());
    check("eventHeaders", &event.write(), |it| EventHeaders::read(it).is_ok());
    check("replyHeaders", &reply.write(), |it| ReplyHeaders::read(it).is_ok());
}
