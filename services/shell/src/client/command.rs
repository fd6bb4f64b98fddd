//! Sending a command, and waiting for what becomes of it.
use super::{
    Answer, CommandError, CommandStatus, Envelope, Unavailable, fact::Asking, live::Entrance,
};
use crate::{
    clock::Clock,
    codec::Codec,
    handler::{
        decider::Prepared,
        outcome::read_outcome,
        received::{RequestHash, code, request_hash},
    },
    ids,
    letters::Desk,
    partition::partition_of,
    port::{
        log::{Deliveries, Outgoing, Producer, SendError},
        store::{Letters, OutcomeRow, Reads},
    },
    view::ViewDefinition,
};
use functions::{Message, Unique};
use lru::LruCache;
use shared_events::{
    fleet::{Reply, Verdict},
    frame,
    headers::{CommandHeaders, ReplyTo},
};
use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

/// Sends commands, waits for their answers, reads views. Cheap to clone.
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Inner>);

/// What a client has to be told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Names this process among those that share a partition of replies.
    pub(crate) instance: Uuid,
    /// Prefix of topics.
    pub(crate) namespace: String,
    pub(crate) partitions: i32,
    /// The partition of replies that this process reads (protocol.md L2).
    pub(crate) reply_partition: i32,
    /// The largest command that fits in a record.
    pub(crate) command_bytes_max: usize,
    /// How many commands may wait for their answers.
    pub(crate) in_flight_max: usize,
}

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) producer: Box<dyn Producer>,
    pub(crate) reads: Arc<dyn Reads>,
    pub(crate) letters: Arc<dyn Letters>,
    pub(crate) codec: Codec,
    pub(crate) clock: Clock,
    pub(crate) views: BTreeMap<&'static str, ViewDefinition>,
    /// Where followers of each view join.
    pub(super) live: BTreeMap<&'static str, Entrance>,
    waiting: Mutex<Waiting>,
    /// Those who wait for the answers to questions.
    pub(super) asking: Asking,
    /// Those that were answered PENDING lately: whoever asks must not be told that they are unknown (R5).
    told_pending: Mutex<LruCache<Uuid, ()>>,
    /// Whether replies can be received.
    is_open: AtomicBool,
    opened: Notify,
}

/// Those who wait, by command and request: the same id may be in flight with another body.
pub(super) type Waiting = BTreeMap<(Uuid, RequestHash), Waiter>;

pub(super) struct Waiter {
    pub(super) context: &'static str,
    /// When the first of them began to wait.
    pub(super) since: Duration,
    pub(super) tell: Vec<oneshot::Sender<Reply>>,
}

impl Inner {
    pub(crate) fn new(
        settings: Settings,
        producer: impl Producer,
        reads: Arc<dyn Reads>,
        letters: Arc<dyn Letters>,
        codec: Codec,
        clock: Clock,
        views: impl IntoIterator<Item = ViewDefinition>,
    ) -> Self {
        let views: BTreeMap<_, _> = views.into_iter().map(|it| (it.table, it)).collect();
        let live = views.keys().map(|it| (*it, Entrance::default())).collect();
        let producer = Box::new(producer);
        Self {
            settings,
            producer,
            reads,
            letters,
            codec,
            clock,
            views,
            live,
            waiting: Mutex::default(),
            asking: Asking::default(),
            told_pending: Mutex::new(LruCache::new(TOLD_PENDING_MAX)),
            is_open: AtomicBool::new(true),
            opened: Notify::new(),
        }
    }

    pub(super) fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Release);
        self.opened.notify_waiters();
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait for this command.
    pub(super) fn answer(&self, command_id: Uuid, hash: RequestHash, reply: &Reply) {
        let waiter = self.waiting().remove(&(command_id, hash));
        for it in waiter.into_iter().flat_map(|it| it.tell) {
            // Whoever does not wait any more does not mind.
            let _ = it.send(reply.clone());
        }
    }
}

/// The outcome as the sender of a request with this hash is told it.
pub(super) fn reply_for(row: &OutcomeRow, hash: RequestHash) -> Result<Reply, Unavailable> {
    let reply = read_outcome(&row.body).map_err(|error| Unavailable(error.to_string()))?;
    if row.request_hash == hash {
        return Ok(reply);
    }
    Ok(Reply {
        verdict: Verdict::Rejected,
        code: Some(code::COMMAND_ID_REUSED.to_owned()),
        message: Some(format!(
            "command id {} was used for another request: take a new one",
            row.command_id
        )),
        details: None,
        ..reply
    })
}

impl Client {
    /// A new command id.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        ids::new_id()
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// [`CommandError`] says whether the command may yet have an effect.
    pub async fn command<M: Message>(
        &self,
        command: &M,
        envelope: Envelope,
    ) -> Result<Answer, CommandError> {
        let prepared = Prepared::new(command);
        self.submit(prepared.map_err(|error| CommandError::Invalid(error.to_string()))?, envelope)
            .await
    }

    /// Sends what was prepared, and waits for its answer.
    pub(crate) async fn submit(
        &self,
        command: Prepared,
        envelope: Envelope,
    ) -> Result<Answer, CommandError> {
        let it = &*self.0;
        let context = command.family.context;
        let (record, hash) = self.record(command, &envelope).await?;
        let id = envelope.command_id;
        // Before the channel, so that it is dropped after it, and finds it closed.
        let forget = Forget { inner: it, key: (id, hash) };
        let (tell, told) = oneshot::channel();
        {
            // Registered before it is sent, so that no reply can be too early.
            let mut waiting = it.waiting();
            let in_flight = waiting.len() + it.asking.len();
            if in_flight >= it.settings.in_flight_max {
                return Err(CommandError::Overloaded { in_flight });
            }
            let since = it.clock.elapsed();
            let waiter = waiting.entry((id, hash));
            waiter.or_insert(Waiter { context, since, tell: Vec::new() }).tell.push(tell);
        }
        let receipt = Deliveries::receipt();
        receipt.sent();
        match it.producer.send(record, &receipt) {
            Ok(()) => {}
            Err(SendError::Full(_)) => {
                return Err(CommandError::Unavailable("the queue to the log is full".into()));
            }
            Err(SendError::Refused(why)) => return Err(CommandError::Unavailable(why)),
        }
        if let Some(Ok(reply)) = it.clock.timeout(envelope.deadline, told).await {
            return Ok(reply.into());
        }
        drop(forget);
        // The reply may be lost: the ledger knows (R1).
        let rows = it.reads.outcomes(context, &[id]).await.unwrap_or_default();
        if let Some(Ok(reply)) = rows.first().map(|row| reply_for(row, hash)) {
            return Ok(reply.into());
        }
        it.told_pending.lock().unwrap_or_else(PoisonError::into_inner).put(id, ());
        Err(CommandError::Pending { command_id: id })
    }

    /// A message as it travels on its command topic, with the hash of what it asks for.
    pub(super) async fn record(
        &self,
        command: Prepared,
        envelope: &Envelope,
    ) -> Result<(Outgoing, RequestHash), CommandError> {
        let it = &*self.0;
        let opened = it.opened.notified();
        if !it.is_open.load(Ordering::Acquire) {
            // Queries are answered a moment before replies can be received: not worth a refusal.
            it.clock.timeout(START_PATIENCE.min(envelope.deadline), opened).await;
        }
        if !it.is_open.load(Ordering::Acquire) {
            let why = "the fleet is starting: kafka, or the schema registry, does not answer yet";
            return Err(CommandError::Unavailable(why.to_owned()));
        }
        if let Some(why) = it.producer.trouble() {
            return Err(CommandError::Unavailable(why));
        }
        let Prepared { family, record: schema, stream, datum } = command;
        let limit = it.settings.command_bytes_max;
        if datum.len() > limit {
            return Err(CommandError::TooLarge { bytes: datum.len(), limit });
        }
        let hash = request_hash(schema.name(), &datum, envelope.expected_version);
        let id = it
            .codec
            .id(family.topic, schema.name(), schema.fingerprint(), schema.json())
            .await
            .map_err(|error| CommandError::Unavailable(error.to_string()))?;
        let headers = CommandHeaders {
            id: envelope.command_id,
            record: schema.name().to_owned(),
            source: "flotilla/bff".to_owned(),
            time: it.clock.now(),
            fingerprint: schema.fingerprint(),
            correlation: envelope.correlation,
            causation: None,
            traceparent: envelope.traceparent.clone(),
            actor: envelope.actor.clone(),
            expected_version: envelope.expected_version,
            reply_to: Some(ReplyTo {
                partition: it.settings.reply_partition,
                instance: it.settings.instance.to_string(),
            }),
        };
        let record = Outgoing {
            topic: Arc::from(format!("{}{}", it.settings.namespace, family.topic)),
            part: partition_of(stream, it.settings.partitions),
            key: stream.to_string().into_bytes(),
            headers: headers.write(),
            payload: frame::frame(id, &datum),
        };
        Ok((record, hash))
    }

    /// What operators do with the dead letters of these contexts.
    #[must_use]
    pub fn desk(&self, contexts: &'static [&'static str]) -> Desk {
        let Inner { letters, codec, clock, .. } = &*self.0;
        Desk::new(Arc::clone(letters), codec.clone(), clock.clone(), contexts)
    }

    /// Who holds a unique value of a context, as of now: whoever was told of a change, sees it (protocol.md F1).
    ///
    /// # Errors
    /// If the store that knows does not answer.
    pub async fn holder(
        &self,
        context: &str,
        unique: &Unique,
    ) -> Result<Option<Uuid>, Unavailable> {
        let holder = self.0.reads.holder(context, unique).await;
        holder.map_err(|error| Unavailable(error.to_string()))
    }

    /// What became of a command of a context.
    ///
    /// # Errors
    /// If the store that knows does not answer.
    pub async fn status(
        &self,
        context: &str,
        command_id: Uuid,
    ) -> Result<CommandStatus, Unavailable> {
        let rows = self.0.reads.outcomes(context, &[command_id]).await;
        let rows = rows.map_err(|error| Unavailable(error.to_string()))?;
        if let Some(row) = rows.first() {
            let reply = read_outcome(&row.body).map_err(|error| Unavailable(error.to_string()))?;
            return Ok(CommandStatus::Decided(reply.into()));
        }
        let is_waiting = self.0.waiting().keys().any(|(id, _)| *id == command_id);
        let told = self.0.told_pending.lock().unwrap_or_else(PoisonError::into_inner);
        let is_pending = is_waiting || told.contains(&command_id);
        Ok(if is_pending { CommandStatus::Pending } else { CommandStatus::Unknown })
    }
}

/// Forgets who waits when nobody does any more: a client that vanished costs nothing.
struct Forget<'a> {
    inner: &'a Inner,
    key: (Uuid, RequestHash),
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut waiting = self.inner.waiting();
        if let Some(it) = waiting.get_mut(&self.key) {
            it.tell.retain(|tell| !tell.is_closed());
            if it.tell.is_empty() {
                waiting.remove(&self.key);
            }
        }
    }
}

const START_PATIENCE: Duration = Duration::from_secs(2);
const TOLD_PENDING_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
