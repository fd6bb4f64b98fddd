//! Given / when / then.
use super::{NOW, difference::difference, history::History, world::World};
use crate::{Answers, Decider, Message};
use chrono::{DateTime, Utc};
use std::fmt::Debug;
use uuid::Uuid;

/// Everything that happened in the context, to whatever stream: the claims of other streams count too.
///
/// # Panics
/// If no handler could have written that: a value that two streams hold, or that is given back by who does not hold it.
#[track_caller]
pub fn given<D: Decider>(history: impl IntoIterator<Item = D::Event>) -> Given<D> {
    Given { world: World::new(), now: NOW }.and(history)
}

/// What happened so far; the next step is a command.
#[derive(Debug)]
pub struct Given<D: Decider> {
    world: World<D>,
    now: DateTime<Utc>,
}

/// A command was decided; what is left to say is what should come of it.
#[must_use = "a specification without a `then` says nothing"]
#[derive(Debug)]
pub struct When<D: Decider> {
    given: Given<D>,
    command: D::Command,
    decision: Result<Vec<D::Event>, D::Rejection>,
}

impl<D: Decider> Given<D> {
    /// All that follows takes place at this instant. Within a stream time does not go back: an earlier instant counts
    /// as that of the stream's last event.
    #[must_use]
    pub fn at(mut self, now: DateTime<Utc>) -> Self {
        self.now = now;
        self
    }

    /// This happened too, without any command.
    ///
    /// # Panics
    /// As [`given`].
    #[must_use]
    #[track_caller]
    pub fn and(mut self, history: impl IntoIterator<Item = D::Event>) -> Self {
        for event in history {
            self.world.happen(&event, self.now);
        }
        self
    }

    /// Decides the command.
    ///
    /// # Panics
    /// If the decision could not be written down: it takes a unique value that it did not ask about, takes or gives
    /// back one that another stream holds, or has an event of another stream. Also if it decides otherwise when asked
    /// again, or if a rejection's code is not in upper case with underscores.
    #[track_caller]
    pub fn when(self, command: impl Into<D::Command>) -> When<D> {
        let command = command.into();
        let decision = self.world.decide(&command, self.now);
        When { given: self, command, decision }
    }

    /// Asks a question, which changes nothing.
    ///
    /// # Panics
    /// If it is answered otherwise when it is asked again.
    #[track_caller]
    pub fn asked<Q: Message>(self, question: Q) -> Asked<D, Q>
    where
        D: Answers<Q>,
    {
        let answer = self.world.answer(&question);
        Asked { given: self, question, answer }
    }

    /// The state of a stream by now.
    #[must_use]
    pub fn state(&self, stream: Uuid) -> D {
        self.world.state(stream)
    }

    /// All that happened by now, with its times and versions: what a view's specification can go on with.
    #[must_use]
    pub fn history(&self) -> &History<D::Event> {
        self.world.history()
    }
}

impl<D: Decider> When<D> {
    /// Exactly these events happen; what follows builds upon them.
    ///
    /// # Panics
    /// If anything else is decided.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = D::Event>) -> Given<D> {
        let events: Vec<_> = expected.into_iter().collect();
        self.expect(&Ok(events.clone())).and(events)
    }

    /// The command is accepted, and nothing happens: it asks for what is so already.
    ///
    /// # Panics
    /// If anything else is decided.
    #[track_caller]
    pub fn then_nothing(self) -> Given<D> {
        self.then([])
    }

    /// The command is refused, and nothing happens.
    ///
    /// # Panics
    /// If anything else is decided.
    #[track_caller]
    pub fn then_rejected(self, expected: D::Rejection) -> Given<D> {
        self.expect(&Err(expected))
    }

    /// What was decided, for a specification that looks at it in its own way.
    ///
    /// # Errors
    /// The rejection that was decided.
    pub fn decision(&self) -> Result<&[D::Event], &D::Rejection> {
        self.decision.as_deref()
    }

    #[track_caller]
    fn expect(self, expected: &Result<Vec<D::Event>, D::Rejection>) -> Given<D> {
        let Self { given, command, decision } = self;
        assert!(
            decision == *expected,
            "another decision than expected\n\nwhen\n{command:#?}\n\nthen\n{}\ngiven the state\n{:#?}\n",
            difference(&Shown(expected), &Shown(&decision)),
            given.state(crate::Message::stream(&command)),
        );
        given
    }
}

/// A question was answered; what is left to say is what should have been told.
#[must_use = "a specification without an answer says nothing"]
#[derive(Debug)]
pub struct Asked<D: Answers<Q>, Q: Message> {
    given: Given<D>,
    question: Q,
    answer: Option<D::Answer>,
}

impl<D: Answers<Q>, Q: Message> Asked<D, Q> {
    /// This is told.
    ///
    /// # Panics
    /// If anything else is.
    #[track_caller]
    pub fn answered(self, expected: impl Into<D::Answer>) -> Given<D> {
        self.expect(Some(&expected.into()))
    }

    /// There is nothing to tell.
    ///
    /// # Panics
    /// If there is.
    #[track_caller]
    pub fn answered_nothing(self) -> Given<D> {
        self.expect(None)
    }

    #[track_caller]
    fn expect(self, expected: Option<&D::Answer>) -> Given<D> {
        let Self { given, question, answer } = self;
        assert!(
            answer.as_ref() == expected,
            "another answer than expected\n\nasked\n{question:#?}\n\nanswered\n{}\ngiven the state\n{:#?}\n",
            difference(&expected, &answer.as_ref()),
            given.state(question.stream()),
        );
        given
    }
}

/// A decision in the words of the specification.
struct Shown<'a, E, R>(&'a Result<Vec<E>, R>);

impl<E: Debug, R: Debug + std::fmt::Display> Debug for Shown<'_, E, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Ok(events) if events.is_empty() => f.write_str("nothing happens"),
            Ok(events) => f.debug_list().entries(events).finish(),
            Err(why) => write!(f, "rejected, {:?}: {why:#?}", why.to_string()),
        }
    }
}
