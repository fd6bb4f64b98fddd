//! The events of a context, once more: into another topic, or into a file.
//!
//! They come from the event table, one partition after another, each in order, as of one instant.
use crate::{
    Shell,
    handler::{
        decider::{AnyDecider, Deciders},
        envelope::event_headers,
    },
    kafka::TopicError,
    port::{
        log::{Deliveries, Log as _, LogError, Outgoing, Producer as _, Receipt, SendError},
        store::{EventRow, StoreError},
    },
    postgres::Span,
    schemas::Schemas,
};
use functions::Context;
use serde_json::{Value, json};
use shared_events::{RecordSchema, frame};
use std::{
    collections::{HashMap, VecDeque},
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Where events are replayed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A topic that is new, or empty.
    Topic(String),
    /// A new file, of a JSON object a line.
    File(PathBuf),
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Events that were written.
    pub events: u64,
    /// Those among them whose body cannot be read: in a file, its bytes stand there instead.
    pub unreadable: u64,
}

/// A replay that was not done, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The fleet's services would take it for theirs.
    #[error("{0} is a topic of the fleet itself: name another one")]
    OwnTopic(String),
    /// Kafka would refuse it.
    #[error(
        "{0:?} is no name of a topic (letters, digits, '.', '_' and '-', at most 249), and no file that ends in .ndjson"
    )]
    NoName(String),
    /// What is in it would be mixed up with the replay.
    #[error("the topic {topic} has {records} records: name a new one")]
    NotEmpty {
        /// The topic.
        topic: String,
        /// How many.
        records: i64,
    },
    /// There are no such events.
    #[error("there are no events of the type {wanted}: there are {known}")]
    UnknownType {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// An event cannot be published as it stands.
    #[error("event {pseq} of partition {part} cannot be written: {why}")]
    Unwritable {
        /// The partition.
        part: i32,
        /// Its number.
        pseq: i64,
        /// Why not.
        why: String,
    },
    /// A file cannot be written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See [`LogError`].
    #[error(transparent)]
    Log(#[from] LogError),
    /// See [`TopicError`].
    #[error(transparent)]
    Topic(#[from] TopicError),
}

impl To {
    /// Tells a file from a topic by the end of its name.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(text: &str) -> Result<Self, ReplayError> {
        let path = Path::new(text);
        if path.extension().is_some_and(|it| it == "ndjson") {
            return Ok(Self::File(path.to_owned()));
        }
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
        let is_name = !text.is_empty() && text.len() <= 249 && text.chars().all(is_plain);
        if is_name && text != "." && text != ".." {
            Ok(Self::Topic(text.to_owned()))
        } else {
            Err(ReplayError::NoName(text.to_owned()))
        }
    }
}

/// The full names of the records that are meant by these: all versions of an event have one name.
///
/// # Errors
/// If the context has no such event.
pub fn records<C: Context>(types: &[String]) -> Result<Vec<String>, ReplayError> {
    let deciders = Deciders::of::<C>();
    let families = deciders.iter().map(AnyDecider::events);
    let known: Vec<&str> =
        families.flat_map(|it| it.records().chain(it.retired())).map(RecordSchema::name).collect();
    let full = |wanted: &String| {
        let is_it = |it: &&&str| **it == wanted || it.rsplit('.').next() == Some(wanted);
        known.iter().find(is_it).map(|it| (*it).to_owned()).ok_or_else(|| {
            ReplayError::UnknownType { wanted: wanted.clone(), known: known.join(", ") }
        })
    };
    types.iter().map(full).collect()
}

/// Writes the events of a span.
///
/// # Errors
/// If the place is not new, or a server does not answer. A file appears when it is complete; what was appended to a
/// topic stays there.
pub async fn replay<C: Context>(
    shell: &Shell,
    span: &Span,
    to: &To,
    contexts: &[&str],
    tell: &mut dyn FnMut(u64, u64),
) -> Result<Replayed, ReplayError> {
    let snapshot = shell.postgres.snapshot(C::NAME).await?;
    let ledger = snapshot.ledger().await?;
    let incarnations = ledger.iter().map(|it| (it.part, it.incarnation)).collect();
    let total = ledger.iter().map(|it| it.pseq.unsigned_abs()).sum();
    let deciders = Deciders::of::<C>();
    let schemas = Schemas::new(snapshot.schemas().await?);
    let mut source = Source {
        context: C::NAME,
        incarnations,
        schemas,
        deciders: &deciders,
        done: Replayed::default(),
    };
    let mut rows = snapshot.events_in_order(span);
    match to {
        To::File(path) => {
            let unfinished =
                path.with_extension(format!("ndjson.incomplete-{}", std::process::id()));
            let written = async {
                let failed = |error| ReplayError::File { path: path.clone(), error };
                if path.exists() {
                    return Err(failed(io::ErrorKind::AlreadyExists.into()));
                }
                let file = fs::File::create_new(&unfinished).map_err(failed)?;
                let mut file = io::BufWriter::with_capacity(1 << 18, file);
                while let Some(chunk) = rows.chunk().await? {
                    for event in &chunk {
                        let line = source.line(event)?;
                        writeln!(file, "{line}").map_err(failed)?;
                    }
                    tell(source.done.events, total);
                }
                file.flush().and_then(|()| file.get_ref().sync_all()).map_err(failed)?;
                fs::rename(&unfinished, path).map_err(failed)
            };
            let written = written.await;
            if written.is_err() {
                // Of no use to anybody; the error says why.
                let _ = fs::remove_file(&unfinished);
            }
            written?;
        }
        To::Topic(topic) => {
            let names = shell.names();
            let is_own = |context: &&&str| {
                [names.commands(context), names.events(context)].iter().any(|it| **it == **topic)
            };
            if *names.replies() == **topic || contexts.iter().find(is_own).is_some() {
                return Err(ReplayError::OwnTopic(topic.clone()));
            }
            shell.kafka.ensure_plain_topic(&shell.config, topic).await?;
            let ends = shell.kafka.ends(topic, shell.config.partitions).await?;
            let records: i64 = ends.values().map(|(low, high)| high - low).sum();
            if records > 0 {
                return Err(ReplayError::NotEmpty { topic: topic.clone(), records });
            }
            let mut sending =
                Sending { shell, producer: shell.kafka.producer()?, receipts: VecDeque::new() };
            let name: Arc<str> = Arc::from(topic.as_str());
            while let Some(chunk) = rows.chunk().await? {
                let receipt = Deliveries::receipt();
                for event in &chunk {
                    let record = source.record(shell, &name, event).await?;
                    sending.send(record, &receipt).await?;
                }
                sending.receipts.push_back(receipt);
                sending.settle(CHUNKS_IN_FLIGHT).await?;
                tell(source.done.events, total);
            }
            sending.settle(0).await?;
        }
    }
    Ok(source.done)
}

/// What it takes to write an event.
struct Source<'a> {
    context: &'static str,
    incarnations: HashMap<i32, i64>,
    schemas: Schemas,
    deciders: &'a Deciders,
    done: Replayed,
}

impl Source<'_> {
    fn headers(
        &self,
        event: &EventRow,
    ) -> Result<shared_events::headers::EventHeaders, ReplayError> {
        let incarnation = self.incarnations.get(&event.part).copied().unwrap_or_default();
        event_headers(self.context, incarnation, event).map_err(|why| unwritable(event, why))
    }

    /// The event as a JSON object: its envelope, and what it says.
    fn line(&mut self, event: &EventRow) -> Result<Value, ReplayError> {
        let headers = self.headers(event)?;
        let schema = self.schemas.get(event.schema);
        let body = schema.ok_or_else(|| format!("its schema {} is nowhere", event.schema));
        let body = body.and_then(|it| it.json_of(&event.data).map_err(|error| error.to_string()));
        let mut line = json!({
            "context": self.context,
            "partition": event.part,
            "pseq": event.pseq,
            "incarnation": headers.incarnation,
            "stream": event.stream,
            "version": event.version,
            "id": headers.id,
            "type": event.record,
            "time": event.at,
            "correlation": headers.correlation,
            "causation": headers.causation,
            "traceparent": headers.traceparent,
            "actor": headers.actor,
            "schema": event.schema.to_string(),
        });
        self.done.events += 1;
        match body {
            Ok(body) => line["data"] = body,
            Err(why) => {
                self.done.unreadable += 1;
                line["unreadable"] = json!(why);
                line["bytes"] = json!(crate::codec::hex(&event.data));
            }
        }
        Ok(line)
    }

    /// The record as the handler publishes it, but for the topic.
    async fn record(
        &mut self,
        shell: &Shell,
        topic: &Arc<str>,
        event: &EventRow,
    ) -> Result<Outgoing, ReplayError> {
        let headers = self.headers(event)?;
        let schema = self.schemas.get(event.schema);
        let schema = schema
            .ok_or_else(|| unwritable(event, format!("its schema {} is nowhere", event.schema)))?;
        let family = self.deciders.event_topic(&event.record);
        let id = shell.codec.id(family, &event.record, event.schema, schema.json()).await;
        let id = id.map_err(|error| unwritable(event, error.to_string()))?;
        self.done.events += 1;
        Ok(Outgoing {
            topic: Arc::clone(topic),
            part: event.part,
            key: event.stream.to_string().into_bytes(),
            headers: headers.write(),
            payload: frame::frame(id, &event.data),
        })
    }
}

fn unwritable(event: &EventRow, why: String) -> ReplayError {
    ReplayError::Unwritable { part: event.part, pseq: event.pseq, why }
}

/// Appends, with a bounded number of records on their way.
struct Sending<'a> {
    shell: &'a Shell,
    producer: crate::kafka::KafkaProducer,
    receipts: VecDeque<Receipt>,
}

impl Sending<'_> {
    async fn send(&self, mut record: Outgoing, receipt: &Receipt) -> Result<(), ReplayError> {
        receipt.sent();
        loop {
            match self.producer.send(record, receipt) {
                Ok(()) => return Ok(()),
                Err(SendError::Full(back)) => record = *back,
                Err(SendError::Refused(why)) => return Err(LogError(why).into()),
            }
            self.shell.clock.sleep(PULSE).await;
        }
    }

    /// Waits until no more than so many chunks are on their way.
    async fn settle(&mut self, left: usize) -> Result<(), ReplayError> {
        while self.receipts.len() > left {
            while self.receipts.front().is_some_and(|it| !it.is_done()) {
                self.shell.clock.sleep(PULSE).await;
            }
            if self.receipts.pop_front().is_some_and(|it| it.has_failed()) {
                return Err(LogError("a record was not delivered".to_owned()).into());
            }
        }
        Ok(())
    }
}

const CHUNKS_IN_FLIGHT: usize = 8;
const PULSE: Duration = Duration::from_millis(1);
