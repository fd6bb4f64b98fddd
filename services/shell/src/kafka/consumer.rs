//! A member of a Kafka group.
use super::words::heard;
use crate::port::log::{Consumer, LogError, Move, Record};
use chrono::DateTime;
use futures::{FutureExt as _, StreamExt as _};
use rdkafka::{
    ClientConfig, ClientContext, Message as _, Offset, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    consumer::{
        BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance, StreamConsumer,
    },
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
    types::RDKafkaErrorCode,
};
use shared_events::headers::RawHeaders;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// A member of a Kafka group. Some of its calls block: it lives on a thread of its own.
pub struct KafkaConsumer {
    consumer: StreamConsumer<Moves>,
    /// Asks where partitions end. On the consumer's own connection a question waits for the fetch before it.
    asker: BaseConsumer,
    moves: Moves,
    /// Interned, so that records share them.
    topics: BTreeMap<String, Arc<str>>,
    /// Where each partition goes on, of which something was handed out since it was assigned.
    next: HashMap<Place, i64>,
}

type Place = (Arc<str>, i32);

impl KafkaConsumer {
    pub(super) fn new(
        config: &ClientConfig,
        asker: &ClientConfig,
        topics: &[String],
    ) -> Result<Self, LogError> {
        let moves = Moves::default();
        let consumer = StreamConsumer::from_config_and_context(config, moves.clone())?;
        let topics = topics.iter().map(|it| (it.clone(), Arc::from(it.as_str()))).collect();
        let (asker, next) = (asker.create()?, HashMap::new());
        let it = Self { consumer, asker, moves, topics, next };
        it.join()?;
        Ok(it)
    }

    fn join(&self) -> Result<(), KafkaError> {
        let names: Vec<&str> = self.topics.keys().map(String::as_str).collect();
        self.consumer.subscribe(&names)
    }

    fn remember(&mut self, found: &[Record]) {
        let same = |a: &Record, b: &Record| a.part == b.part && Arc::ptr_eq(&a.topic, &b.topic);
        for last in found.chunk_by(same).filter_map(<[Record]>::last) {
            self.next.insert((Arc::clone(&last.topic), last.part), last.offset + 1);
        }
    }

    /// In a rebalance the client stops fetching all partitions, also those that stay, and lets them go on without
    /// waking the thread that fetches: it would sleep for up to a second. A seek to where they are wakes it.
    fn wake_after_rebalance(&mut self) {
        // Also one that moves nothing stops all of them.
        let Some(moved) = self.moves.moved().take() else { return };
        self.next.retain(|place, _| !moved.contains(place));
        let stay = self.next.iter().map(|((topic, part), next)| (Arc::clone(topic), *part, *next));
        let Some(places) = list(&stay.collect::<Vec<_>>()) else { return };
        if let Err(error) = self.consumer.seek_partitions(places, SEEK_TIMEOUT) {
            tracing::debug!(%error, "partitions that stay go on a second later");
        }
    }

    fn record(&self, message: &BorrowedMessage<'_>) -> Record {
        let topic = self.topics.get(message.topic()).cloned();
        record(message, topic.unwrap_or_else(|| Arc::from(message.topic())))
    }
}

/// Copies a message out of the client's memory.
pub(super) fn record(message: &BorrowedMessage<'_>, topic: Arc<str>) -> Record {
    let mut headers = RawHeaders::new();
    if let Some(borrowed) = message.headers() {
        headers.reserve(borrowed.count());
        for it in borrowed.iter() {
            headers.push((it.key.to_owned(), it.value.unwrap_or_default().to_vec()));
        }
    }
    let millis = message.timestamp().to_millis().unwrap_or_default();
    Record {
        topic,
        part: message.partition(),
        offset: message.offset(),
        at: DateTime::from_timestamp_millis(millis).unwrap_or_default(),
        key: message.key().map(<[u8]>::to_vec),
        headers,
        payload: message.payload().map(<[u8]>::to_vec),
    }
}

impl Consumer for KafkaConsumer {
    async fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let mut found = Vec::new();
        let mut stream = self.consumer.stream();
        let mut next = if wait.is_zero() {
            // A timer would take a millisecond.
            stream.next().now_or_never().flatten()
        } else {
            tokio::select! {
                biased;
                next = stream.next() => next,
                () = self.moves.noted.notified() => None,
                _ = tokio::time::timeout(wait, std::future::pending::<()>()) => None,
            }
        };
        let mut bytes = 0;
        while let Some(message) = next {
            match message {
                Ok(message) => {
                    bytes += message.payload_len();
                    found.push(self.record(&message));
                }
                // It will never read again.
                Err(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(error.into()),
                Err(KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition)) => {
                    tracing::debug!("waiting for a topic to be created");
                }
                Err(error) => tracing::debug!(%error, "the consumer reports"),
            }
            let is_full = found.len() >= max || bytes >= BATCH_BYTES;
            next = if is_full { None } else { stream.next().now_or_never().flatten() };
        }
        drop(stream);
        self.remember(&found);
        self.wake_after_rebalance();
        Ok(found)
    }

    fn moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut *self.moves.list.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_assignment_lost(&self) -> bool {
        self.consumer.assignment_lost()
    }

    async fn seek(&mut self, topic: &str, part: i32, offset: i64) -> Result<(), LogError> {
        let mut places = TopicPartitionList::new();
        places.add_partition_offset(topic, part, Offset::Offset(offset))?;
        for attempt in 1.. {
            let sought = self.consumer.seek_partitions(places.clone(), SEEK_TIMEOUT);
            let error = match sought {
                Ok(places) => places.elements().iter().find_map(|it| it.error().err()),
                Err(error) => Some(error),
            };
            match error {
                None => {
                    let known = self.topics.get(topic).cloned();
                    let topic = known.unwrap_or_else(|| Arc::from(topic));
                    self.next.insert((topic, part), offset);
                    return Ok(());
                }
                // A partition that was assigned a moment ago may not be ready for it.
                Some(error) if attempt < SEEK_ATTEMPTS => {
                    tracing::debug!(%error, part, "seeking again");
                }
                Some(error) => {
                    return Err(LogError(format!("cannot seek in {topic}/{part}: {error}")));
                }
            }
            let _ = tokio::time::timeout(SEEK_PAUSE, std::future::pending::<()>()).await;
        }
        Ok(())
    }

    fn commit(&mut self, offsets: &[(Arc<str>, i32, i64)]) {
        if let Some(list) = list(offsets)
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            tracing::debug!(%error, "the group was not told how far we are");
        }
    }

    async fn ends(&mut self, topic: &str, part: i32) -> Result<(i64, i64), LogError> {
        self.asker
            .fetch_watermarks(topic, part, ENDS_TIMEOUT)
            .map_err(|error| LogError(format!("cannot find the end of {topic}/{part}: {error}")))
    }

    async fn record_at(
        &mut self,
        topic: &str,
        part: i32,
        offset: i64,
    ) -> Result<Option<Record>, LogError> {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(topic, part, Offset::Offset(offset))?;
        self.asker.assign(&place)?;
        let found = self.asker.poll(ENDS_TIMEOUT);
        let found = found.map(|it| it.map(|it| record(&it, Arc::from(topic))));
        self.asker.unassign()?;
        match found {
            Some(record) => Ok(Some(record?)),
            None if offset >= self.ends(topic, part).await?.1 => Ok(None),
            None => Err(LogError(format!("no record of {topic}/{part} came in time"))),
        }
    }

    fn unsubscribe(&mut self) {
        self.consumer.unsubscribe();
    }

    fn subscribe(&mut self) -> Result<(), LogError> {
        Ok(self.join()?)
    }

    async fn leave(self, offsets: &[(Arc<str>, i32, i64)]) {
        if let Some(list) = list(offsets)
            && let Err(error) = self.consumer.commit(&list, CommitMode::Sync)
        {
            tracing::debug!(%error, "the group was not told how far we are");
        }
        // Dropping it leaves the group.
    }
}

fn list(offsets: &[(Arc<str>, i32, i64)]) -> Option<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (topic, part, offset) in offsets {
        list.add_partition_offset(topic, *part, Offset::Offset(*offset)).ok()?;
    }
    (list.count() > 0).then_some(list)
}

/// Rebalances are only noted here, as the callback runs inside a poll; the loop acts on them between batches.
#[derive(Clone, Default)]
pub(super) struct Moves {
    list: Arc<Mutex<Vec<Move>>>,
    /// Came or went since the consumer looked last.
    moved: Arc<Mutex<Option<HashSet<Place>>>>,
    noted: Arc<Notify>,
}

impl Moves {
    fn moved(&self) -> MutexGuard<'_, Option<HashSet<Place>>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Moves {
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        heard(&error, reason);
    }
}

impl ConsumerContext for Moves {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let places = |list: &TopicPartitionList| {
            let place = |it: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
                (Arc::from(it.topic()), it.partition())
            };
            list.elements().iter().map(place).collect()
        };
        let it = match rebalance {
            Rebalance::Assign(list) => Move::Assigned(places(list)),
            Rebalance::Revoke(list) => Move::Revoked(places(list)),
            Rebalance::Error(error) => {
                tracing::warn!(%error, "a rebalance failed");
                return;
            }
        };
        tracing::debug!(?it, "rebalance");
        let (Move::Assigned(moved) | Move::Revoked(moved)) = &it;
        self.moved().get_or_insert_default().extend(moved.iter().cloned());
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(it);
        self.noted.notify_one();
    }
}

/// Large records make smaller batches.
const BATCH_BYTES: usize = 8 << 20;
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);
const SEEK_ATTEMPTS: u32 = 20;
const SEEK_PAUSE: Duration = Duration::from_millis(50);
const ENDS_TIMEOUT: Duration = Duration::from_secs(2);
