//! Whatever clients do in a world where everything is as promised, there is no anomaly.
use super::{
    breaks,
    world::{Window, World},
};
use fleet::proof::{Search, search};
use proptest::prelude::*;
use shared_events::customers::{
    ChangeCustomerEmail, CustomerCommand, InviteCustomer, RemoveCustomer, VerifyCustomer,
};
use shell::position::Position;
use uuid::Uuid;

pub(crate) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

pub(crate) fn invite(n: u128, email: &str) -> InviteCustomer {
    InviteCustomer { customer_id: id(n), email: email.to_owned() }
}

pub(crate) fn verify(n: u128) -> VerifyCustomer {
    VerifyCustomer { customer_id: id(n) }
}

pub(crate) fn change(n: u128, email: &str) -> ChangeCustomerEmail {
    ChangeCustomerEmail { customer_id: id(n), email: email.to_owned() }
}

pub(crate) fn remove(n: u128) -> RemoveCustomer {
    RemoveCustomer { customer_id: id(n) }
}

/// The calls that [`story`] begins with.
pub(crate) const INVITED: usize = 0;
pub(crate) const VERIFIED: usize = 1;
pub(crate) const ALREADY_INVITED: usize = 2;

/// A bit of everything; partitions have several events each, and the last call is a read of all customers.
pub(crate) fn story() -> World {
    let mut world = World::new();
    world.send(0, invite(1, "ada@x.org"));
    world.send(0, verify(1));
    world.send(1, invite(2, " Ada@X.org "));
    world.send(1, invite(2, "bob@x.org"));
    world.send(1, change(2, "ada@x.org"));
    world.send(1, change(2, "Bob2@x.org"));
    world.send(2, invite(3, "bob@x.org"));
    world.send(2, invite(4, "no address"));
    world.send(2, verify(4));
    world.send(2, remove(3));
    world.send(2, remove(3));
    world.send(0, invite(5, "bob@x.org"));
    world.send(0, verify(1));
    world.send(0, invite(1, "eve@x.org"));
    world.send(3, invite(6, "fay@x.org"));
    world.send(3, invite(7, "guy@x.org"));
    world.publish_again(0, 1);
    let ids: Vec<Uuid> = (1..9).map(id).collect();
    let mut seen = Position::new();
    for call in 0..world.history.calls.len() {
        seen.merge(&world.told(call).position);
    }
    world.read(0, &ids, seen, 0);
    world
}

#[test]
fn a_story_is_sound() {
    let mut world = story();
    breaks(&world, &[]);
    assert_eq!(search(&world.history), Search::Explained);
    world.stored.commit_order.clear();
    breaks(&world, &[]);
}

#[derive(Clone, Debug)]
enum Step {
    Send { command: CustomerCommand, window: Window, is_given_up: bool },
    Lose(CustomerCommand),
    Read { ids: Vec<u128>, has_seen: usize, newer: usize },
    PublishAgain { part: i32, from: usize },
}

fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let email = prop_oneof![
        8 => (0..4, any::<bool>()).prop_map(|(n, upper)| {
            let it = format!("p{n}@x.org");
            if upper { it.to_uppercase() } else { it }
        }),
        1 => Just(String::new()),
        1 => Just("x".to_owned()),
    ];
    let customer = 1..5u128;
    let command = (customer, email, 0..8).prop_map(|(n, email, kind)| match kind {
        0..3 => CustomerCommand::from(invite(n, &email)),
        3 | 4 => verify(n).into(),
        5 | 6 => change(n, &email).into(),
        _ => remove(n).into(),
    });
    let send = (command.clone(), 0..60u64, 0..60u64, 0..10).prop_map(|(command, a, b, luck)| {
        Step::Send { command, window: Window(a, b), is_given_up: luck == 0 }
    });
    let read = (proptest::collection::vec(1..6u128, 0..4), 0..20usize, 0..6usize)
        .prop_map(|(ids, has_seen, newer)| Step::Read { ids, has_seen, newer });
    let again = (0..3, 0..9usize).prop_map(|(part, from)| Step::PublishAgain { part, from });
    let step = prop_oneof![20 => send, 1 => command.prop_map(Step::Lose), 6 => read, 2 => again];
    proptest::collection::vec(step, 0..count)
}

/// Each request by a client of its own, but for reads, which follow on a command.
fn play(steps: Vec<Step>) -> World {
    let mut world = World::new();
    let mut sent = Vec::new();
    for (client, step) in steps.into_iter().enumerate() {
        match step {
            Step::Send { command, window, is_given_up } => {
                let call = world.send_in(window, client, command);
                if is_given_up {
                    world.give_up(call);
                } else {
                    sent.push((client, call));
                }
            }
            Step::Lose(command) => world.lose(client, command),
            Step::Read { ids, has_seen, newer } => {
                let after = sent.get(has_seen).copied();
                let seen =
                    after.map_or_else(Position::new, |(_, it)| world.told(it).position.clone());
                let client = after.map_or(client, |it| it.0);
                let ids: Vec<Uuid> = ids.into_iter().map(id).collect();
                world.read(client, &ids, seen, newer);
            }
            Step::PublishAgain { part, from } => world.publish_again(part, from),
        }
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_clients_do_is_sound(steps in steps(60)) {
        let mut world = play(steps);
        breaks(&world, &[]);
        world.stored.commit_order.clear();
        breaks(&world, &[]);
    }

    #[test]
    fn some_order_explains_it(steps in steps(16)) {
        let world = play(steps);
        prop_assert_eq!(search(&world.history), Search::Explained);
    }
}
