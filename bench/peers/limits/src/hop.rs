//! A record through Kafka: produced with `acks=all`, consumed by a reader that waits for it.
use anyhow::Context as _;
use common::Arguments;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{Consumer as _, StreamConsumer},
    producer::{BaseRecord, DefaultProducerContext, ThreadedProducer},
};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;
use uuid::Uuid;

const TOPIC: &str = "limits_hop";
const TIMEOUT: Duration = Duration::from_secs(10);

type Waiting = Arc<Mutex<HashMap<Uuid, oneshot::Sender<()>>>>;

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Value> {
    let brokers: String = arguments.get("kafka-brokers")?;
    let mut base = ClientConfig::new();
    base.set("bootstrap.servers", brokers);
    let admin: AdminClient<DefaultClientContext> = base.create()?;
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    // It is there already the second time.
    let _ = admin.create_topics(&[topic], &AdminOptions::new()).await?;
    // The settings of the fleet's own clients.
    let mut reader = base.clone();
    reader.set("group.id", "limits").set("enable.auto.commit", "false").set("fetch.wait.max.ms", "100");
    let mut writer = base;
    writer.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "0");
    writer.set("compression.type", "lz4");
    let consumer: StreamConsumer = reader.create()?;
    let (_, end) = consumer.fetch_watermarks(TOPIC, 0, TIMEOUT).context("ask where the topic ends")?;
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(TOPIC, 0, Offset::Offset(end))?;
    consumer.assign(&place)?;
    let producer: ThreadedProducer<DefaultProducerContext> = writer.create()?;
    let waiting = Waiting::default();
    tokio::spawn(wake(consumer, Arc::clone(&waiting)));
    common::at_rate(arguments, || {
        let id = Uuid::new_v4();
        let (tell, told) = oneshot::channel();
        waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, tell);
        let record = BaseRecord::to(TOPIC).key(id.as_bytes()).payload([7u8; 300].as_slice());
        let sent = producer.send(record).map_err(|(error, _)| error);
        async move {
            sent?;
            tokio::time::timeout(TIMEOUT, told).await.context("a record did not come")??;
            Ok(())
        }
    })
    .await
}

async fn wake(consumer: StreamConsumer, waiting: Waiting) {
    loop {
        let Ok(message) = consumer.recv().await else { continue };
        let id = message.key().and_then(|it| Uuid::from_slice(it).ok());
        let tell = id.and_then(|it| waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&it));
        if let Some(tell) = tell {
            let _ = tell.send(());
        }
    }
}
