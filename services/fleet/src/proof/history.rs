//! What clients asked, and what they were told.
use super::model::{Customer, Status};
use shared_events::customers::{CustomerCommand, CustomerStatus};
use shell::position::Position;
use std::{collections::HashMap, time::Duration};
use uuid::Uuid;

/// All that the clients of a run asked and were told, in any order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Each request once. A command that is sent again until it is answered is one call.
    pub calls: Vec<Call>,
}

/// One request, from when it was first sent until it was answered.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who asked: the calls of one client follow each other.
    pub client: usize,
    /// When it was sent for the first time, on a clock that all clients share.
    pub begun: Duration,
    /// When its answer had come; `None` if it was given up, and may have taken effect or yet do so.
    pub ended: Option<Duration>,
    /// What was asked, and told.
    pub asked: Asked,
}

/// What a call was about.
#[derive(Clone, Debug)]
pub enum Asked {
    /// A mutation.
    Command {
        /// Its id, the same at every attempt.
        command_id: Uuid,
        /// What it asks for.
        command: CustomerCommand,
        /// The final answer; `None` if it was given up.
        told: Option<Told>,
    },
    /// A query of customers by their ids.
    Read {
        /// What the client had seen before: an answer may not be older.
        seen: Position,
        /// The ids that were asked for.
        ids: Vec<Uuid>,
        /// The rows, and how new they are; `None` if there was an error instead.
        told: Option<Vantage>,
    },
    /// A question about a customer to the write side.
    Fact {
        /// The customer.
        id: Uuid,
        /// The answer; `None` if there was an error instead.
        told: Option<Stated>,
    },
}

/// The final answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The rejection's code; `None`: it was accepted.
    pub code: Option<String>,
    /// Who holds the e-mail, in an `ALREADY_INVITED`.
    pub holder: Option<Uuid>,
    /// The version of the customer after it, if the answer tells it (a rejection over GraphQL does not).
    pub version: Option<i64>,
    /// Where the effect is.
    pub position: Position,
}

/// What a query showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vantage {
    /// The customers that there were.
    pub rows: Vec<ReadRow>,
    /// How much of each partition the view had.
    pub position: Position,
}

/// A row of the view of customers, as far as it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRow {
    /// The customer.
    pub id: Uuid,
    /// Its version.
    pub version: i64,
    /// Its address, as typed.
    pub email: String,
}

/// What the write side said about a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// The customer; `None`: nobody was invited by this id.
    pub state: Option<State>,
    /// What the answer rests on.
    pub position: Position,
}

/// A customer, as the write side tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// How far it has come.
    pub status: CustomerStatus,
    /// Its address, as typed; of a removed one none.
    pub email: Option<String>,
    /// Its version.
    pub version: i64,
}

impl Stated {
    pub(super) fn state_of(customer: &Customer) -> State {
        let (status, has_email) = match customer.status {
            Status::Invited => (CustomerStatus::Invited, true),
            Status::Verified => (CustomerStatus::Verified, true),
            Status::Removed => (CustomerStatus::Removed, false),
        };
        let email = has_email.then(|| customer.email.clone());
        State { status, email, version: customer.version }
    }
}

/// The commands of a history, by id. An id that was used for several requests stands for the one that was decided:
/// the others were told `COMMAND_ID_REUSED`.
pub(super) type Commands<'a> = HashMap<Uuid, Sent<'a>>;

/// A command as all clients together know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent<'a> {
    /// When it was sent first.
    pub(super) begun: Duration,
    /// When it was answered first.
    pub(super) ended: Option<Duration>,
    /// What it asks for.
    pub(super) command: &'a CustomerCommand,
}

pub(super) fn commands(history: &History) -> Commands<'_> {
    let mut commands = Commands::with_capacity(history.calls.len());
    for call in &history.calls {
        let Asked::Command { command_id, command, told } = &call.asked else { continue };
        if told.as_ref().is_some_and(Told::is_reused) {
            continue;
        }
        let sent = Sent { begun: call.begun, ended: call.ended, command };
        let known = commands.entry(*command_id).or_insert(sent);
        known.begun = known.begun.min(call.begun);
        known.ended = known.ended.into_iter().chain(call.ended).min();
    }
    commands
}

impl Told {
    /// Whether the id was used for another request before.
    pub(super) fn is_reused(&self) -> bool {
        self.code.as_deref() == Some(shell::code::COMMAND_ID_REUSED)
    }
}
