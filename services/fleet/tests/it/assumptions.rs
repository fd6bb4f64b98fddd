//! What the simulator takes for granted about Kafka, shown on the real one.
use crate::{
    fleet::Fleet,
    server::until_some,
    servers::{Folder, create_topic, delete_topic, has_topic, one_after_another},
};
use fleet::stack::{Addresses, Server, Stack, shared};
use shell::{
    ids,
    kafka::Kafka,
    port::log::{Consumer as _, Deliveries, Log as _, Outgoing, Producer as _, Record, SendError},
};
use std::{sync::Arc, time::Duration};

fn numbered(topic: &str, number: u32) -> Outgoing {
    Outgoing {
        topic: Arc::from(topic),
        part: 0,
        key: Vec::new(),
        headers: Vec::new(),
        payload: number.to_string().into_bytes(),
    }
}

/// All records of the topic's first partition, as many as there are.
async fn records(kafka: &Kafka, topic: &str) -> Vec<Record> {
    let group = format!("{topic}.{}", ids::new_id());
    let mut consumer = kafka.consumer(&group, &[topic.to_owned()]).expect("a consumer");
    let (low, high) = consumer.ends(topic, 0).await.expect("the ends");
    let mut records = Vec::new();
    while i64::try_from(records.len()).expect("few") < high - low {
        let polled = consumer.poll(1000, Duration::from_secs(20)).await.expect("records");
        let moved = !consumer.moves().is_empty();
        assert!(moved || !polled.is_empty(), "{} of {} came", records.len(), high - low);
        records.extend(polled);
    }
    records.sort_by_key(|it| it.offset);
    records
}

fn numbers(records: &[Record]) -> Vec<u32> {
    let number = |it: &Record| String::from_utf8_lossy(it.payload.as_deref()?).parse().ok();
    records.iter().filter_map(number).collect()
}

#[tokio::test]
async fn a_topic_that_is_made_anew_begins_at_offset_0() {
    let addresses = shared().await.expect("a stack");
    let kafka = Fleet::bare(&addresses).shell().kafka;
    let topic = format!("anew-{}", ids::new_id());
    for round in 0..2 {
        create_topic(&addresses, &topic);
        // A producer of before would not find out at once.
        let producer = kafka.producer().expect("a producer");
        let receipt = Deliveries::receipt();
        for number in 0..3 {
            receipt.sent();
            producer.send(numbered(&topic, 10 * round + number), &receipt).expect("is taken");
        }
        until_some("they are there", async || receipt.is_done().then_some(())).await;
        assert!(!receipt.has_failed());
        let found = records(&kafka, &topic).await;
        assert_eq!(numbers(&found), [0, 1, 2].map(|it| 10 * round + it));
        assert_eq!(found.iter().map(|it| it.offset).collect::<Vec<_>>(), [0, 1, 2]);
        delete_topic(&addresses, &topic);
        let gone = async || (!has_topic(&addresses, &topic)).then_some(());
        until_some("the topic is gone", gone).await;
    }
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn records_of_one_producer_keep_their_order_when_the_broker_dies() {
    const RECORDS: u32 = 20_000;
    let _turn = one_after_another();
    let folder = Folder::new("order");
    let stack = Stack::start(folder.options_of(Server::Kafka), Arc::new(())).await.expect("Kafka");
    let addresses = Addresses {
        schema_registry_url: "http://127.0.0.1:1".to_owned(),
        database_url: "postgres://127.0.0.1:1/none".to_owned(),
        ..stack.addresses().clone()
    };
    let kafka = Fleet::bare(&addresses).shell().kafka;
    create_topic(&addresses, "order");
    let producer = kafka.producer().expect("a producer");
    let receipt = Deliveries::receipt();
    for number in 0..RECORDS {
        if number == RECORDS / 2 {
            // With records on their way, and more of them handed over while it is away.
            stack.kill(Server::Kafka).await;
        }
        let mut record = numbered("order", number);
        receipt.sent();
        while let Err(error) = producer.send(record, &receipt) {
            let SendError::Full(it) = error else { panic!("{error}") };
            record = *it;
            tokio::task::yield_now().await;
        }
    }
    stack.start_again(Server::Kafka).await.expect("Kafka, again");
    until_some("they are there", async || receipt.is_done().then_some(())).await;
    assert!(!receipt.has_failed(), "a record was given up");
    // Those that were written, and not yet acknowledged, were sent once more.
    assert_eq!(numbers(&records(&kafka, "order").await), (0..RECORDS).collect::<Vec<_>>());
    stack.stop(Arc::new(())).await;
}
