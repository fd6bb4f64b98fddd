//! What holds whatever is asked of customers.
use crate::messages::{change_email, invite, remove, verify};
use customers::{Customer, email, views};
use functions::{
    Message,
    spec::{history_of, order_between_streams_is_free, projected, repeats_change_nothing},
};
use proptest::prelude::*;
use shared_events::customers::{CustomerCommand, CustomerEvent};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Few customers and few addresses, so that they meet; some are the same, some are none.
fn commands() -> impl Strategy<Value = Vec<CustomerCommand>> {
    let id = || (1..5_u128).prop_map(Uuid::from_u128);
    let email = || {
        prop_oneof![
            8 => "[ABab] ?@[Xx]",
            4 => "[ \u{f6}\u{d6}\u{130}]{1,2}(\u{308})?@x",
            1 => any::<String>(),
            1 => Just(String::new()),
        ]
    };
    let command = prop_oneof![
        4 => (id(), email()).prop_map(|(id, email)| invite(id, &email)),
        2 => id().prop_map(verify),
        3 => (id(), email()).prop_map(|(id, email)| change_email(id, &email)),
        1 => id().prop_map(remove),
    ];
    proptest::collection::vec(command, 0..60)
}

proptest! {
    #[test]
    fn replay_and_snapshots_give_the_state(commands in commands()) {
        history_of::<Customer>(commands);
    }

    #[test]
    fn a_command_that_comes_again_changes_nothing(commands in commands()) {
        repeats_change_nothing::<Customer>(commands, |_| true);
    }

    #[test]
    fn views_do_not_depend_on_the_order_between_customers(commands in commands(), seed: u64) {
        let history = history_of::<Customer>(commands);
        order_between_streams_is_free::<views::InvitationsPerDay, _>(&history, seed);
        order_between_streams_is_free::<views::Customer, _>(&history, seed);
    }

    #[test]
    fn no_two_customers_ever_share_an_address(commands in commands()) {
        let mut addresses = BTreeMap::<Uuid, String>::new();
        for (_, event) in history_of::<Customer>(commands) {
            let stream = event.stream();
            match &event {
                CustomerEvent::CustomerInvited(it) => {
                    addresses.insert(stream, email::normal_form(&it.email));
                }
                CustomerEvent::CustomerEmailChanged(it) => {
                    addresses.insert(stream, email::normal_form(&it.email));
                }
                CustomerEvent::CustomerRemoved(_) => drop(addresses.remove(&stream)),
                CustomerEvent::CustomerVerified(_) => {}
            }
            let mut all: Vec<_> = addresses.values().collect();
            all.sort();
            let held = all.len();
            all.dedup();
            prop_assert_eq!(all.len(), held, "shared after {:?}", event);
        }
    }

    #[test]
    fn the_view_says_what_the_state_says(commands in commands()) {
        let history = history_of::<Customer>(commands);
        let mut states = BTreeMap::<Uuid, Customer>::new();
        for (_, event) in &history {
            functions::Decider::evolve(states.entry(event.stream()).or_default(), event);
        }
        let rows = projected::<views::Customer, CustomerEvent>(history.into_iter().map(|it| it.1));
        prop_assert_eq!(rows.rows().len(), states.len());
        for (id, state) in states {
            let row = rows.row(&id).expect("a row for each customer");
            let (status, email) = match state {
                Customer::Unknown => panic!("nobody without an invitation"),
                Customer::Invited { email } => (views::CustomerStatus::Invited, Some(email)),
                Customer::Verified { email } => (views::CustomerStatus::Verified, Some(email)),
                Customer::Removed => (views::CustomerStatus::Removed, None),
            };
            prop_assert_eq!(row.status, status);
            prop_assert!(email.is_none_or(|it| it == row.email));
        }
    }
}
