//! What is asked of the write side is answered as of then, whoever answers and whatever happens meanwhile (F1).
use crate::{
    fleet::{
        COMMANDS, HANDLERS, REPLIES, accepted, envelope, id, id_in, invite, outcome, record_of,
        run, run_with, send_as, until,
    },
    sound::check_ledger,
};
use customers::{Customer, Customers};
use futures::future::join_all;
use shared_events::{
    customers::{AskCustomerState, CustomerState, CustomerStatus, RemoveCustomer, VerifyCustomer},
    fleet::Verdict,
};
use shell::{
    Client,
    client::{Envelope, Fact, FactError},
    memory::FleetOptions,
};
use std::time::Duration;
use uuid::Uuid;

async fn ask(client: &Client, customer_id: Uuid) -> Result<Fact<CustomerState>, FactError> {
    client.ask::<Customer, _>(&AskCustomerState { customer_id }, envelope(client)).await
}

async fn state(client: &Client, customer_id: Uuid) -> Option<(CustomerStatus, i64)> {
    let answer = ask(client, customer_id).await.unwrap().answer;
    answer.map(|it| (it.status, it.version))
}

#[test]
fn a_question_sees_whatever_was_answered_before_through_any_client() {
    run(async |fleet| {
        let _handlers = (fleet.handler::<Customers>(), fleet.handler::<Customers>());
        let (one, other) = (fleet.client::<Customers>(), fleet.client::<Customers>());
        assert_eq!(state(&other, id(1)).await, None, "nobody yet is an answer, not an error");
        for n in 1..20 {
            accepted(&one, invite(n, &format!("{n}@x.org"))).await;
            assert_eq!(state(&other, id(n)).await, Some((CustomerStatus::Invited, 1)));
            accepted(&other, VerifyCustomer { customer_id: id(n) }).await;
            assert_eq!(state(&one, id(n)).await, Some((CustomerStatus::Verified, 2)));
        }
        accepted(&one, RemoveCustomer { customer_id: id(1) }).await;
        let fact = ask(&other, id(1)).await.unwrap();
        let expected = CustomerState {
            customer_id: id(1),
            status: CustomerStatus::Removed,
            email: None,
            version: 3,
        };
        assert_eq!(fact.answer, Some(expected));
    });
}

#[test]
fn a_question_sees_the_commands_before_it_in_its_batch_and_none_after() {
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        // All of it waits on the topic before anybody decides.
        let all = async {
            futures::join!(
                state(&client, id(1)),
                accepted(&client, invite(1, "ada@example.com")),
                state(&client, id(1)),
                accepted(&client, VerifyCustomer { customer_id: id(1) }),
                state(&client, id(1)),
            )
        };
        let (told, _handler) = futures::join!(all, async { fleet.handler::<Customers>() });
        let (nobody, _, invited, _, verified) = told;
        assert_eq!(nobody, None);
        assert_eq!(invited, Some((CustomerStatus::Invited, 1)));
        assert_eq!(verified, Some((CustomerStatus::Verified, 2)));
        let rows = fleet.store.ledger_rows("customers");
        assert_eq!(rows.iter().map(|it| it.next_offset).sum::<i64>(), 5, "all of it is passed");
        check_ledger(&fleet);
    });
}

#[test]
fn a_question_leaves_nothing_behind() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        for n in 1..10 {
            ask(&client, id(n)).await.unwrap();
        }
        assert_eq!(
            (fleet.store.events("customers").len(), fleet.store.outcomes("customers").len()),
            (1, 1)
        );
        assert!(fleet.store.dead_letters("customers").is_empty());
    });
}

/// The position of an answer shows what it rests on: a view that has come there is not older.
#[test]
fn an_answer_has_a_position() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let (one, other) = (fleet.client::<Customers>(), fleet.client::<Customers>());
        let answer = accepted(&one, invite(1, "ada@example.com")).await;
        let fact = ask(&other, id(1)).await.unwrap();
        assert_eq!(fact.position, answer.position);
        let row = crate::fleet::customer(&other, 1, &fact.position).await.unwrap();
        assert_eq!(row.version, 1);
        // Also where there is nothing to tell.
        let nobody = ask(&other, id(id_in_partition_of(1))).await.unwrap();
        assert_eq!((nobody.answer, nobody.position), (None, answer.position));
    });
}

/// Another customer of the same partition.
fn id_in_partition_of(n: u128) -> u128 {
    let part = shell::partition::partition_of(id(n), 3);
    let is_other = |it: &u128| *it != n;
    (0..2).map(|it| id_in(part, it)).find(is_other).unwrap()
}

#[test]
fn without_a_handler_there_is_no_answer_and_then_there_is() {
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        assert_eq!(ask(&client, id(1)).await, Err(FactError::Unanswered));
        let deadline = Duration::from_mins(1);
        let patient = Envelope { deadline, ..envelope(&client) };
        let question = AskCustomerState { customer_id: id(1) };
        let asked = client.ask::<Customer, _>(&question, patient);
        let late = async {
            crate::fleet::pass(Duration::from_secs(20)).await;
            fleet.handler::<Customers>()
        };
        let (answer, _handler) = futures::join!(asked, late);
        assert_eq!(answer.unwrap().answer, None);
    });
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        fleet.log.set_swallowed(REPLIES, true);
        let heard = async {
            crate::fleet::pass(Duration::from_millis(1500)).await;
            fleet.log.set_swallowed(REPLIES, false);
        };
        let (told, ()) = futures::join!(state(&client, id(1)), heard);
        assert_eq!(told, Some((CustomerStatus::Invited, 1)));
    });
}

#[test]
fn questions_are_answered_while_a_handler_is_killed_and_another_takes_over() {
    run_with(FleetOptions { batch_max: 7, ..FleetOptions::default() }, async |fleet| {
        let (first, _second) = (fleet.handler::<Customers>(), fleet.handler::<Customers>());
        let client = fleet.client::<Customers>();
        for n in 1..40 {
            accepted(&client, invite(n, &format!("{n}@x.org"))).await;
        }
        let deadline = Duration::from_secs(30);
        let asked = join_all((1..40).map(async |n| {
            crate::fleet::pass(Duration::from_millis(n)).await;
            let patient = Envelope { deadline, ..envelope(&client) };
            let question = AskCustomerState { customer_id: id(n.into()) };
            client.ask::<Customer, _>(&question, patient).await.unwrap().answer
        }));
        let killed = async {
            crate::fleet::pass(Duration::from_millis(20)).await;
            first.kill().await;
        };
        let (answers, ()) = futures::join!(asked, killed);
        assert!(
            answers.iter().all(|it| it.as_ref().is_some_and(|it| it.version == 1)),
            "{answers:?}"
        );
    });
}

/// Frozen while its partitions went to somebody else: what it remembers is old, and it may not say so.
#[test]
fn a_former_owner_does_not_answer_from_its_memory() {
    run(async |fleet| {
        let frozen = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        assert_eq!(state(&client, id(1)).await, Some((CustomerStatus::Invited, 1)));
        fleet.log.set_lingering(true);
        fleet.log.freeze(HANDLERS);
        let _next = fleet.handler::<Customers>();
        accepted(&client, VerifyCustomer { customer_id: id(1) }).await;
        fleet.log.thaw(HANDLERS);
        for _ in 0..20 {
            assert_eq!(state(&client, id(1)).await, Some((CustomerStatus::Verified, 2)));
        }
        frozen.stop().await;
    });
}

/// The group's offset is behind the ledger: it is evaluated again, and nothing moves.
#[test]
fn a_question_that_comes_again_is_answered_again_and_moves_nothing() {
    run(async |fleet| {
        let handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        // A log that begins anew: the question stands before the ledger's offset, and nothing proves it but itself.
        for n in 2..20 {
            accepted(&client, invite(n, &format!("{n}@x.org"))).await;
        }
        handler.stop().await;
        let before = fleet.store.ledger_rows("customers");
        fleet.log.recreate(COMMANDS);
        let _handler = fleet.handler::<Customers>();
        assert_eq!(state(&client, id(1)).await, Some((CustomerStatus::Invited, 1)));
        let after = fleet.store.ledger_rows("customers");
        let offsets = |rows: &[shell::port::store::LedgerRow]| {
            rows.iter().map(|it| it.next_offset).collect::<Vec<_>>()
        };
        assert_eq!(offsets(&before), offsets(&after));
        // And a command is decided all the same.
        accepted(&client, VerifyCustomer { customer_id: id(1) }).await;
        check_ledger(&fleet);
    });
}

#[test]
fn a_question_in_the_wrong_partition_is_refused() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        let question_id = client.new_id();
        let question = AskCustomerState { customer_id: id(id_in(0, 0)) };
        let mut record = record_of(&fleet, &question, question_id).await;
        record.part = 1;
        fleet.log.append(record);
        let answer = outcome(&client, "customers", question_id).await;
        assert_eq!((answer.verdict, crate::fleet::code(&answer)), (Verdict::Rejected, "MISROUTED"));
    });
}

/// A command id says nothing about questions, and the other way round.
#[test]
fn a_question_under_a_commands_id_is_answered() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        let command_id = client.new_id();
        let first = send_as(&client, command_id, invite(1, "ada@example.com")).await;
        let envelope = Envelope { command_id, ..envelope(&client) };
        let question = AskCustomerState { customer_id: id(1) };
        let fact = client.ask::<Customer, _>(&question, envelope).await.unwrap();
        assert_eq!(fact.answer.map(|it| it.version), Some(1));
        assert_eq!(send_as(&client, command_id, invite(1, "ada@example.com")).await, first);
    });
}

#[test]
fn questions_that_nobody_waits_for_any_more_are_passed_over() {
    crate::fleet::run_in_time(async |fleet, time| {
        let client = fleet.client::<Customers>();
        assert_eq!(ask(&client, id(1)).await, Err(FactError::Unanswered));
        time.pass(chrono::TimeDelta::hours(2));
        let _handler = fleet.handler::<Customers>();
        until("all of it is passed", || {
            fleet.store.ledger_rows("customers").iter().map(|it| it.next_offset).sum::<i64>() > 0
        })
        .await;
        assert!(fleet.log.records(REPLIES, 0).is_empty(), "nobody is told");
    });
}
