//! The shape of the fleet's essential logic: pure functions that decide, evolve and project.
//!
//! Nothing here, and nothing that implements it, touches the world: instants, ids and whatever else a decision
//! depends on come in as arguments. The shell looks up, calls, and writes down.
//!
//! | Function | of | says |
//! |---|---|---|
//! | [`asks`](Decider::asks) | a command | which unique values its decision depends on |
//! | [`decide`](Decider::decide) | a state, a command | which events happen, or why not |
//! | [`evolve`](Decider::evolve) | a state, an event | the state after it |
//! | [`claims`](Decider::claims) | an event | which unique values it takes and gives back |
//! | [`answer`](Answers::answer) | a state, a question | what is so |
//! | [`key`](Project::key) | an event | which row of a view it is about |
//! | [`project`](Project::project) | a row, an event | the row after it |
//!
//! # A context in miniature
//! Parcels are sent, each under a number that no other parcel on its way has, and delivered.
//! ```
//! use functions::{Claim, Context, Decider, Happened, Known, Message, Parts, Project, Unique, spec};
//! use serde::{Deserialize, Serialize};
//! use uuid::Uuid;
//!
//! // The messages (in the fleet: a module of `shared-events`).
//! shared_events::messages! {
//!     /// What may be asked of parcels.
//!     command ParcelCommand of "parcels" by parcel_id {
//!         /// Sends a parcel.
//!         SendParcel {
//!             /// The id that the parcel will have.
//!             parcel_id: Uuid,
//!             /// What is printed on it.
//!             number: String,
//!         }
//!         /// The parcel has arrived.
//!         DeliverParcel {
//!             /// The parcel.
//!             parcel_id: Uuid,
//!         }
//!     }
//! }
//! shared_events::messages! {
//!     /// What happened to parcels.
//!     event ParcelEvent of "parcels" by parcel_id {
//!         /// A parcel is on its way.
//!         ParcelSent {
//!             /// The parcel.
//!             parcel_id: Uuid,
//!             /// What is printed on it.
//!             number: String,
//!         }
//!         /// A parcel arrived.
//!         ParcelDelivered {
//!             /// The parcel.
//!             parcel_id: Uuid,
//!             /// What is printed on it; another parcel may have it now.
//!             number: String,
//!         }
//!     }
//! }
//!
//! // The write side: one value for each parcel.
//! #[derive(Clone, Debug, Default, Serialize, Deserialize)]
//! enum Parcel {
//!     #[default]
//!     Unknown,
//!     Sent { number: String },
//!     Delivered,
//! }
//!
//! #[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
//! #[serde(untagged)]
//! enum Rejection {
//!     #[error("another parcel has this number")]
//!     NumberTaken { by: Uuid },
//!     #[error("this parcel was sent before")]
//!     ParcelExists,
//!     #[error("there is no such parcel")]
//!     ParcelNotFound,
//! }
//!
//! impl functions::Rejection for Rejection {
//!     fn code(&self) -> &'static str {
//!         match self {
//!             Self::NumberTaken { .. } => "NUMBER_TAKEN",
//!             Self::ParcelExists => "PARCEL_EXISTS",
//!             Self::ParcelNotFound => "PARCEL_NOT_FOUND",
//!         }
//!     }
//! }
//!
//! fn number(value: &str) -> Unique {
//!     Unique { kind: "number", value: value.to_owned() }
//! }
//!
//! impl Decider for Parcel {
//!     type Command = ParcelCommand;
//!     type Event = ParcelEvent;
//!     type Rejection = Rejection;
//!     const REVISION: u32 = 1;
//!
//!     fn asks(command: &ParcelCommand) -> Vec<Unique> {
//!         match command {
//!             ParcelCommand::SendParcel(it) => vec![number(&it.number)],
//!             ParcelCommand::DeliverParcel(_) => vec![],
//!         }
//!     }
//!
//!     fn decide(&self, command: &ParcelCommand, known: &Known) -> Result<Vec<ParcelEvent>, Rejection> {
//!         match (self, command.clone()) {
//!             (Self::Unknown, ParcelCommand::SendParcel(SendParcel { parcel_id, number: printed })) => {
//!                 match known.holder(&number(&printed)) {
//!                     Some(by) => Err(Rejection::NumberTaken { by }),
//!                     None => Ok(vec![ParcelSent { parcel_id, number: printed }.into()]),
//!                 }
//!             }
//!             (_, ParcelCommand::SendParcel(_)) => Err(Rejection::ParcelExists),
//!             (Self::Unknown, ParcelCommand::DeliverParcel(_)) => Err(Rejection::ParcelNotFound),
//!             (Self::Sent { number }, ParcelCommand::DeliverParcel(DeliverParcel { parcel_id })) => {
//!                 Ok(vec![ParcelDelivered { parcel_id, number: number.clone() }.into()])
//!             }
//!             // Delivering twice changes nothing.
//!             (Self::Delivered, ParcelCommand::DeliverParcel(_)) => Ok(vec![]),
//!         }
//!     }
//!
//!     fn evolve(&mut self, event: &ParcelEvent) {
//!         *self = match event {
//!             ParcelEvent::ParcelSent(it) => Self::Sent { number: it.number.clone() },
//!             ParcelEvent::ParcelDelivered(_) => Self::Delivered,
//!         }
//!     }
//!
//!     fn claims(event: &ParcelEvent) -> Vec<Claim> {
//!         match event {
//!             ParcelEvent::ParcelSent(it) => vec![Claim::Take(number(&it.number))],
//!             ParcelEvent::ParcelDelivered(it) => vec![Claim::Release(number(&it.number))],
//!         }
//!     }
//! }
//!
//! // The read side: a row for each parcel on its way.
//! functions::row! {
//!     /// A parcel on its way.
//!     pub struct OnItsWay in "on_its_way" {
//!         /// The parcel.
//!         pub id: Uuid,
//!         /// What is printed on it.
//!         pub number: String,
//!         /// Since when.
//!         pub sent_at: chrono::DateTime<chrono::Utc>,
//!     }
//!     revision 1;
//!     follows ParcelEvent;
//! }
//!
//! impl Project<ParcelEvent> for OnItsWay {
//!     fn key(event: &ParcelEvent, _: &Happened) -> Option<Uuid> {
//!         Some(event.stream())
//!     }
//!
//!     fn project(_: Option<Self>, event: &ParcelEvent, happened: &Happened) -> Option<Self> {
//!         match event {
//!             ParcelEvent::ParcelSent(it) => {
//!                 Some(Self { id: it.parcel_id, number: it.number.clone(), sent_at: happened.at })
//!             }
//!             ParcelEvent::ParcelDelivered(_) => None,
//!         }
//!     }
//! }
//!
//! // The context: all that the shell needs to know.
//! struct Parcels;
//!
//! impl Context for Parcels {
//!     const NAME: &'static str = "parcels";
//!
//!     fn parts(list: &mut impl Parts) {
//!         list.decider::<Parcel>().view::<OnItsWay>();
//!     }
//! }
//!
//! // What it should do.
//! let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
//! let send = |parcel_id, number: &str| SendParcel { parcel_id, number: number.to_owned() };
//! let sent = |parcel_id, number: &str| ParcelEvent::from(ParcelSent { parcel_id, number: number.to_owned() });
//! let delivered = |parcel_id, number: &str| {
//!     ParcelEvent::from(ParcelDelivered { parcel_id, number: number.to_owned() })
//! };
//!
//! spec::given::<Parcel>([sent(a, "7")])
//!     .when(send(b, "7"))
//!     .then_rejected(Rejection::NumberTaken { by: a })
//!     .when(DeliverParcel { parcel_id: a })
//!     .then([delivered(a, "7")])
//!     .when(send(b, "7"))
//!     .then([sent(b, "7")]);
//!
//! spec::projected::<OnItsWay, _>([sent(a, "7")])
//!     .then([OnItsWay { id: a, number: "7".to_owned(), sent_at: spec::NOW }])
//!     .and([delivered(a, "7")])
//!     .then([]);
//! ```
mod fact;
pub mod row;
pub mod spec;

pub use fact::Answers;

pub use row::{Column, ColumnKind, ColumnType, Direction, Index, Key, Texts};
pub use shared_events::Message;

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt::Debug};
use uuid::Uuid;

/// A bounded context: what it decides and what it shows.
pub trait Context: 'static {
    /// Names the context's topics, deployables and database.
    const NAME: &'static str;

    /// Names every decider and every view of the context.
    fn parts(list: &mut impl Parts);
}

/// Receives the parts of a [`Context`].
pub trait Parts {
    /// The context decides by `D`: the record name of a command says which decider it is for.
    fn decider<D: Decider>(&mut self) -> &mut Self;

    /// The context shows `V`.
    fn view<V: View>(&mut self) -> &mut Self;

    /// `D`, a decider of the context, answers `Q`. Of concern only to who runs deciders.
    fn fact<D: Answers<Q>, Q: Message>(&mut self) -> &mut Self {
        self
    }
}

/// The write side: the consistency boundary around one thing. Its value is the state of one stream.
pub trait Decider:
    Default + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// What can be asked of it.
    type Command: Message;
    /// What can happen to it.
    type Event: Message;
    /// Why it refuses.
    type Rejection: Rejection;
    /// Changes whenever [`evolve`](Decider::evolve) gives another state for the same events: older snapshots are
    /// not used then.
    const REVISION: u32;

    /// The unique values whose holders the decision depends on.
    fn asks(_command: &Self::Command) -> Vec<Unique> {
        Vec::new()
    }

    /// What the command makes happen, given all that happened before.
    ///
    /// # Errors
    /// The rule that refuses the command; nothing happens then.
    fn decide(
        &self,
        command: &Self::Command,
        known: &Known,
    ) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// Takes note of what happened. Never refuses: it is history.
    fn evolve(&mut self, event: &Self::Event);

    /// The unique values that the event takes or gives back; every value taken must have been
    /// [asked](Decider::asks) about.
    fn claims(_event: &Self::Event) -> Vec<Claim> {
        Vec::new()
    }
}

/// Why a command is refused. Its `Display` is shown to whoever sent it, its [`code`](Rejection::code) is for
/// programs, and its fields travel with it (say, who holds the e-mail address).
pub trait Rejection:
    std::error::Error + Clone + PartialEq + Serialize + Send + Sync + 'static
{
    /// In upper case with underscores, stable for ever: `EMAIL_TAKEN`.
    fn code(&self) -> &'static str;
}

/// A value that one stream of the context at most may hold: an e-mail address, a project key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unique {
    /// What sort of value it is; values of different kinds never collide.
    pub kind: &'static str,
    /// In normal form, at most 512 bytes.
    pub value: String,
}

/// What an event does to a unique value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The event's stream holds the value from now on.
    Take(Unique),
    /// The event's stream gives the value back.
    Release(Unique),
}

/// What the shell looked up for a decision.
#[derive(Clone, Debug)]
pub struct Known {
    /// When the command reached the log; never earlier than the stream's last event (protocol.md L3).
    pub at: DateTime<Utc>,
    /// Who holds the values that the command [asks](Decider::asks) about; a free value is absent.
    pub holders: BTreeMap<Unique, Uuid>,
}

impl Known {
    /// The stream that holds the value, if any does.
    #[must_use]
    pub fn holder(&self, unique: &Unique) -> Option<Uuid> {
        self.holders.get(unique).copied()
    }
}

/// The read side: one row of one table. [`row!`](crate::row!) writes the columns from the struct.
pub trait View:
    Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// What a row is found by.
    type Key: Key;
    /// The table's name, unique in the fleet.
    const TABLE: &'static str;
    /// The name of the key's column, which is the primary key.
    const KEY: &'static str;
    /// Changes whenever a fold gives another row for the same events: the shell rebuilds the view then.
    const REVISION: u32;
    /// Whether a row is made of several streams: its fold must then not depend on the order between them.
    const SPANS_STREAMS: bool = false;

    /// The table's columns in the order of the struct's fields, the key among them.
    fn columns() -> Vec<Column>;

    /// What rows are found by, and ordered by, beside their key.
    #[must_use]
    fn indexes() -> Vec<Index> {
        Vec::new()
    }

    /// The columns in whose text words are searched.
    #[must_use]
    fn searched() -> Vec<&'static str> {
        Vec::new()
    }

    /// Names every family of events that the view follows.
    fn follows(list: &mut impl Follows<Self>);
}

/// Receives what a [`View`] follows.
pub trait Follows<V: View> {
    /// The view follows the events of `E`.
    fn events<E: Message>(&mut self) -> &mut Self
    where
        V: Project<E>;
}

/// How a view follows one family of events.
pub trait Project<E: Message>: View {
    /// The row that the event is about; `None` if it is about none.
    fn key(event: &E, happened: &Happened) -> Option<Self::Key>;

    /// The row after the event; `None` if there is none (any more).
    fn project(row: Option<Self>, event: &E, happened: &Happened) -> Option<Self>;
}

/// The circumstances of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When it was decided, by the log's clock; never goes back within a stream.
    pub at: DateTime<Utc>,
    /// Its number in its stream, from 1 without gaps.
    pub version: i64,
}
