//! Logs that begin anew while the ledger stays: commands are decided, events published again (protocol.md W5, W8).
use crate::{
    fleet::{
        COMMANDS, EVENTS, REPLIES, accepted, all_accepted, code, customer, id, invite, load, pass,
        rows, run, send, send_as, until,
    },
    sound::{check_ledger, published, sound},
};
use customers::{Customers, views::Customer};
use shared_events::customers::VerifyCustomer;
use shell::{position::Position, reads::Query};
use std::time::Duration;

#[test]
fn a_command_topic_that_was_recreated_is_decided_from_its_first_record() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        all_accepted(&load(&client, 1, 40).await);
        let command_id = client.new_id();
        let before = send_as(&client, command_id, invite(99, "last@x.org")).await;
        fleet.log.recreate(COMMANDS);
        fleet.log.recreate(REPLIES);
        // Below the offsets that the ledger has.
        all_accepted(&load(&client, 200, 10).await);
        assert_eq!(send_as(&client, command_id, invite(99, "last@x.org")).await, before);
        accepted(&client, VerifyCustomer { customer_id: id(99) }).await;
        sound(&fleet).await;
    });
}

#[test]
fn a_command_topic_that_was_recreated_while_nobody_ran_is_decided_from_its_first_record() {
    run(async |fleet| {
        let handler = fleet.handler::<Customers>();
        let _aggregator = fleet.aggregator::<Customers>();
        let client = fleet.client::<Customers>();
        all_accepted(&load(&client, 1, 40).await);
        handler.stop().await;
        fleet.log.recreate(COMMANDS);
        fleet.log.recreate(REPLIES);
        let (answers, _handler) = futures::join!(load(&client, 200, 60), async {
            pass(Duration::from_millis(100)).await;
            fleet.handler::<Customers>()
        });
        all_accepted(&answers);
        sound(&fleet).await;
    });
}

#[test]
fn an_event_topic_that_was_recreated_gets_all_events_again() {
    for restart in [false, true] {
        run(async |fleet| {
            let mut handler = fleet.handler::<Customers>();
            let _aggregator = fleet.aggregator::<Customers>();
            let client = fleet.client::<Customers>();
            all_accepted(&load(&client, 1, 40).await);
            let mut seen = Position::new();
            seen.merge(&accepted(&client, invite(77, "seen@x.org")).await.position);
            fleet.log.recreate(EVENTS);
            if restart {
                handler.stop().await;
                handler = fleet.handler::<Customers>();
            }
            until("the log has them all again", || published(&fleet).len() == 41).await;
            let answer = accepted(&client, VerifyCustomer { customer_id: id(77) }).await;
            seen.merge(&answer.position);
            let row = customer(&client, 77, &seen).await.unwrap();
            assert_eq!(row.version, 2);
            sound(&fleet).await;
            // A view that begins now has all of it too.
            assert_eq!(rows::<Customer>(&client, all(), &seen).await.rows.len(), 41);
            drop(handler);
        });
    }
}

#[test]
fn a_crash_while_lost_events_are_published_again_leaves_none_out() {
    run(async |fleet| {
        let handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        all_accepted(&load(&client, 1, 30).await);
        handler.stop().await;
        fleet.log.recreate(EVENTS);
        fleet.log.set_swallowed(EVENTS, true);
        // It notices, and is killed before any of them is delivered, with one more command decided.
        let handler = fleet.handler::<Customers>();
        for n in 50..60 {
            accepted(&client, invite(n, &format!("{n}@x.org"))).await;
        }
        handler.kill().await;
        fleet.log.set_swallowed(EVENTS, false);
        // The topic is as long as it was, of other people's records.
        for _ in 0..40 {
            for part in 0..3 {
                fleet.log.append(shell::port::log::Outgoing {
                    topic: EVENTS.into(),
                    part,
                    key: Vec::new(),
                    headers: Vec::new(),
                    payload: Vec::new(),
                });
            }
        }
        let _handler = fleet.handler::<Customers>();
        until("the log has them all again", || published(&fleet).len() == 40).await;
        check_ledger(&fleet);
    });
}

#[test]
fn a_whole_log_that_was_recreated_goes_on_where_the_ledger_is() {
    for seed in 1..10 {
        run(async |fleet| {
            fleet.store.set_slow(seed);
            let (first, second) = (fleet.handler::<Customers>(), fleet.handler::<Customers>());
            let _aggregator = fleet.aggregator::<Customers>();
            let client = fleet.client::<Customers>();
            all_accepted(&load(&client, 1, 40).await);
            let answer = accepted(&client, invite(77, "seen@x.org")).await;
            for topic in [COMMANDS, EVENTS, REPLIES] {
                fleet.log.recreate(topic);
            }
            first.kill().await;
            let taken = send(&client, invite(78, "SEEN@x.org")).await.unwrap();
            assert_eq!(code(&taken), "ALREADY_INVITED");
            let answers = load(&client, 200, 40).await;
            all_accepted(&answers);
            assert!(customer(&client, 77, &answer.position).await.is_some());
            sound(&fleet).await;
            drop(second);
        });
    }
}

fn all() -> Query {
    Query::default()
}
