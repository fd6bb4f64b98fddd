//! What a specification keeps in place of the handler's database: the state of every stream, and who holds what.
use super::history::History;
use crate::{Answers, Claim, Decider, Happened, Known, Message, Rejection, Unique};
use chrono::{DateTime, Utc};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};
use uuid::Uuid;

/// The longest a unique value may be, in bytes: the handler's table holds no longer ones.
const UNIQUE_BYTES_MAX: usize = 512;

#[derive(Clone, Debug)]
pub(super) struct World<D: Decider> {
    streams: BTreeMap<Uuid, Stream<D>>,
    holders: BTreeMap<Unique, Uuid>,
    history: History<D::Event>,
}

#[derive(Clone, Debug, Default)]
struct Stream<D> {
    state: D,
    last: DateTime<Utc>,
    version: i64,
}

impl<D: Decider> World<D> {
    pub(super) fn new() -> Self {
        Self { streams: BTreeMap::new(), holders: BTreeMap::new(), history: Vec::new() }
    }

    pub(super) fn state(&self, stream: Uuid) -> D {
        self.streams.get(&stream).map(|it| it.state.clone()).unwrap_or_default()
    }

    pub(super) fn states(&self) -> impl Iterator<Item = (Uuid, &D)> {
        self.streams.iter().map(|(id, it)| (*id, &it.state))
    }

    pub(super) fn history(&self) -> &History<D::Event> {
        &self.history
    }

    pub(super) fn into_history(self) -> History<D::Event> {
        self.history
    }

    /// The decision, as the handler would come to it at this instant, and as it would accept it.
    #[track_caller]
    pub(super) fn decide(
        &self,
        command: &D::Command,
        now: DateTime<Utc>,
    ) -> Result<Vec<D::Event>, D::Rejection> {
        let asked = D::asks(command);
        for Unique { kind, value } in &asked {
            let bytes = value.len();
            assert!(
                bytes <= UNIQUE_BYTES_MAX,
                "asks about a value of kind {kind:?} of {bytes} bytes, but at most {UNIQUE_BYTES_MAX} can be held"
            );
        }
        let stream = command.stream();
        let known = Known {
            at: self.at(stream, now),
            holders: asked
                .iter()
                .filter_map(|it| Some((it.clone(), *self.holders.get(it)?)))
                .collect(),
        };
        let state = self.state(stream);
        let decision = state.decide(command, &known);
        assert!(
            decision == state.decide(command, &known),
            "decides differently when asked again about {command:?}: it depends on more than its arguments"
        );
        match &decision {
            Ok(events) => self.check_accepted(stream, &asked, events),
            Err(rejection) => check_code(rejection),
        }
        decision
    }

    /// The answer, as the handler would come to it now.
    #[track_caller]
    pub(super) fn answer<Q: Message>(&self, question: &Q) -> Option<D::Answer>
    where
        D: Answers<Q>,
    {
        let stream = question.stream();
        let version = self.streams.get(&stream).map_or(0, |it| it.version);
        let state = self.state(stream);
        let answer = state.answer(question, version);
        assert!(
            answer == state.answer(question, version),
            "answers differently when asked {question:?} again: it depends on more than its arguments"
        );
        answer
    }

    /// Takes note of an event at this instant; panics on a history that no handler could have written.
    #[track_caller]
    pub(super) fn happen(&mut self, event: &D::Event, now: DateTime<Utc>) {
        let id = event.stream();
        let at = self.at(id, now);
        for claim in D::claims(event) {
            if let Err(why) = claimed(&mut self.holders, claim, id) {
                panic!("impossible history: {event:?} {why}");
            }
        }
        let stream = self.streams.entry(id).or_default();
        let evolved = catch_unwind(AssertUnwindSafe(|| stream.state.evolve(event)));
        assert!(
            evolved.is_ok(),
            "evolve must take whatever was decided, and panicked on {event:?}"
        );
        stream.last = at;
        stream.version += 1;
        self.history.push((Happened { at, version: stream.version }, event.clone()));
    }

    /// Time does not go back within a stream (protocol.md L3).
    fn at(&self, stream: Uuid, now: DateTime<Utc>) -> DateTime<Utc> {
        self.streams.get(&stream).map_or(now, |it| it.last.max(now))
    }

    #[track_caller]
    fn check_accepted(&self, stream: Uuid, asked: &[Unique], events: &[D::Event]) {
        let mut holders = self.holders.clone();
        for event in events {
            assert!(
                event.stream() == stream,
                "decides {event:?} of stream {} upon a command for stream {stream}: a stream has one writer",
                event.stream()
            );
            for claim in D::claims(event) {
                if let Claim::Take(unique) = &claim {
                    assert!(
                        asked.contains(unique),
                        "takes {unique:?} without asking who holds it: name it in `asks`"
                    );
                }
                if let Err(why) = claimed(&mut holders, claim, stream) {
                    panic!("decides {event:?}, which {why}");
                }
            }
        }
    }
}

/// A claim of a stream, compared and set as the handler's database does it.
fn claimed(holders: &mut BTreeMap<Unique, Uuid>, claim: Claim, stream: Uuid) -> Result<(), String> {
    match claim {
        Claim::Take(unique) => match holders.get(&unique) {
            Some(holder) if *holder != stream => {
                return Err(format!("takes {unique:?} from stream {holder}, which holds it"));
            }
            _ => drop(holders.insert(unique, stream)),
        },
        Claim::Release(unique) => match holders.get(&unique) {
            Some(holder) if *holder == stream => drop(holders.remove(&unique)),
            Some(holder) => {
                return Err(format!("gives back {unique:?}, which stream {holder} holds"));
            }
            None => return Err(format!("gives back {unique:?}, which nobody holds")),
        },
    }
    Ok(())
}

#[track_caller]
fn check_code(rejection: &impl Rejection) {
    let code = rejection.code();
    let well_formed = code.starts_with(|it: char| it.is_ascii_uppercase())
        && code.chars().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_');
    assert!(
        well_formed,
        "the code of {rejection:?} is {code:?}; write it in upper case with underscores: EMAIL_TAKEN"
    );
}
