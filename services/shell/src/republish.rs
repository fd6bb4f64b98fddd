//! Events of the event table, published again: by the handler, which alone knows what stands before and after them.
use crate::{
    Shell,
    codec::Codec,
    ids,
    kafka::PartitionReader,
    port::{
        log::{Deliveries, Log as _, LogError, Outgoing, Producer as _, SendError},
        store::StoreError,
    },
};
use chrono::{DateTime, Utc};
use functions::Context;
use shared_events::{
    Message as _,
    fleet::RepublishEvents,
    frame,
    headers::{CommandHeaders, EventHeaders},
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// Which events.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Only those of this partition.
    pub part: Option<i32>,
    /// From this number on, in each partition.
    pub from_pseq: i64,
}

/// How far a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The partition.
    pub part: i32,
    /// Events that stand in the topic again.
    pub done: i64,
    /// Events that were asked for.
    pub total: i64,
}

/// Events that were not published again.
#[derive(Debug, thiserror::Error)]
pub enum RepublishError {
    /// There is no such partition.
    #[error("the context {context} has no partition {part}: its ledger has {partitions}")]
    NoPartition {
        /// The context.
        context: &'static str,
        /// What was asked for.
        part: i32,
        /// How many there are.
        partitions: usize,
    },
    /// Nobody does it.
    #[error(
        "no event of partition {part} came for {} s, after {done} of {total}: is its handler running? `flotilla status` tells",
        PATIENCE.as_secs()
    )]
    Silent {
        /// The partition.
        part: i32,
        /// What came.
        done: i64,
        /// What was asked for.
        total: i64,
    },
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See [`LogError`].
    #[error(transparent)]
    Log(#[from] LogError),
    /// The handler could not be asked.
    #[error("the handler of partition {part} cannot be asked: {why}")]
    NotAsked {
        /// The partition.
        part: i32,
        /// What is in the way.
        why: String,
    },
}

/// Has events published again, and waits until they stand in the topic, in order: how many they were.
///
/// # Errors
/// If a server does not answer, or no handler does.
pub async fn republish<C: Context>(
    shell: &Shell,
    wanted: Wanted,
    tell: &mut dyn FnMut(Progress),
) -> Result<i64, RepublishError> {
    let ledger = shell.postgres.snapshot(C::NAME).await?.ledger().await?;
    if let Some(part) = wanted.part
        && !ledger.iter().any(|it| it.part == part)
    {
        let (context, partitions) = (C::NAME, ledger.len());
        return Err(RepublishError::NoPartition { context, part, partitions });
    }
    let topic = shell.names().events(C::NAME);
    let from = wanted.from_pseq.max(1);
    let partitions = ledger.iter().map(|it| it.part + 1).max().unwrap_or_default();
    let ends = shell.kafka.ends(&topic, partitions).await?;
    let mut waiting = Vec::new();
    for row in ledger {
        if wanted.part.is_some_and(|it| it != row.part) || row.pseq < from {
            continue;
        }
        // What comes from here on is what was asked for, or newer.
        let end = ends.get(&row.part).map_or(0, |it| it.1);
        let reader = shell.kafka.read_partition_from(&topic, row.part, end)?;
        ask::<C>(shell, row.part, from).await?;
        waiting.push((row.part, from, row.pseq, reader));
    }
    let mut count = 0;
    for (part, from, last, reader) in waiting {
        count += wait(shell, part, (from, last), reader, tell).await?;
    }
    Ok(count)
}

/// Reads on until the events stand there, each after the one before.
async fn wait(
    shell: &Shell,
    part: i32,
    (from, last): (i64, i64),
    mut reader: PartitionReader,
    tell: &mut dyn FnMut(Progress),
) -> Result<i64, RepublishError> {
    let (mut next, total) = (from, last - from + 1);
    let mut since = shell.clock.elapsed();
    while next <= last {
        let records = reader.read(CHUNK).await?;
        let before = next;
        for record in &records {
            let is_next = EventHeaders::read(&record.headers).is_ok_and(|it| it.pseq == next);
            next += i64::from(is_next);
        }
        if next > before {
            since = shell.clock.elapsed();
            tell(Progress { part, done: (next - from).min(total), total });
        } else if shell.clock.elapsed() > since + PATIENCE {
            return Err(RepublishError::Silent { part, done: next - from, total });
        }
        if records.is_empty() {
            shell.clock.sleep(PULSE).await;
            reader.go_on()?;
        }
    }
    Ok(total)
}

/// Asks the handler of a partition to publish its events again from this number on (protocol.md V4).
///
/// # Errors
/// If it cannot be asked.
pub async fn ask<C: Context>(
    shell: &Shell,
    part: i32,
    from_pseq: i64,
) -> Result<(), RepublishError> {
    let not_asked = |why: String| RepublishError::NotAsked { part, why };
    let request = Request {
        id: ids::new_id(),
        source: "flotilla/operator".to_owned(),
        context: C::NAME,
        part,
        from_pseq,
    };
    let topic = shell.names().commands(C::NAME);
    let record = request.record(&shell.codec, shell.clock.now(), topic).await;
    let mut outgoing = record.map_err(not_asked)?;
    let producer = shell.kafka.producer()?;
    let receipt = Deliveries::receipt();
    receipt.sent();
    while let Err(error) = producer.send(outgoing, &receipt) {
        match error {
            SendError::Full(it) => outgoing = *it,
            SendError::Refused(why) => return Err(not_asked(why)),
        }
        shell.clock.sleep(PULSE).await;
    }
    let began = shell.clock.elapsed();
    while !receipt.is_done() {
        if shell.clock.elapsed() > began + PATIENCE {
            return Err(not_asked("kafka does not answer".to_owned()));
        }
        shell.clock.sleep(PULSE).await;
    }
    if receipt.has_failed() { Err(not_asked("kafka does not take it".to_owned())) } else { Ok(()) }
}

/// Asks for events of a partition that are missing somewhere (protocol.md V4).
pub(crate) struct Request<'a> {
    /// Of the command that asks.
    pub(crate) id: Uuid,
    /// Who asks.
    pub(crate) source: String,
    pub(crate) context: &'a str,
    pub(crate) part: i32,
    /// The first that is missing.
    pub(crate) from_pseq: i64,
}

impl Request<'_> {
    /// The record on this command topic.
    ///
    /// # Errors
    /// The schema registry does not do its part.
    pub(crate) async fn record(
        self,
        codec: &Codec,
        now: DateTime<Utc>,
        topic: Arc<str>,
    ) -> Result<Outgoing, String> {
        let Self { id, source, context, part, from_pseq } = self;
        let message = RepublishEvents { context: context.to_owned(), partition: part, from_pseq };
        let record = message.record();
        let family = format!("{context}.commands");
        let schema = codec.id(&family, record.name(), record.fingerprint(), record.json()).await;
        let schema = schema.map_err(|error| error.to_string())?;
        let mut datum = Vec::new();
        message.encode(&mut datum).map_err(|error| error.to_string())?;
        let headers = CommandHeaders {
            id,
            record: record.name().to_owned(),
            source,
            time: now,
            fingerprint: record.fingerprint(),
            correlation: id,
            causation: None,
            traceparent: None,
            actor: None,
            expected_version: None,
            reply_to: None,
        };
        let key = id.to_string().into_bytes();
        let payload = frame::frame(schema, &datum);
        Ok(Outgoing { topic, part, key, headers: headers.write(), payload })
    }
}

const CHUNK: usize = 2_000;
const PULSE: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);
