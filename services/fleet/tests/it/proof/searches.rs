//! The search for an order that explains what clients were told.
use super::{
    sound::{id, invite, verify},
    world::{Window, World},
};
use customers::Customer;
use fleet::proof::{Asked, COMMANDS_MAX, Call, History, Search, Told, promise, search};
use functions::{Decider as _, Known, Message as _, Rejection as _, Unique};
use proptest::prelude::*;
use shared_events::customers::{CustomerCommand, InviteCustomer};
use shell::position::Position;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

const AT_ONCE: Window = Window(1000, 1000);

#[track_caller]
fn is_unexplained(world: &World) {
    match search(&world.history) {
        Search::Unexplained(it) => assert_eq!(it.promise, promise::LINEARIZABLE),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_explained(world: &World) {
    assert_eq!(search(&world.history), Search::Explained);
}

#[test]
fn two_who_are_both_given_one_address() {
    let mut world = World::new();
    world.send_in(AT_ONCE, 0, invite(1, "ada@x.org"));
    world.forget_holders();
    world.send_in(AT_ONCE, 1, invite(2, "ada@x.org"));
    is_unexplained(&world);
    world.give_up(0);
    is_explained(&world);
}

#[test]
fn what_is_not_found_after_it_was_there() {
    let mut world = World::new();
    world.send_in(AT_ONCE, 0, verify(1));
    world.send_in(AT_ONCE, 1, invite(1, "ada@x.org"));
    is_explained(&world);
    world.history.calls[0].begun = world.history.calls[1].ended.unwrap() + Duration::from_secs(1);
    is_unexplained(&world);
}

#[test]
fn what_was_given_up_may_explain_others() {
    let mut world = World::new();
    let first = world.send(0, invite(1, "ada@x.org"));
    world.send(1, invite(2, "ada@x.org"));
    world.give_up(first);
    is_explained(&world);
    world.history.calls.remove(first);
    is_unexplained(&world);
}

#[test]
fn another_version_or_holder() {
    let mut world = World::new();
    let invited = world.send(0, invite(1, "ada@x.org"));
    let refused = world.send(0, invite(2, "ada@x.org"));
    world.told_mut(invited).version = None;
    is_explained(&world);
    world.told_mut(invited).version = Some(2);
    is_unexplained(&world);
    world.told_mut(invited).version = Some(1);
    world.told_mut(refused).holder = Some(id(3));
    is_unexplained(&world);
}

#[test]
fn a_dozen_at_once_that_nothing_explains() {
    let mut world = World::new();
    for n in 0..12 {
        world.send_in(AT_ONCE, 0, invite(n, &format!("{n}@x.org")));
    }
    is_explained(&world);
    world.told_mut(7).version = Some(2);
    is_unexplained(&world);
}

#[test]
fn too_many() {
    let mut world = World::new();
    for n in 0..=COMMANDS_MAX as u128 {
        world.send(0, invite(n, &format!("{n}@x.org")));
    }
    assert_eq!(search(&world.history), Search::TooLarge);
}

/// Tries all orders with the decider itself: neither the search nor the model of the oracle.
fn some_order_explains(calls: &[Call], state: &BTreeMap<Uuid, (Customer, i64)>) -> bool {
    if calls.iter().all(|it| it.ended.is_none()) {
        return true;
    }
    (0..calls.len()).any(|index| {
        let mut left = calls.to_vec();
        let call = left.remove(index);
        let in_time = left.iter().all(|it| it.ended.is_none_or(|ended| ended >= call.begun));
        let mut state = state.clone();
        in_time && answers_as_told(&call, &mut state) && some_order_explains(&left, &state)
    })
}

fn answers_as_told(call: &Call, state: &mut BTreeMap<Uuid, (Customer, i64)>) -> bool {
    let Asked::Command { command, told, .. } = &call.asked else { panic!("a read") };
    let holders: BTreeMap<Unique, Uuid> = state.iter().filter_map(held).collect();
    let (customer, version) = state.entry(command.stream()).or_default();
    let known = Known { at: chrono::DateTime::UNIX_EPOCH, holders };
    let (code, holder) = match customer.decide(command, &known) {
        Ok(events) => {
            for event in &events {
                customer.evolve(event);
                *version += 1;
            }
            (None, None)
        }
        Err(customers::Rejection::AlreadyInvited { customer_id }) => {
            (Some("ALREADY_INVITED"), Some(customer_id))
        }
        Err(rejection) => (Some(rejection.code()), None),
    };
    told.as_ref().is_none_or(|it| {
        (it.code.as_deref(), it.holder, it.version) == (code, holder, Some(*version))
    })
}

fn held((id, (customer, _)): (&Uuid, &(Customer, i64))) -> Option<(Unique, Uuid)> {
    match customer {
        Customer::Invited { email } | Customer::Verified { email } => {
            Some((customers::email::unique(email), *id))
        }
        Customer::Unknown | Customer::Removed => None,
    }
}

/// Answers that may be right or wrong.
fn calls() -> impl Strategy<Value = Vec<Call>> {
    let command = (1..3u128, 0..2, any::<bool>()).prop_map(|(n, email, is_invitation)| {
        if is_invitation {
            CustomerCommand::from(InviteCustomer {
                customer_id: id(n),
                email: format!("{email}@x.org"),
            })
        } else {
            verify(n).into()
        }
    });
    let told = prop_oneof![
        4 => (0..3i64).prop_map(|version| (None, None, version)),
        1 => (0..2i64).prop_map(|version| (Some("CUSTOMER_NOT_FOUND"), None, version)),
        1 => (1..3i64).prop_map(|version| (Some("CUSTOMER_EXISTS"), None, version)),
        1 => (1..3u128).prop_map(|n| (Some("ALREADY_INVITED"), Some(id(n)), 0)),
    ];
    let told = proptest::option::weighted(0.9, told);
    let call = (command, told, 0..8u64, 1..8u64).prop_map(|(command, told, begun, length)| Call {
        client: 0,
        begun: Duration::from_secs(begun),
        ended: told.map(|_| Duration::from_secs(begun + length)),
        asked: Asked::Command {
            command_id: Uuid::nil(),
            command,
            told: told.map(|(code, holder, version)| Told {
                code: code.map(str::to_owned),
                holder,
                version: Some(version),
                position: Position::new(),
            }),
        },
    });
    proptest::collection::vec(call, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn it_finds_what_trying_everything_finds(calls in calls()) {
        let is_so = some_order_explains(&calls, &BTreeMap::new());
        let found = search(&History { calls }) == Search::Explained;
        prop_assert_eq!(found, is_so);
    }
}
