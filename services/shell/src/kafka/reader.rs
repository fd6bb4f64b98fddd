//! A reader of one partition from its beginning to where it ends now, without a group: for tools.
use super::{consumer::record, settings::Kafka};
use crate::port::log::{LogError, Record};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, StreamConsumer},
    error::KafkaError,
    types::RDKafkaErrorCode,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Hands out the records of a partition that were there when it was made.
pub struct PartitionReader {
    consumer: StreamConsumer,
    topic: Arc<str>,
    part: i32,
    /// The offset that comes next.
    next: i64,
    end: i64,
}

impl Kafka {
    /// The first offset that still exists, and the one that the next record will get, of so many partitions. A topic
    /// that was made a moment ago is waited for.
    ///
    /// # Errors
    /// If no broker answers, or there is no such topic.
    pub async fn ends(
        &self,
        topic: &str,
        partitions: i32,
    ) -> Result<BTreeMap<i32, (i64, i64)>, LogError> {
        let consumer: BaseConsumer = self.reader().set("group.id", "flotilla-reader").create()?;
        let mut ends = BTreeMap::new();
        let mut pauses = PAUSES_MAX;
        while let Some(part) = (0..partitions).find(|it| !ends.contains_key(it)) {
            match consumer.fetch_watermarks(topic, part, TIMEOUT) {
                Ok(found) => drop(ends.insert(part, found)),
                Err(error) if pauses > 0 && has_no_leader(&error) => {
                    pauses -= 1;
                    let _ = tokio::time::timeout(PAUSE, std::future::pending::<()>()).await;
                }
                Err(error) => return Err(away(topic, part, &error)),
            }
        }
        Ok(ends)
    }

    /// Reads a partition from the first record that still is there. Blocks while it asks where that is.
    ///
    /// # Errors
    /// If no broker answers, or there is no such topic.
    pub fn read_partition(&self, topic: &str, part: i32) -> Result<PartitionReader, LogError> {
        self.read_partition_from(topic, part, 0)
    }

    /// The same from an offset on, or from the first record after it that still is there.
    ///
    /// # Errors
    /// If no broker answers, or there is no such topic.
    pub fn read_partition_from(
        &self,
        topic: &str,
        part: i32,
        offset: i64,
    ) -> Result<PartitionReader, LogError> {
        let mut config = self.reader();
        // Required by the client, never joined.
        config.set("group.id", "flotilla-reader").set("auto.offset.reset", "earliest");
        let consumer: StreamConsumer = config.create()?;
        let ends = consumer.fetch_watermarks(topic, part, TIMEOUT);
        let (low, end) = ends.map_err(|error| away(topic, part, &error))?;
        let next = offset.max(low);
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(topic, part, Offset::Offset(next))?;
        consumer.assign(&place)?;
        Ok(PartitionReader { consumer, topic: Arc::from(topic), part, next, end })
    }
}

impl PartitionReader {
    /// Reads on to where the partition ends now.
    ///
    /// # Errors
    /// If no broker answers.
    pub fn go_on(&mut self) -> Result<(), LogError> {
        let (_, end) = self.consumer.fetch_watermarks(&self.topic, self.part, TIMEOUT)?;
        self.end = end;
        Ok(())
    }

    /// The records that come next, at most `max`; none at the end.
    ///
    /// # Errors
    /// If they do not come in time.
    pub async fn read(&mut self, max: usize) -> Result<Vec<Record>, LogError> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        while self.next < self.end && found.len() < max && bytes < BYTES_MAX {
            let Ok(message) = tokio::time::timeout(TIMEOUT, self.consumer.recv()).await else {
                let (low, _) = self.consumer.fetch_watermarks(&self.topic, self.part, TIMEOUT)?;
                if low > self.next {
                    // What stood there was deleted meanwhile.
                    self.next = low;
                    continue;
                }
                return Err(LogError(format!(
                    "nothing comes from {}/{} at {}, and it ends at {}",
                    self.topic, self.part, self.next, self.end
                )));
            };
            let message = message?;
            self.next = message.offset() + 1;
            if message.offset() >= self.end {
                break;
            }
            bytes += message.payload_len();
            found.push(record(&message, Arc::clone(&self.topic)));
        }
        Ok(found)
    }
}

fn away(topic: &str, part: i32, error: &KafkaError) -> LogError {
    LogError(format!("cannot find the end of {topic}/{part}: {error}"))
}

/// Its leader is about to be chosen, or to be known everywhere.
fn has_no_leader(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    code.is_some_and(|it| {
        [
            RDKafkaErrorCode::NotLeaderForPartition,
            RDKafkaErrorCode::LeaderNotAvailable,
            RDKafkaErrorCode::UnknownTopicOrPartition,
        ]
        .contains(&it)
    })
}

const PAUSE: Duration = Duration::from_millis(100);
const PAUSES_MAX: u32 = 50;
const TIMEOUT: Duration = Duration::from_secs(10);
const BYTES_MAX: usize = 8 << 20;
