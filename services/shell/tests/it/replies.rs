//! Answers come whether or not replies do (protocol.md R1), and waiting costs nothing when it is over.
use crate::fleet::{
    COMMANDS, REPLIES, WAIT, accepted, code, envelope, envelope_of, id, invite, run, run_with,
    send, send_as,
};
use customers::Customers;
use shared_events::{
    customers::{CustomerCommand, VerifyCustomer},
    fleet::Verdict,
};
use shell::{
    client::{CommandError, CommandStatus, Envelope},
    clock::Clock,
    memory::FleetOptions,
};
use std::time::Duration;

#[test]
fn a_reply_that_is_lost_is_looked_up_soon() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        fleet.log.set_swallowed(REPLIES, true);
        let clock = Clock::system();
        let answer = accepted(&client, invite(1, "ada@example.com")).await;
        assert_eq!(answer.version, 1);
        let took = clock.elapsed();
        assert!(took < Duration::from_millis(800), "after {took:?}, and not after about 300 ms");
        let answer = send(&client, VerifyCustomer { customer_id: id(7) }).await.unwrap();
        assert_eq!(code(&answer), "CUSTOMER_NOT_FOUND");
    });
}

#[test]
fn a_lost_reply_to_a_reused_id_says_so() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        let command_id = client.new_id();
        send_as(&client, command_id, invite(1, "ada@example.com")).await;
        fleet.log.set_swallowed(REPLIES, true);
        let answer = send_as(&client, command_id, invite(1, "eve@example.com")).await;
        assert_eq!(code(&answer), "COMMAND_ID_REUSED");
    });
}

#[test]
fn without_a_handler_a_command_is_pending_and_decided_later() {
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        let command_id = client.new_id();
        let command = invite(1, "ada@example.com").into();
        let sent = client.command::<CustomerCommand>(&command, envelope_of(command_id));
        let asked = async {
            Clock::system().sleep(WAIT / 2).await;
            client.status("customers", command_id).await.unwrap()
        };
        let (answer, status) = futures::join!(sent, asked);
        assert_eq!(status, CommandStatus::Pending);
        assert_eq!(answer, Err(CommandError::Pending { command_id }));
        // Only the process that was asked can say so.
        assert_eq!(client.status("customers", command_id).await, Ok(CommandStatus::Pending));
        let other = fleet.client::<Customers>();
        assert_eq!(other.status("customers", command_id).await, Ok(CommandStatus::Unknown));
        let _handler = fleet.handler::<Customers>();
        let answer = send_as(&client, command_id, invite(1, "ada@example.com")).await;
        assert_eq!((answer.verdict, answer.version), (Verdict::Accepted, 1));
        let status = client.status("customers", command_id).await.unwrap();
        assert_eq!(status, CommandStatus::Decided(answer));
    });
}

#[test]
fn a_reply_reaches_the_process_that_asked_and_no_other() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let clients: Vec<_> = (0..4).map(|_| fleet.client::<Customers>()).collect();
        // The store would answer too, but later.
        let clock = Clock::system();
        for (n, client) in (1..).zip(&clients) {
            accepted(client, invite(n, &format!("{n}@example.com"))).await;
        }
        assert!(clock.elapsed() < Duration::from_millis(100), "{:?}", clock.elapsed());
    });
}

#[test]
fn rubbish_among_the_replies_is_passed_over() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        let reply = fleet.log.records(REPLIES, 0)[0].clone();
        for n in 0..40 {
            let mut payload = reply.payload.clone().unwrap();
            payload.truncate(n);
            let (topic, headers) = (reply.topic.clone(), reply.headers.clone());
            let key = Vec::new();
            fleet.log.append(shell::port::log::Outgoing { topic, part: 0, key, headers, payload });
        }
        let clock = Clock::system();
        accepted(&client, invite(2, "eve@example.com")).await;
        assert!(clock.elapsed() < Duration::from_millis(100), "{:?}", clock.elapsed());
    });
}

#[test]
fn too_many_in_flight_are_refused_at_once_and_not_for_ever() {
    let few = FleetOptions { in_flight_max: 3, ..FleetOptions::default() };
    run_with(few, async |fleet| {
        let client = fleet.client::<Customers>();
        let wait = |n: u128| send(&client, invite(n, "ada@example.com"));
        let (a, b, c, d) = futures::join!(wait(1), wait(2), wait(3), async {
            tokio::task::yield_now().await;
            wait(4).await
        });
        for it in [a, b, c] {
            assert!(matches!(it, Err(CommandError::Pending { .. })), "{it:?}");
        }
        assert_eq!(d, Err(CommandError::Overloaded { in_flight: 3 }));
        let _handler = fleet.handler::<Customers>();
        accepted(&client, invite(5, "eve@example.com")).await;
    });
}

#[test]
fn a_caller_that_vanishes_costs_nothing() {
    let few = FleetOptions { in_flight_max: 3, ..FleetOptions::default() };
    run_with(few, async |fleet| {
        let client = fleet.client::<Customers>();
        for n in 0..10 {
            let wait = send(&client, invite(n, "ada@example.com"));
            let gone = Clock::system().timeout(Duration::from_millis(10), wait).await;
            assert_eq!(gone, None, "nobody answers");
        }
        let _handler = fleet.handler::<Customers>();
        accepted(&client, VerifyCustomer { customer_id: id(0) }).await;
    });
}

#[test]
fn a_queue_that_is_full_refuses_at_once_and_costs_nothing() {
    let few = FleetOptions { in_flight_max: 3, ..FleetOptions::default() };
    run_with(few, async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        fleet.log.set_full(COMMANDS, true);
        for n in 0..10 {
            let answer = send(&client, invite(n, "ada@example.com")).await;
            assert!(matches!(answer, Err(CommandError::Unavailable(_))), "{answer:?}");
        }
        fleet.log.set_full(COMMANDS, false);
        accepted(&client, invite(1, "ada@example.com")).await;
    });
}

#[test]
fn a_store_that_is_away_does_not_hide_a_reply_and_is_no_answer() {
    run(async |fleet| {
        let handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        handler.stop().await;
        fleet.store.set_away(true);
        let command_id = client.new_id();
        let short = Envelope { deadline: Duration::from_secs(1), ..envelope_of(command_id) };
        let command = VerifyCustomer { customer_id: id(1) }.into();
        let answer = client.command::<CustomerCommand>(&command, short).await;
        assert_eq!(answer, Err(CommandError::Pending { command_id }));
        assert!(client.status("customers", command_id).await.is_err());
    });
}

#[test]
fn a_registry_that_is_away_before_the_first_command_refuses_it_unsent() {
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        fleet.registry.set_away(true);
        let command = invite(1, "ada@example.com").into();
        let answer = client.command::<CustomerCommand>(&command, envelope(&client)).await;
        assert!(matches!(answer, Err(CommandError::Unavailable(_))), "{answer:?}");
        assert!((0..3).all(|part| fleet.log.records(COMMANDS, part).is_empty()));
        fleet.registry.set_away(false);
        let _handler = fleet.handler::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
    });
}
