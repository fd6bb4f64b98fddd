//! Facts: questions to the write side.
use crate::{Decider, Message};

/// A question that a decider answers from the state of one stream, after every command of that stream that was sent
/// before it (protocol.md F1). It is as pure as a decision, and changes nothing.
///
/// Declare the question with `question` and its answer with `answer` in `shared-events`, and name both to the shell with
/// [`Parts::fact`](crate::Parts::fact).
pub trait Answers<Q: Message>: Decider {
    /// What is told.
    type Answer: Message;

    /// The answer of a stream that has had so many events; `None` where there is nothing to tell, as of a stream without
    /// events. It should need no more than the state: nothing else is looked up.
    fn answer(&self, question: &Q, version: i64) -> Option<Self::Answer>;
}
