//! A reader of one partition from its end on, without a group: for replies.
use super::{consumer::record, settings::Kafka};
use crate::port::log::{LogError, Record};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

impl Kafka {
    /// Reads a partition from where its end is now, into `records`, until nobody receives them. The end is
    /// fetched before anything can be asked, so that no reply comes too early to be seen. Blocks while it asks.
    ///
    /// # Errors
    /// If no broker answers, or there is no such topic.
    pub fn tail(
        &self,
        topic: &str,
        part: i32,
        records: mpsc::Sender<Record>,
    ) -> Result<impl Future<Output = ()> + Send + use<>, LogError> {
        let mut config = self.reader();
        // Required by the client, never joined.
        config.set("group.id", "flotilla-replies").set("auto.offset.reset", "latest");
        let consumer: StreamConsumer = config.create()?;
        let (_, end) = consumer.fetch_watermarks(topic, part, TIMEOUT)?;
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(topic, part, Offset::Offset(end))?;
        consumer.assign(&place)?;
        let topic: Arc<str> = Arc::from(topic);
        Ok(async move {
            loop {
                match consumer.recv().await {
                    Ok(message) => {
                        let record = record(&message, Arc::clone(&topic));
                        if records.send(record).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => tracing::debug!(%error, "the reader of replies reports"),
                }
            }
        })
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);
