//! A context that breaks every rule there is, one command each.
use functions::{Claim, Context, Decider, Happened, Known, Message, Parts, Project, Unique};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use uuid::Uuid;

shared_events::messages! {
    /// What may be asked of toys.
    command ToyCommand of "toys" by toy_id {
        /// Does as told.
        BuildToy {
            /// The toy.
            toy_id: Uuid,
            /// `panic`, `panic in asks`, `no question`, `another stream`, `many`, or a part to build in.
            part: String,
        }
    }
}

shared_events::messages! {
    /// What happened to toys.
    event ToyEvent of "toys" by toy_id {
        /// A part was built in.
        ToyBuilt {
            /// The toy.
            toy_id: Uuid,
            /// What was built in; folding `bomb` panics until it is [defused](defuse), finding the row of a `ghost` does, `nothing` makes a row
            /// that no store can hold.
            part: String,
        }
    }
}

thread_local! {
    static DEFUSED: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread panics again where it folds a bomb.
pub(crate) fn arm() {
    DEFUSED.set(false);
}

/// From now on this thread folds bombs, as a release does in which a mistake is mended.
pub(crate) fn defuse() {
    DEFUSED.set(true);
}

/// Commands of a later release.
pub(crate) mod later {
    use uuid::Uuid;

    shared_events::messages! {
        /// What may be asked of toys one day.
        command ToyCommand of "toys" by toy_id {
            /// Takes a toy apart.
            DismantleToy {
                /// The toy.
                toy_id: Uuid,
            }
        }
    }
}

/// A toy: how many parts it has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Toy {
    parts: i64,
}

/// Toys are never refused.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("there are so many parts already")]
    TooManyParts { parts: i64 },
}

impl functions::Rejection for Rejection {
    fn code(&self) -> &'static str {
        "TOO_MANY_PARTS"
    }
}

fn name(value: &str) -> Unique {
    Unique { kind: "name", value: value.to_owned() }
}

impl Decider for Toy {
    type Command = ToyCommand;
    type Event = ToyEvent;
    type Rejection = Rejection;
    const REVISION: u32 = 1;

    fn asks(ToyCommand::BuildToy(it): &ToyCommand) -> Vec<Unique> {
        assert!(it.part != "panic in asks", "told to panic in asks");
        Vec::new()
    }

    fn decide(
        &self,
        ToyCommand::BuildToy(it): &ToyCommand,
        _: &Known,
    ) -> Result<Vec<ToyEvent>, Rejection> {
        let built = |toy_id, part: &str| ToyEvent::from(ToyBuilt { toy_id, part: part.to_owned() });
        match it.part.as_str() {
            "panic" => panic!("told to panic"),
            "count" => Err(Rejection::TooManyParts { parts: self.parts }),
            "another stream" => Ok(vec![built(Uuid::from_u128(it.toy_id.as_u128() + 1), "part")]),
            "many" => Ok(vec![built(it.toy_id, "part"); 100]),
            "big" => Ok(vec![built(it.toy_id, &"x".repeat(200_000))]),
            part => Ok(vec![built(it.toy_id, part)]),
        }
    }

    fn evolve(&mut self, ToyEvent::ToyBuilt(it): &ToyEvent) {
        assert!(it.part != "cursed", "told to panic in evolve");
        self.parts += 1;
    }

    fn claims(ToyEvent::ToyBuilt(it): &ToyEvent) -> Vec<Claim> {
        if it.part == "no question" { vec![Claim::Take(name("x"))] } else { Vec::new() }
    }
}

functions::row! {
    /// A toy.
    pub struct ToyRow in "toy" {
        /// The toy.
        pub id: Uuid,
        /// Its parts, in order.
        pub parts: String,
        /// How many events made it.
        pub version: i64,
    }
    revision 1;
    follows ToyEvent;
}

impl Project<ToyEvent> for ToyRow {
    fn key(event: &ToyEvent, _: &Happened) -> Option<Uuid> {
        let ToyEvent::ToyBuilt(it) = event;
        assert!(it.part != "ghost", "told to panic in key");
        Some(event.stream())
    }

    fn project(
        row: Option<Self>,
        ToyEvent::ToyBuilt(it): &ToyEvent,
        happened: &Happened,
    ) -> Option<Self> {
        assert!(it.part != "bomb" || DEFUSED.get(), "told to panic in project");
        let part = if it.part == "nothing" { "\0" } else { &it.part };
        let before = row.map(|it| it.parts).unwrap_or_default();
        let parts = format!("{before}{part} ");
        Some(Self { id: it.toy_id, parts, version: happened.version })
    }
}

/// The context of toys.
pub(crate) struct Toys;

impl Context for Toys {
    const NAME: &'static str = "toys";

    fn parts(list: &mut impl Parts) {
        list.decider::<Toy>().view::<ToyRow>();
    }
}

pub(crate) fn build(n: u128, part: &str) -> ToyCommand {
    BuildToy { toy_id: Uuid::from_u128(n), part: part.to_owned() }.into()
}
