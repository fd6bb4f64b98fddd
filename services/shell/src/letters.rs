//! Dead letters: commands that could not be decided, events that a view could not fold, and what operators do with them
//! (protocol.md W10, V6).
mod body;
mod desk;
mod id;
mod resubmit;

pub use body::Body;
pub use desk::{Desk, LetterError, Settled, Shown};
pub use id::{CommandPlace, EventPlace, LetterId, LetterIdError};
pub use resubmit::{Commands, Edit, Resubmitted};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A dead letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// What people call it.
    pub id: LetterId,
    /// The stream: of an event that waits always known, of a command as far as its key can be read.
    pub stream: Option<Uuid>,
    /// The command's id, if it could be read.
    pub command_id: Option<Uuid>,
    /// Why the command was rejected, for programs; `PARKED` for events.
    pub code: String,
    /// What is wrong with it, or with the event that it waits behind.
    pub reason: String,
    /// The number of the event of its stream that cannot be folded, if this is a later one.
    pub behind: Option<i64>,
    /// Whether a loop has been asked to try it again, and has not come to it.
    pub asked: bool,
    /// The record's headers, JSON.
    pub headers: String,
    /// The record's body; only where [`Wanted::place`] names the letter.
    pub payload: Option<Vec<u8>>,
    /// When the log took the command, or the event was decided.
    pub at: DateTime<Utc>,
    /// What was done about it, if nothing is left to do.
    pub resolution: Option<Resolution>,
}

/// What was done about a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// When.
    pub at: DateTime<Utc>,
    /// In words.
    pub what: String,
}

/// Which dead letters of a context.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Those of one kind only.
    pub kind: Option<Kind>,
    /// Those of one stream only.
    pub stream: Option<Uuid>,
    /// This one only, with its body.
    pub place: Option<LetterId>,
    /// Also commands about which nothing is left to do, and events that wait in older versions of a view.
    pub all: bool,
    /// At most so many.
    pub limit: i64,
}

/// One kind of dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Commands.
    Commands,
    /// Events of every view.
    Events,
    /// Events of this view.
    View(String),
}

impl Wanted {
    pub(crate) fn commands(&self) -> bool {
        !matches!(
            (&self.kind, &self.place),
            (Some(Kind::Events | Kind::View(_)), _) | (_, Some(LetterId::Event(_)))
        )
    }

    pub(crate) fn events(&self) -> bool {
        !matches!(
            (&self.kind, &self.place),
            (Some(Kind::Commands), _) | (_, Some(LetterId::Command(_)))
        )
    }

    /// The view whose events are wanted.
    pub(crate) fn view(&self) -> Option<&str> {
        match (&self.kind, &self.place) {
            (_, Some(LetterId::Event(it))) => Some(&it.view),
            (Some(Kind::View(view)), _) => Some(view),
            (Some(Kind::Commands | Kind::Events) | None, _) => None,
        }
    }
}

/// Dead letters of a context.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// As many as were wanted at most.
    pub letters: Vec<Letter>,
    /// How many there are.
    pub total: i64,
}

/// Who does something, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// Who: `ada@laptop`.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What an operator did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When.
    pub at: DateTime<Utc>,
    /// Who, and why.
    pub by: By,
    /// `retry`, `discard` or `resubmit`.
    pub action: String,
    /// To which letter, as people call it.
    pub letter: String,
    /// What came of it.
    pub result: String,
}

/// An event that every version of a view passes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discard {
    /// The view's table.
    pub view: String,
    /// The events' topic, without the namespace.
    pub topic: String,
    /// The partition.
    pub part: i32,
    /// The event's number there.
    pub pseq: i64,
    /// Who said so, and why.
    pub by: By,
    /// When.
    pub at: DateTime<Utc>,
}
