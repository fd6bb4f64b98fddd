//! Facts without their types: what a question is, and how its stream's decider answers it.
use super::decider::{AnyState, Refused, defect};
use functions::{Answers, Decider, Message};
use shared_events::{Decoded, Family, RecordSchema, WriterSchema};
use std::any::TypeId;
use uuid::Uuid;

/// A family of questions that a decider of the context answers.
pub(crate) struct Fact {
    /// Who answers: the type of a state.
    pub(super) decider: TypeId,
    pub(crate) questions: &'static Family,
    pub(crate) answers: &'static Family,
    read: Read,
}

/// The question in a datum. Why not, in words.
type Read = fn(&WriterSchema, &[u8]) -> Result<Box<dyn AnyQuestion>, String>;

impl Fact {
    pub(super) fn of<D: Answers<Q>, Q: Message>() -> Self {
        Self {
            decider: TypeId::of::<D>(),
            questions: Q::family(),
            answers: D::Answer::family(),
            read: read::<D, Q>,
        }
    }

    /// The question in a datum. Why not, in words.
    pub(super) fn question(
        &self,
        writer: &WriterSchema,
        datum: &[u8],
    ) -> Result<Box<dyn AnyQuestion>, String> {
        (self.read)(writer, datum)
    }
}

fn read<D: Answers<Q>, Q: Message>(
    writer: &WriterSchema,
    datum: &[u8],
) -> Result<Box<dyn AnyQuestion>, String> {
    match Q::decode(writer, datum).map_err(|error| error.to_string())? {
        Decoded::Messages(mut questions) => match (questions.pop(), questions.is_empty()) {
            (Some(question), true) => {
                Ok(Box::new(Question { question, answer: answer::<D, Q> as Answer<Q> }))
            }
            (Some(_), false) => Err("a retired question became several".into()),
            (None, _) => Err("a retired question became none".into()),
        },
        Decoded::FromTheFuture => Err(format!("{} is unknown here", writer.name())),
    }
}

/// A question that was decoded.
pub(crate) trait AnyQuestion: Send {
    fn stream(&self) -> Uuid;
    /// What is told of a stream in this state; `None` if there is nothing to tell.
    fn answer(&self, state: &dyn AnyState, version: i64) -> Result<Option<Answered>, Refused>;
}

/// An answer, ready to be sent.
pub(crate) struct Answered {
    pub(crate) record: &'static RecordSchema,
    pub(crate) datum: Vec<u8>,
}

type Answer<Q> = fn(&Q, &dyn AnyState, i64) -> Result<Option<Answered>, Refused>;

struct Question<Q> {
    question: Q,
    answer: Answer<Q>,
}

impl<Q: Message> AnyQuestion for Question<Q> {
    fn stream(&self) -> Uuid {
        self.question.stream()
    }

    fn answer(&self, state: &dyn AnyState, version: i64) -> Result<Option<Answered>, Refused> {
        (self.answer)(&self.question, state, version)
    }
}

fn answer<D: Answers<Q> + Decider, Q: Message>(
    question: &Q,
    state: &dyn AnyState,
    version: i64,
) -> Result<Option<Answered>, Refused> {
    let Some(state) = state.as_any().downcast_ref::<D>() else {
        return Err(defect("the state is another decider's".into()));
    };
    let Some(answer) = state.answer(question, version) else { return Ok(None) };
    let mut datum = Vec::with_capacity(64);
    answer.encode(&mut datum).map_err(|error| defect(error.to_string()))?;
    Ok(Some(Answered { record: answer.record(), datum }))
}
