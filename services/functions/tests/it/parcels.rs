//! A context in miniature that can be told to go wrong, to see that a specification notices.
use functions::{Claim, Decider, Happened, Known, Message, Project, Rejection, Unique};
use serde::{Deserialize, Serialize};
use shared_events::messages;
use std::cell::Cell;
use uuid::Uuid;

messages! {
    /// What may be asked of parcels.
    command ParcelCommand of "parcels" by parcel_id {
        /// Sends a parcel.
        SendParcel {
            /// The parcel.
            parcel_id: Uuid,
            /// What is printed on it.
            number: String,
        }
        /// The parcel has arrived.
        DeliverParcel {
            /// The parcel.
            parcel_id: Uuid,
        }
    }
}

messages! {
    /// What happened to parcels.
    event ParcelEvent of "parcels" by parcel_id {
        /// A parcel is on its way.
        ParcelSent {
            /// The parcel.
            parcel_id: Uuid,
            /// What is printed on it.
            number: String,
        }
        /// A parcel arrived.
        ParcelDelivered {
            /// The parcel.
            parcel_id: Uuid,
            /// What is printed on it.
            number: String,
        }
    }
}

pub(crate) const A: Uuid = Uuid::from_u128(0xa);
pub(crate) const B: Uuid = Uuid::from_u128(0xb);

pub(crate) fn send(parcel_id: Uuid, number: &str) -> ParcelCommand {
    SendParcel { parcel_id, number: number.to_owned() }.into()
}

pub(crate) fn deliver(parcel_id: Uuid) -> ParcelCommand {
    DeliverParcel { parcel_id }.into()
}

pub(crate) fn sent(parcel_id: Uuid, number: &str) -> ParcelEvent {
    ParcelSent { parcel_id, number: number.to_owned() }.into()
}

pub(crate) fn delivered(parcel_id: Uuid, number: &str) -> ParcelEvent {
    ParcelDelivered { parcel_id, number: number.to_owned() }.into()
}

/// What is wrong with a [`Parcel`].
pub(crate) type Fault = u8;
pub(crate) const NONE: Fault = 0;
pub(crate) const TAKES_UNASKED: Fault = 1;
pub(crate) const TAKES_ANYWAY: Fault = 2;
pub(crate) const WRITES_ELSEWHERE: Fault = 3;
pub(crate) const RELEASES_OTHERS: Fault = 4;
pub(crate) const EVOLVE_PANICS: Fault = 5;
pub(crate) const SNAPSHOT_FORGETS: Fault = 6;
pub(crate) const DELIVERS_TWICE: Fault = 7;
pub(crate) const LOWER_CASE_CODE: Fault = 8;
pub(crate) const DECIDES_BY_MOOD: Fault = 9;
pub(crate) const REPLAY_DIFFERS: Fault = 10;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Parcel<const FAULT: Fault> {
    number: Option<String>,
    delivered: bool,
    /// Forgotten by a snapshot.
    #[serde(skip)]
    forgotten: u32,
    /// Different in each run.
    mood: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
pub(crate) enum Refused {
    #[error("another parcel has this number")]
    NumberTaken,
    #[error("this parcel was sent before")]
    ParcelExists,
    #[error("there is no such parcel")]
    ParcelNotFound,
    #[error("badly named")]
    BadlyNamed,
}

impl Rejection for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::NumberTaken => "NUMBER_TAKEN",
            Self::ParcelExists => "PARCEL_EXISTS",
            Self::ParcelNotFound => "PARCEL_NOT_FOUND",
            Self::BadlyNamed => "badly named",
        }
    }
}

fn number(value: &str) -> Unique {
    Unique { kind: "number", value: value.to_owned() }
}

thread_local! {
    /// What no decider may have.
    static MOOD: Cell<u32> = const { Cell::new(0) };
}

fn mood() -> u32 {
    MOOD.replace(MOOD.get() + 1)
}

impl<const FAULT: Fault> Decider for Parcel<FAULT> {
    type Command = ParcelCommand;
    type Event = ParcelEvent;
    type Rejection = Refused;
    const REVISION: u32 = 1;

    fn asks(command: &ParcelCommand) -> Vec<Unique> {
        match command {
            ParcelCommand::SendParcel(it) if FAULT != TAKES_UNASKED => vec![number(&it.number)],
            ParcelCommand::SendParcel(_) | ParcelCommand::DeliverParcel(_) => Vec::new(),
        }
    }

    fn decide(&self, command: &ParcelCommand, known: &Known) -> Result<Vec<ParcelEvent>, Refused> {
        if FAULT == LOWER_CASE_CODE {
            return Err(Refused::BadlyNamed);
        }
        match command {
            ParcelCommand::SendParcel(it) => {
                if self.number.is_some() {
                    return Err(Refused::ParcelExists);
                }
                if known.holder(&number(&it.number)).is_some() && FAULT != TAKES_ANYWAY {
                    return Err(Refused::NumberTaken);
                }
                if FAULT == DECIDES_BY_MOOD && mood().is_multiple_of(2) {
                    return Ok(Vec::new());
                }
                let id = if FAULT == WRITES_ELSEWHERE { A } else { it.parcel_id };
                Ok(vec![sent(id, &it.number)])
            }
            ParcelCommand::DeliverParcel(it) => match &self.number {
                None => Err(Refused::ParcelNotFound),
                Some(_) if self.delivered && FAULT != DELIVERS_TWICE => Ok(Vec::new()),
                Some(_) if FAULT == RELEASES_OTHERS => Ok(vec![delivered(it.parcel_id, "other")]),
                Some(number) => Ok(vec![delivered(it.parcel_id, number)]),
            },
        }
    }

    fn evolve(&mut self, event: &ParcelEvent) {
        match event {
            ParcelEvent::ParcelSent(it) => self.number = Some(it.number.clone()),
            ParcelEvent::ParcelDelivered(_) => {
                assert!(FAULT != EVOLVE_PANICS, "no more deliveries");
                self.delivered = true;
            }
        }
        if FAULT == SNAPSHOT_FORGETS {
            self.forgotten += 1;
        }
        if FAULT == REPLAY_DIFFERS {
            self.mood = mood();
        }
    }

    fn claims(event: &ParcelEvent) -> Vec<Claim> {
        match event {
            ParcelEvent::ParcelSent(it) => vec![Claim::Take(number(&it.number))],
            ParcelEvent::ParcelDelivered(_) if FAULT == DELIVERS_TWICE => Vec::new(),
            ParcelEvent::ParcelDelivered(it) => vec![Claim::Release(number(&it.number))],
        }
    }
}

functions::row! {
    /// A parcel on its way.
    pub(crate) struct OnItsWay in "on_its_way" {
        /// The parcel.
        pub id: Uuid,
        /// What is printed on it.
        pub number: String,
        /// How often it was seen.
        pub version: i64,
    }
    revision 1;
    follows ParcelEvent;
}

impl Project<ParcelEvent> for OnItsWay {
    fn key(event: &ParcelEvent, _: &Happened) -> Option<Uuid> {
        Some(event.stream())
    }

    fn project(_: Option<Self>, event: &ParcelEvent, happened: &Happened) -> Option<Self> {
        match event {
            ParcelEvent::ParcelSent(it) => Some(Self {
                id: it.parcel_id,
                number: it.number.clone(),
                version: happened.version,
            }),
            ParcelEvent::ParcelDelivered(_) => None,
        }
    }
}

functions::row! {
    /// How busy a number is.
    pub(crate) struct Number in "number" {
        /// The number.
        pub number: String,
        /// How often it was used.
        pub sent: i64,
    }
    revision 2;
    spans streams;
    follows ParcelEvent;
}

impl Project<ParcelEvent> for Number {
    fn key(event: &ParcelEvent, _: &Happened) -> Option<String> {
        match event {
            ParcelEvent::ParcelSent(it) => Some(it.number.clone()),
            ParcelEvent::ParcelDelivered(_) => None,
        }
    }

    fn project(row: Option<Self>, event: &ParcelEvent, happened: &Happened) -> Option<Self> {
        let number = Self::key(event, happened)?;
        Some(Self { number, sent: row.map_or(0, |it| it.sent) + 1 })
    }
}
