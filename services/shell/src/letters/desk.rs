//! What operators do: look, try again, discard. Every action is written down with who and why.
use super::{Body, By, Kind, Letter, LetterId, Listed, Operation, Wanted};
use crate::{
    client::CommandError,
    clock::Clock,
    codec::Codec,
    port::store::{Letters, StoreError},
    postgres::PostgresReads,
    service::Shell,
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// Where an operator works on dead letters. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub(super) store: Arc<dyn Letters>,
    pub(super) codec: Codec,
    pub(super) clock: Clock,
    contexts: &'static [&'static str],
}

/// Something that an operator asked for, and that was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// An argument is wrong.
    #[error("{message}")]
    Invalid {
        /// Which one.
        argument: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// There is no such letter, or it is not in a state in which this can be done.
    #[error("{0}")]
    Refused(String),
    /// The store does not answer.
    #[error("{0}; try again")]
    Unavailable(String),
    /// The command was not sent, or has no answer.
    #[error("{error}")]
    Command {
        /// The new command.
        command_id: Uuid,
        /// Why.
        error: CommandError,
    },
}

impl From<StoreError> for LetterError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// A dead letter with all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The letter.
    pub letter: Letter,
    /// What is in it.
    pub body: Body,
    /// What operators did to it, the latest first.
    pub operations: Vec<Operation>,
}

/// What came of trying streams again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    /// How many streams there were to be tried.
    pub streams: usize,
    /// Whether a loop has not come to all of them in time: it may yet.
    pub is_pending: bool,
    /// The first letters of the streams that wait, at most [`WAITING_MAX`](Self::WAITING_MAX).
    pub waiting: Vec<Letter>,
}

impl Settled {
    /// How many letters of those that go on waiting are named.
    pub const WAITING_MAX: usize = 100;
}

impl By {
    /// Somebody's reason.
    ///
    /// # Errors
    /// One of them is too long, has a character U+0000, or nobody is named.
    pub fn new(actor: &str, reason: &str) -> Result<Self, LetterError> {
        let by = Self { actor: actor.trim().to_owned(), reason: reason.trim().to_owned() };
        let invalid = |argument, message: String| Err(LetterError::Invalid { argument, message });
        if by.actor.is_empty() {
            return invalid("actor", "nobody is named: say who does it".to_owned());
        }
        for (argument, text, most) in [("actor", &by.actor, 200), ("reason", &by.reason, 1_000)] {
            if text.contains('\0') {
                return invalid(argument, format!("the {argument} has a character U+0000"));
            }
            let chars = text.chars().count();
            if chars > most {
                let message =
                    format!("the {argument} has {chars} characters, and at most {most} are kept");
                return invalid(argument, message);
            }
        }
        Ok(by)
    }
}

impl Desk {
    pub(crate) fn new(
        store: Arc<dyn Letters>,
        codec: Codec,
        clock: Clock,
        contexts: &'static [&'static str],
    ) -> Self {
        Self { store, codec, clock, contexts }
    }

    /// At the servers that a shell knows.
    #[must_use]
    pub fn of(shell: &Shell, contexts: &'static [&'static str]) -> Self {
        let store = Arc::new(PostgresReads::new(shell.postgres.clone()));
        Self::new(store, shell.codec.clone(), shell.clock.clone(), contexts)
    }

    /// The dead letters of one context, or of all.
    ///
    /// # Errors
    /// There is no such context, or its store does not answer.
    pub async fn list(
        &self,
        context: Option<&str>,
        wanted: &Wanted,
    ) -> Result<Listed, LetterError> {
        let most = usize::try_from(wanted.limit).unwrap_or_default();
        let mut all = Listed::default();
        for context in self.contexts(context)? {
            let Listed { letters, total } = self.store.list(context, wanted).await?;
            all.letters.extend(letters);
            all.total += total;
        }
        all.letters.truncate(most);
        Ok(all)
    }

    /// A letter with its body.
    ///
    /// # Errors
    /// There is no such letter, or the store does not answer.
    pub async fn show(&self, id: &LetterId) -> Result<Shown, LetterError> {
        let letter = self.one(id).await?;
        let body = Body::of(&letter, &self.codec).await;
        let name = letter.id.to_string();
        let operations = self.store.operations(id.context(), Some(&name), OPERATIONS_MAX).await?;
        Ok(Shown { letter, body, operations })
    }

    /// Asks for the streams of these parked events to be tried again, and waits for what comes of it.
    ///
    /// # Errors
    /// Nothing of the kind waits, or the store does not answer.
    pub async fn retry(
        &self,
        context: Option<&str>,
        wanted: &Wanted,
        by: &By,
        patience: Duration,
    ) -> Result<Settled, LetterError> {
        if let Some(LetterId::Command(_)) = &wanted.place {
            let message = "a command is never tried again as it was: resubmit it, edited or not";
            return Err(LetterError::Refused(message.to_owned()));
        }
        let mut wanted = wanted.clone();
        if let Some(place) = &wanted.place {
            // Of a letter that is named, the stream is what is tried.
            wanted.stream = self.one(place).await?.stream;
        }
        let mut requests = Vec::new();
        for context in self.contexts(context)? {
            let what = described(context, &wanted);
            let operation = self.operation("retry", what, by, String::new());
            let ids = self.store.ask_again(context, &wanted, &operation).await?;
            if !ids.is_empty() {
                requests.push((context, ids));
            }
        }
        if requests.is_empty() {
            let message = "no such event waits: `list` shows those that do".to_owned();
            return Err(LetterError::Refused(message));
        }
        self.settled(requests, &wanted, patience).await
    }

    /// Takes a letter for dealt with: a view passes over the event from now on, and the rest of its stream is tried
    /// again; of a command the bytes are kept, and its outcome stays.
    ///
    /// # Errors
    /// No reason is given, there is no such letter, it is dealt with already, it only waits behind another one, or the
    /// store does not answer.
    pub async fn discard(
        &self,
        id: &LetterId,
        by: &By,
        patience: Duration,
    ) -> Result<Settled, LetterError> {
        if by.reason.is_empty() {
            let message = "a discard needs a reason: it is kept for whoever wonders".to_owned();
            return Err(LetterError::Invalid { argument: "reason", message });
        }
        let letter = self.one(id).await?;
        let operation =
            |result: &str| self.operation("discard", letter.id.to_string(), by, result.to_owned());
        match (&letter.id, letter.behind) {
            (LetterId::Command(place), _) => {
                unresolved(&letter)?;
                let operation = operation("its outcome stays REJECTED");
                if !self.store.resolve(place, "discarded", &operation).await? {
                    return Err(LetterError::Refused(format!("{id} was dealt with meanwhile")));
                }
                Ok(Settled::default())
            }
            (LetterId::Event(_), Some(pseq)) => {
                let first = id.to_string();
                let place = first.rsplit_once(':').map_or(first.as_str(), |(place, _)| place);
                Err(LetterError::Refused(format!(
                    "{id} only waits behind {place}:{pseq}: retry or discard that one"
                )))
            }
            (LetterId::Event(place), None) => {
                let operation = operation("passed over from now on");
                let Some(ids) = self.store.discard(place, &operation).await? else {
                    return Err(LetterError::Refused(format!("{id} does not wait any more")));
                };
                let stream = Wanted {
                    kind: Some(Kind::View(place.view.clone())),
                    stream: letter.stream,
                    ..Wanted::default()
                };
                let context = self.contexts(Some(&place.context))?[0];
                self.settled(vec![(context, ids)], &stream, patience).await
            }
        }
    }

    /// What operators did in one context, or in all, the latest first.
    ///
    /// # Errors
    /// There is no such context, or its store does not answer.
    pub async fn operations(
        &self,
        context: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Operation>, LetterError> {
        let mut all = Vec::new();
        for context in self.contexts(context)? {
            all.extend(self.store.operations(context, None, limit).await?);
        }
        all.sort_by_key(|it| std::cmp::Reverse(it.at));
        all.truncate(usize::try_from(limit).unwrap_or_default());
        Ok(all)
    }

    /// The one letter that an id names.
    pub(super) async fn one(&self, id: &LetterId) -> Result<Letter, LetterError> {
        let context = self.contexts(Some(id.context()))?[0];
        let wanted = Wanted { place: Some(id.clone()), all: true, limit: 10, ..Wanted::default() };
        let mut letters = self.store.list(context, &wanted).await?.letters;
        match (letters.pop(), letters.is_empty()) {
            (Some(letter), true) => Ok(letter),
            (None, _) => Err(LetterError::Refused(format!(
                "there is no dead letter {id}: `list` shows those that there are"
            ))),
            (Some(last), false) => {
                letters.push(last);
                let names: Vec<String> = letters.iter().map(|it| it.id.to_string()).collect();
                let names = names.join(" and ");
                Err(LetterError::Refused(format!("{id} is {names}: name one of them")))
            }
        }
    }

    fn contexts(&self, only: Option<&str>) -> Result<Vec<&'static str>, LetterError> {
        let Some(only) = only else { return Ok(self.contexts.to_vec()) };
        let known = self.contexts.iter().find(|it| **it == only);
        known.map(|it| vec![*it]).ok_or_else(|| {
            let only: String = only.chars().take(80).collect();
            let message =
                format!("there is no context {only:?}; there are {}", self.contexts.join(", "));
            LetterError::Invalid { argument: "context", message }
        })
    }

    pub(super) fn operation(
        &self,
        action: &str,
        letter: String,
        by: &By,
        result: String,
    ) -> Operation {
        let (at, by, action) = (self.clock.now(), by.clone(), action.to_owned());
        Operation { at, by, action, letter, result }
    }

    /// Waits until the loops have dealt with the requests.
    async fn settled(
        &self,
        requests: Vec<(&'static str, Vec<i64>)>,
        wanted: &Wanted,
        patience: Duration,
    ) -> Result<Settled, LetterError> {
        let end = self.clock.elapsed() + patience;
        let mut settled = Settled::default();
        for (context, ids) in requests {
            settled.streams += ids.len();
            while self.store.is_asked(context, &ids).await? {
                if self.clock.elapsed() >= end {
                    settled.is_pending = true;
                    break;
                }
                self.clock.sleep(PULSE).await;
            }
            let view = wanted.view().map(|it| Kind::View(it.to_owned()));
            let rest = Wanted {
                kind: view.or(Some(Kind::Events)),
                stream: wanted.stream,
                limit: i64::try_from(Settled::WAITING_MAX).unwrap_or(i64::MAX),
                ..Wanted::default()
            };
            let letters = self.store.list(context, &rest).await?.letters;
            settled.waiting.extend(letters.into_iter().filter(|it| it.behind.is_none()));
        }
        Ok(settled)
    }
}

/// What was tried, as people call it.
fn described(context: &str, wanted: &Wanted) -> String {
    let stream = wanted.stream.map_or_else(String::new, |it| format!(" stream {it}"));
    match (&wanted.place, wanted.view()) {
        (Some(place), _) => place.to_string(),
        (None, Some(view)) => format!("{context}/{view}{stream}"),
        (None, None) => format!("{context}{stream}"),
    }
}

pub(super) fn unresolved(letter: &Letter) -> Result<(), LetterError> {
    letter.resolution.as_ref().map_or(Ok(()), |it| {
        let at = it.at.format("%Y-%m-%d %H:%M:%S UTC");
        Err(LetterError::Refused(format!("{} was dealt with at {at}: {}", letter.id, it.what)))
    })
}

const PULSE: Duration = Duration::from_millis(50);
const OPERATIONS_MAX: i64 = 1_000;
