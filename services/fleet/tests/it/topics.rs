//! What stands in the topics, and writing to them past the fleet.
#![expect(clippy::unwrap_used, reason = "only tests call this")]
use crate::{
    fleet::Fleet,
    server::{Server, until_some},
};
use serde_json::json;
use shared_events::{Message, frame::frame, headers::CommandHeaders};
use shell::{
    Shell, ids,
    partition::partition_of,
    port::log::{Consumer as _, Deliveries, Log as _, Outgoing, Producer as _, Record},
    position::Position,
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

pub(crate) const PARTITIONS: i32 = 3;

/// How many records a topic holds.
pub(crate) async fn count(fleet: &Fleet, topic: &str) -> i64 {
    let mut consumer =
        fleet.shell().kafka.consumer(&format!("{topic}.count"), &[topic.to_owned()]).unwrap();
    let mut count = 0;
    for part in 0..PARTITIONS {
        let (low, high) = consumer.ends(topic, part).await.unwrap();
        count += high - low;
    }
    count
}

/// All records of a topic.
pub(crate) async fn records(fleet: &Fleet, topic: &str) -> Vec<Record> {
    let kafka = fleet.shell().kafka;
    let group = format!("{topic}.audit.{}", ids::new_id());
    let mut consumer = kafka.consumer(&group, &[topic.to_owned()]).unwrap();
    let left = count(fleet, topic).await;
    let mut records = Vec::new();
    while i64::try_from(records.len()).unwrap() < left {
        let polled = consumer.poll(1000, Duration::from_secs(20)).await.unwrap();
        let moved = !consumer.moves().is_empty();
        assert!(
            moved || !polled.is_empty(),
            "{topic} holds {left} records, {} came",
            records.len()
        );
        records.extend(polled);
    }
    records.sort_by_key(|it| (it.part, it.offset));
    records
}

/// Writes records, and waits until they are there.
pub(crate) async fn write(shell: &Shell, records: Vec<Outgoing>) {
    let producer = shell.kafka.producer().unwrap();
    let receipt = Deliveries::receipt();
    for record in records {
        receipt.sent();
        producer.send(record, &receipt).unwrap();
    }
    until_some("the records are there", async || receipt.is_done().then_some(())).await;
    assert!(!receipt.has_failed());
}

/// A record of a command, as the BFF writes it.
pub(crate) async fn command<M: Message>(
    fleet: &Fleet,
    shell: &Shell,
    id: Uuid,
    stream: Uuid,
    command: &M,
) -> Outgoing {
    let record = command.record();
    let topic = "customers.commands";
    let schema = shell.codec.id(topic, record.name(), record.fingerprint(), record.json()).await;
    let mut datum = Vec::new();
    command.encode(&mut datum).unwrap();
    let headers = CommandHeaders {
        id,
        record: record.name().to_owned(),
        source: "test".to_owned(),
        time: shell.clock.now(),
        fingerprint: record.fingerprint(),
        correlation: id,
        causation: None,
        traceparent: None,
        actor: None,
        expected_version: None,
        reply_to: None,
    };
    Outgoing {
        topic: Arc::clone(&fleet.names().commands("customers")),
        part: partition_of(stream, PARTITIONS),
        key: stream.to_string().into_bytes(),
        headers: headers.write(),
        payload: frame(schema.unwrap(), &datum),
    }
}

/// An id whose stream is in this partition.
pub(crate) fn stream_in(part: i32) -> Uuid {
    let mut ids = std::iter::repeat_with(ids::new_id);
    ids.find(|it| partition_of(*it, PARTITIONS) == part).unwrap()
}

/// A new customer in each partition, which is shown only after what stands before it. Where that is seen.
pub(crate) async fn goes_on(server: &Server, round: &str) -> Position {
    let mut seen = Position::new();
    for part in 0..PARTITIONS {
        let id = stream_in(part);
        let input = json!({ "email": format!("mark-{id}-{round}@example.com"), "customerId": id });
        let it = server.mutate("inviteCustomer", input).await;
        assert_eq!(it.body["data"]["inviteCustomer"]["customer"]["id"], json!(id), "{}", it.body);
        seen.merge(&it.header("flotilla-position").unwrap().parse().unwrap());
    }
    seen
}
