//! A specification says what is right, and fails on what is wrong in words that help.
use crate::parcels::{
    A, B, DECIDES_BY_MOOD, DELIVERS_TWICE, EVOLVE_PANICS, LOWER_CASE_CODE, NONE, Number, OnItsWay,
    Parcel, ParcelCommand, RELEASES_OTHERS, REPLAY_DIFFERS, Refused, SNAPSHOT_FORGETS,
    TAKES_ANYWAY, TAKES_UNASKED, WRITES_ELSEWHERE, deliver, delivered, send, sent,
};
use chrono::{DateTime, TimeDelta, Utc};
use functions::{
    Happened,
    spec::{
        NOW, given, history_of, order_between_streams_is_free, projected, repeats_change_nothing,
    },
};
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use uuid::Uuid;

/// What a specification says when it fails.
fn failure<T>(specification: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(specification)) {
        Ok(_) => panic!("the specification did not fail"),
        Err(why) => *why.downcast::<String>().expect("a message"),
    }
}

#[track_caller]
fn assert_says(failure: &str, what: &str) {
    assert!(failure.contains(what), "does not say {what:?}:\n{failure}");
}

#[test]
fn steps_build_upon_each_other_and_upon_other_streams() {
    given::<Parcel<NONE>>([sent(A, "7")])
        .when(send(B, "7"))
        .then_rejected(Refused::NumberTaken)
        .when(deliver(A))
        .then([delivered(A, "7")])
        .when(deliver(A))
        .then_nothing()
        .when(send(B, "7"))
        .then([sent(B, "7")])
        .and([sent(Uuid::from_u128(3), "8")])
        .when(send(Uuid::from_u128(4), "8"))
        .then_rejected(Refused::NumberTaken);
}

#[test]
fn versions_and_times_are_those_of_each_stream() {
    let later = NOW + TimeDelta::days(1);
    let given = given::<Parcel<NONE>>([sent(A, "7")])
        .at(later)
        .when(send(B, "8"))
        .then([sent(B, "8")])
        .when(deliver(A))
        .then([delivered(A, "7")])
        // Time does not go back within a stream.
        .at(NOW)
        .when(deliver(B))
        .then([delivered(B, "8")]);
    let circumstances: Vec<_> = given.history().iter().map(|(it, _)| (it.at, it.version)).collect();
    assert_eq!(circumstances, [(NOW, 1), (later, 1), (later, 2), (later, 2)]);
    assert_says(&format!("{:?}", given.state(A)), "delivered: true");
}

#[test]
fn another_decision_is_shown_line_by_line() {
    let said = failure(|| given::<Parcel<NONE>>([]).when(send(A, "7")).then([sent(A, "8")]));
    assert_says(&said, "-             number: \"8\",\n+             number: \"7\",\n");
    assert_says(&said, "when\nSendParcel(");
    let said = failure(|| given::<Parcel<NONE>>([]).when(deliver(A)).then_nothing());
    assert_says(
        &said,
        "- nothing happens\n+ rejected, \"there is no such parcel\": ParcelNotFound\n",
    );
    failure(|| given::<Parcel<NONE>>([]).when(send(A, "7")).then_rejected(Refused::ParcelExists));
}

#[test]
fn a_decision_that_could_not_be_written_down_fails_whatever_is_expected() {
    let said = failure(|| given::<Parcel<TAKES_UNASKED>>([]).when(send(A, "7")));
    assert_says(&said, "takes Unique { kind: \"number\", value: \"7\" } without asking");

    let said = failure(|| given::<Parcel<TAKES_ANYWAY>>([sent(A, "7")]).when(send(B, "7")));
    assert_says(&said, &format!("from stream {A}, which holds it"));

    let said = failure(|| given::<Parcel<WRITES_ELSEWHERE>>([]).when(send(B, "7")));
    assert_says(&said, &format!("of stream {A} upon a command for stream {B}"));

    let history = [sent(A, "7"), sent(B, "other")];
    let said = failure(|| given::<Parcel<RELEASES_OTHERS>>(history).when(deliver(A)));
    assert_says(
        &said,
        &format!(
            "gives back Unique {{ kind: \"number\", value: \"other\" }}, which stream {B} holds"
        ),
    );

    let said = failure(|| given::<Parcel<RELEASES_OTHERS>>([sent(A, "7")]).when(deliver(A)));
    assert_says(&said, "which nobody holds");

    let said = failure(|| given::<Parcel<NONE>>([]).when(send(A, &"7".repeat(513))));
    assert_says(&said, "of 513 bytes, but at most 512 can be held");

    let said = failure(|| given::<Parcel<DECIDES_BY_MOOD>>([]).when(send(A, "7")));
    assert_says(&said, "it depends on more than its arguments");

    let said = failure(|| given::<Parcel<LOWER_CASE_CODE>>([]).when(send(A, "7")));
    assert_says(&said, "\"badly named\"; write it in upper case with underscores");
}

#[test]
fn a_history_that_cannot_be_is_refused() {
    let said = failure(|| given::<Parcel<NONE>>([sent(A, "7"), sent(B, "7")]));
    assert_says(&said, "impossible history: ParcelSent(");
}

#[test]
fn rows_follow_events() {
    let row = |id, number: &str, version| OnItsWay { id, number: number.to_owned(), version };
    projected::<OnItsWay, _>([sent(A, "7"), sent(B, "8")])
        .then([row(A, "7", 1), row(B, "8", 1)])
        .and([delivered(A, "7")])
        .then([row(B, "8", 1)]);
    assert_eq!(
        projected::<OnItsWay, _>([sent(A, "7"), sent(A, "8")]).row(&A),
        Some(&row(A, "8", 2))
    );
    let said = failure(|| projected::<OnItsWay, _>([sent(A, "7")]).then([row(A, "8", 1)]));
    assert_says(&said, "-         number: \"8\",\n+         number: \"7\",\n");
}

#[test]
fn repeated_commands_and_snapshots_are_checked() {
    let commands = || [send(A, "7"), deliver(A)];
    history_of::<Parcel<NONE>>(commands());
    repeats_change_nothing::<Parcel<NONE>>(commands(), |_| true);

    let said = failure(|| history_of::<Parcel<EVOLVE_PANICS>>(commands()));
    assert_says(&said, "evolve must take whatever was decided, and panicked on ParcelDelivered(");
    let said = failure(|| history_of::<Parcel<SNAPSHOT_FORGETS>>(commands()));
    assert_says(&said, "a snapshot gives another state");
    assert_says(&said, "-     forgotten: 1,\n+     forgotten: 0,\n");
    let said = failure(|| history_of::<Parcel<REPLAY_DIFFERS>>(commands()));
    assert_says(&said, "gives another state");

    let said = failure(|| repeats_change_nothing::<Parcel<DELIVERS_TWICE>>(commands(), |_| true));
    assert_says(&said, "comes again and makes this happen");
    // Nothing is checked that was not promised.
    repeats_change_nothing::<Parcel<DELIVERS_TWICE>>(commands(), |it| {
        !matches!(it, ParcelCommand::DeliverParcel(_))
    });
}

mod wrong_views {
    //! Views that are wrong in one way each.
    use crate::parcels::ParcelEvent;
    use chrono::{DateTime, Utc};
    use functions::{Column, ColumnKind, Follows, Happened, Message, Project, View};
    use serde::{Deserialize, Serialize};
    use uuid::Uuid;

    functions::row! {
        /// The last number sent: depends on the order between streams.
        pub(crate) struct LastNumber in "last_number" {
            /// Always the same.
            pub(crate) key: String,
            /// The last number.
            pub(crate) number: String,
        }
        revision 1;
        spans streams;
        follows ParcelEvent;
    }

    impl Project<ParcelEvent> for LastNumber {
        fn key(_: &ParcelEvent, _: &Happened) -> Option<String> {
            Some("last".to_owned())
        }

        fn project(row: Option<Self>, event: &ParcelEvent, _: &Happened) -> Option<Self> {
            match event {
                ParcelEvent::ParcelSent(it) => {
                    Some(Self { key: "last".to_owned(), number: it.number.clone() })
                }
                ParcelEvent::ParcelDelivered(_) => row,
            }
        }
    }

    functions::row! {
        /// Made of all streams, and does not say so.
        pub(crate) struct Secretive in "secretive" {
            /// Always the same.
            pub(crate) key: String,
        }
        revision 1;
        follows ParcelEvent;
    }

    impl Project<ParcelEvent> for Secretive {
        fn key(event: &ParcelEvent, _: &Happened) -> Option<String> {
            // One number asks for a row of another name.
            let ParcelEvent::ParcelSent(it) = event else { return None };
            Some(if it.number == "rename" { "renamed" } else { "all" }.to_owned())
        }

        fn project(_: Option<Self>, _: &ParcelEvent, _: &Happened) -> Option<Self> {
            Some(Self { key: "all".to_owned() })
        }
    }

    /// Written by hand, with a column that its table cannot hold.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct ByHand {
        id: Uuid,
        at: DateTime<Utc>,
        extra: Option<i64>,
    }

    impl View for ByHand {
        type Key = Uuid;
        const TABLE: &'static str = "by_hand";
        const KEY: &'static str = "id";
        const REVISION: u32 = 1;

        fn columns() -> Vec<Column> {
            vec![
                Column::of::<Uuid>("id"),
                Column { name: "at", kind: ColumnKind::Integer, nullable: false, texts: None },
            ]
        }

        fn follows(list: &mut impl Follows<Self>) {
            list.events::<ParcelEvent>();
        }
    }

    impl Project<ParcelEvent> for ByHand {
        fn key(event: &ParcelEvent, _: &Happened) -> Option<Uuid> {
            Some(event.stream())
        }

        fn project(_: Option<Self>, event: &ParcelEvent, happened: &Happened) -> Option<Self> {
            Some(Self { id: event.stream(), at: happened.at, extra: None })
        }
    }
}

#[test]
fn a_row_that_its_table_could_not_hold_fails_whatever_is_expected() {
    use wrong_views::{ByHand, Secretive};

    let said = failure(|| projected::<ByHand, _>([sent(A, "7")]));
    assert_says(&said, "cannot hold \"2026-01-01T12:00:00Z\"");

    let said = failure(|| projected::<Secretive, _>([sent(A, "7"), sent(B, "8")]));
    assert_says(&said, &format!("made of stream {A} and of stream {B}: say `spans streams`"));

    let said = failure(|| projected::<Secretive, _>([sent(A, "rename")]));
    assert_says(
        &said,
        "is about row renamed of view \"secretive\", but the row after it says \"all\"",
    );

    let said = failure(|| projected::<OnItsWay, _>([sent(A, "\0")]));
    assert_says(&said, "cannot hold");
}

#[test]
fn a_view_that_depends_on_the_order_between_streams_is_found() {
    let happened = |at: DateTime<Utc>| Happened { at, version: 1 };
    let history = vec![(happened(NOW), sent(A, "7")), (happened(NOW), sent(B, "8"))];
    let said = failure(|| order_between_streams_is_free::<wrong_views::LastNumber, _>(&history, 0));
    assert_says(&said, "the rows of view \"last_number\" depend on the order between streams");
}

fn commands() -> impl Strategy<Value = Vec<ParcelCommand>> {
    let id = (1..5_u128).prop_map(Uuid::from_u128);
    let command = prop_oneof![
        (id.clone(), "[1-4]").prop_map(|(id, number)| send(id, &number)),
        id.prop_map(deliver),
    ];
    proptest::collection::vec(command, 0..40)
}

proptest! {
    #[test]
    fn what_is_right_stands_any_commands(commands in commands(), seed: u64) {
        let history = history_of::<Parcel<NONE>>(commands.clone());
        repeats_change_nothing::<Parcel<NONE>>(commands, |_| true);
        order_between_streams_is_free::<Number, _>(&history, seed);
        order_between_streams_is_free::<OnItsWay, _>(&history, seed);
    }
}
