//! Asking the write side: an answer is never older than any that was given before the question was asked (protocol.md
//! F1). Nothing is kept of a question: whoever hears nothing asks again.
use super::{
    command::{Client, Inner},
    {CommandError, Envelope, Rejected},
};
use crate::{
    handler::{decider::Prepared, received::RequestHash},
    partition::partition_of,
    port::log::{Deliveries, SendError},
    position::Position,
};
use functions::{Answers, Message};
use serde_json::Value;
use shared_events::{
    Decoded, WriterSchema,
    fleet::{Reply, Verdict},
    headers::{ReplyHeaders, RestsOn},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;
use uuid::Uuid;

/// What the write side says.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact<A> {
    /// The answer; `None`: there is nothing to tell, as of a stream without events.
    pub answer: Option<A>,
    /// Where a view shows what the answer rests on.
    pub position: Position,
}

/// A question without an answer. It has no effect, so that it can always be asked again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FactError {
    /// It could not be asked, or the answer is of a build that this one cannot read.
    #[error("the question could not be asked: {0}; try again")]
    Unavailable(String),
    /// It was asked, and nobody answered in time.
    #[error("no answer yet: whoever decides about it does not answer; ask again")]
    Unanswered,
    /// It is answered no: a rule of the shell, or a defect of the decider, is in the way.
    #[error("the question cannot be answered: {}", .0.message)]
    Refused(Rejected),
    /// A value that the question's schema cannot hold.
    #[error("{0}")]
    Invalid(String),
}

impl From<CommandError> for FactError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Unavailable(why) => Self::Unavailable(why),
            CommandError::Overloaded { .. } => Self::Unavailable(error.to_string()),
            CommandError::Pending { .. } => Self::Unanswered,
            CommandError::TooLarge { .. } | CommandError::Invalid(_) => {
                Self::Invalid(error.to_string())
            }
        }
    }
}

/// Those who wait for answers, by question.
#[derive(Default)]
pub(super) struct Asking(Mutex<BTreeMap<(Uuid, RequestHash), oneshot::Sender<Told>>>);

enum Told {
    Reply(Reply),
    Answer { schema: Arc<WriterSchema>, datum: Vec<u8>, rests_on: RestsOn },
}

impl Asking {
    fn all(&self) -> MutexGuard<'_, BTreeMap<(Uuid, RequestHash), oneshot::Sender<Told>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.all().len()
    }

    /// There is no answer.
    pub(super) fn replied(&self, headers: &ReplyHeaders, reply: Reply) {
        if let Some(it) = self.all().remove(&(headers.command_id, headers.request_hash)) {
            // Whoever does not wait any more does not mind.
            let _ = it.send(Told::Reply(reply));
        }
    }

    /// This is the answer.
    pub(super) fn answered(
        &self,
        headers: &ReplyHeaders,
        schema: &Arc<WriterSchema>,
        datum: &[u8],
    ) {
        let Some(rests_on) = headers.rests_on else { return };
        if let Some(it) = self.all().remove(&(headers.command_id, headers.request_hash)) {
            let (schema, datum) = (Arc::clone(schema), datum.to_vec());
            let _ = it.send(Told::Answer { schema, datum, rests_on });
        }
    }
}

impl Client {
    /// Asks a question that `D` answers, and waits for the answer. The envelope's id is the question's, not used for
    /// another one; it expects no version.
    ///
    /// # Errors
    /// [`FactError`] says what to do.
    pub async fn ask<D: Answers<Q>, Q: Message>(
        &self,
        question: &Q,
        envelope: Envelope,
    ) -> Result<Fact<D::Answer>, FactError> {
        let it = &*self.0;
        let envelope = Envelope { expected_version: None, ..envelope };
        let prepared = Prepared::new(question);
        let prepared = prepared.map_err(|error| CommandError::Invalid(error.to_string()))?;
        let (record, hash) = self.record(prepared, &envelope).await?;
        let key = (envelope.command_id, hash);
        // Before the channel, so that it is dropped after it, and finds it closed.
        let _forget = Forget { inner: it, key };
        let (tell, mut told) = oneshot::channel();
        let in_flight = it.asking.len();
        if in_flight >= it.settings.in_flight_max {
            return Err(CommandError::Overloaded { in_flight }.into());
        }
        // Registered before it is sent, so that no answer can be too early.
        it.asking.all().insert(key, tell);
        let until = it.clock.elapsed() + envelope.deadline;
        loop {
            let receipt = Deliveries::receipt();
            receipt.sent();
            match it.producer.send(record.clone(), &receipt) {
                Ok(()) => {}
                Err(SendError::Full(_)) => {
                    return Err(FactError::Unavailable("the queue to the log is full".into()));
                }
                Err(SendError::Refused(why)) => return Err(FactError::Unavailable(why)),
            }
            let left = until.saturating_sub(it.clock.elapsed());
            match it.clock.timeout(ASK_AGAIN.min(left), &mut told).await {
                Some(Ok(told)) => return self.fact::<D, Q>(question, told),
                // Somebody else asks under this id.
                Some(Err(_)) => return Err(FactError::Unanswered),
                None if left <= ASK_AGAIN => return Err(FactError::Unanswered),
                // The question, or its answer, may be lost.
                None => {}
            }
        }
    }

    fn fact<D: Answers<Q>, Q: Message>(
        &self,
        question: &Q,
        told: Told,
    ) -> Result<Fact<D::Answer>, FactError> {
        match told {
            Told::Reply(Reply { verdict: Verdict::Accepted, position, .. }) => {
                Ok(Fact { answer: None, position: position.into_iter().collect() })
            }
            Told::Reply(Reply { code, message, .. }) => {
                let (code, message) = (code.unwrap_or_default(), message.unwrap_or_default());
                Err(FactError::Refused(Rejected { code, message, details: Value::Null }))
            }
            Told::Answer { schema, datum, rests_on } => {
                let answer = match D::Answer::decode(&schema, &datum) {
                    Ok(Decoded::Messages(mut answers)) if answers.len() == 1 => answers.pop(),
                    Ok(Decoded::Messages(_) | Decoded::FromTheFuture) => {
                        let name = schema.name();
                        let why = format!("it was answered with a {name}, unknown to this build");
                        return Err(FactError::Unavailable(why));
                    }
                    Err(error) => return Err(FactError::Unavailable(error.to_string())),
                };
                let part = partition_of(question.stream(), self.0.settings.partitions);
                let mut position = Position::new();
                position.saw(Q::family().context, rests_on.incarnation, part, rests_on.pseq);
                Ok(Fact { answer, position })
            }
        }
    }
}

/// Forgets who waits when nobody does any more.
struct Forget<'a> {
    inner: &'a Inner,
    key: (Uuid, RequestHash),
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut all = self.inner.asking.all();
        if all.get(&self.key).is_some_and(oneshot::Sender::is_closed) {
            all.remove(&self.key);
        }
    }
}

/// A handler that took a partition over answers what it finds there; what is lost is lost with a reply, or with the log.
const ASK_AGAIN: Duration = Duration::from_secs(1);
