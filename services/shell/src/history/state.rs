//! What a stream was at some time.
use super::difference::fields;
use crate::handler::decider::AnyState;
use chrono::{DateTime, Utc};
use functions::{Answers, Message};
use serde_json::{Map, Value};
use uuid::Uuid;

/// A stream as it was after some of its events.
pub struct Moment {
    /// The stream.
    pub stream: Uuid,
    /// How many events it had.
    pub version: i64,
    /// When the last of them was decided.
    pub at: DateTime<Utc>,
    pub(super) state: Box<dyn AnyState>,
}

impl Moment {
    /// What a question would have been answered then; `None` also if `D` is not the stream's decider.
    #[must_use]
    pub fn answer<D: Answers<Q>, Q: Message>(&self, question: &Q) -> Option<D::Answer> {
        self.state.as_any().downcast_ref::<D>()?.answer(question, self.version)
    }

    /// The decider's state by fields: those of a struct by their paths; of an enum, `state` is the variant, and the rest is
    /// what that has.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        let json = self.state.snapshot().and_then(|it| serde_json::from_str(&it).ok());
        fields(&json.unwrap_or_default())
    }
}
