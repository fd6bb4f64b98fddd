//! What a command id and an expected version promise, and what a handler remembers.
use crate::{
    fleet::{
        COMMANDS, REPLIES, accepted, code, envelope, envelope_of, events_of, id, id_in, invite,
        outcome, record_of, run, run_in_time, run_with, send, send_as, until,
    },
    sound::{check_ledger, sound},
    toys::{Toys, build},
};
use chrono::TimeDelta;
use customers::Customers;
use futures::future::join_all;
use shared_events::{
    customers::{ChangeCustomerEmail, CustomerCommand, RemoveCustomer, VerifyCustomer},
    fleet::Verdict,
};
use shell::{client::Envelope, memory::FleetOptions};

#[test]
fn the_same_command_again_has_one_effect_and_the_same_answer() {
    run(async |fleet| {
        let handler = fleet.handler::<Customers>();
        let (client, other) = (fleet.client::<Customers>(), fleet.client::<Customers>());
        let command_id = client.new_id();
        let first = send_as(&client, command_id, invite(1, "ada@example.com")).await;
        accepted(&client, VerifyCustomer { customer_id: id(1) }).await;
        assert_eq!(send_as(&client, command_id, invite(1, "ada@example.com")).await, first);
        assert_eq!(send_as(&other, command_id, invite(1, "ada@example.com")).await, first);
        // Of another process, that never saw the first.
        handler.stop().await;
        let _handler = fleet.handler::<Customers>();
        assert_eq!(send_as(&other, command_id, invite(1, "ada@example.com")).await, first);
        assert_eq!(events_of::<Customers>(&fleet), 2);
    });
}

#[test]
fn a_rejection_is_the_same_again_even_if_it_would_be_accepted_now() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        let command_id = client.new_id();
        let first = send_as(&client, command_id, VerifyCustomer { customer_id: id(1) }).await;
        assert_eq!(code(&first), "CUSTOMER_NOT_FOUND");
        accepted(&client, invite(1, "ada@example.com")).await;
        let again = send_as(&client, command_id, VerifyCustomer { customer_id: id(1) }).await;
        assert_eq!(again, first);
    });
}

#[test]
fn a_command_id_with_another_request_is_refused_and_the_first_stays() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let (client, other) = (fleet.client::<Customers>(), fleet.client::<Customers>());
        let command_id = client.new_id();
        let first = send_as(&client, command_id, invite(1, "ada@example.com")).await;
        // Another value, another record, another stream, and one in each other partition.
        let others: [CustomerCommand; 5] = [
            invite(1, "eve@example.com").into(),
            VerifyCustomer { customer_id: id(1) }.into(),
            invite(id_in(0, 5), "ada@example.com").into(),
            invite(id_in(1, 5), "eve@example.com").into(),
            invite(id_in(2, 5), "eve@example.com").into(),
        ];
        for it in others {
            for client in [&client, &other] {
                let answer = send_as(client, command_id, it.clone()).await;
                assert_eq!(code(&answer), "COMMAND_ID_REUSED", "{it:?}");
            }
        }
        let version = Envelope { expected_version: Some(0), ..envelope_of(command_id) };
        let command = invite(1, "ada@example.com").into();
        let answer = client.command::<CustomerCommand>(&command, version).await.unwrap();
        assert_eq!(
            code(&answer),
            "COMMAND_ID_REUSED",
            "the expected version is part of the request"
        );
        assert_eq!(send_as(&other, command_id, invite(1, "ada@example.com")).await, first);
        assert_eq!(events_of::<Customers>(&fleet), 1);
    });
}

#[test]
fn two_requests_under_one_id_in_one_batch_have_one_effect_and_two_answers() {
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        let command_id = client.new_id();
        let commands = [invite(1, "ada@example.com"), invite(1, "eve@example.com")];
        let both = join_all(commands.map(|it| send_as(&client, command_id, it)));
        // They wait on the topic together.
        let (answers, _handler) = futures::join!(both, async { fleet.handler::<Customers>() });
        let mut codes: Vec<&str> = answers.iter().map(code).collect();
        codes.sort_unstable();
        assert_eq!(codes, ["", "COMMAND_ID_REUSED"]);
        assert_eq!(events_of::<Customers>(&fleet), 1);
    });
}

#[test]
fn fifty_duplicates_at_once_have_one_effect_and_one_answer() {
    for batch_max in [7, 100] {
        run_with(FleetOptions { batch_max, ..FleetOptions::default() }, async |fleet| {
            let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
            let clients = [fleet.client::<Customers>(), fleet.client::<Customers>()];
            let command_id = clients[0].new_id();
            let send =
                |n: usize| send_as(&clients[n % 2], command_id, invite(1, "ada@example.com"));
            let answers = join_all((0..50).map(send)).await;
            assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
            assert_eq!((answers[0].verdict, answers[0].version), (Verdict::Accepted, 1));
            assert_eq!(events_of::<Customers>(&fleet), 1);
            sound(&fleet).await;
        });
    }
}

#[test]
fn duplicates_among_other_commands_do_not_disturb_them() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        let ids: Vec<_> = (0..20).map(|_| client.new_id()).collect();
        for _ in 0..3 {
            let answers = join_all((0..20).map(|n: u128| {
                let command_id = ids[usize::try_from(n).unwrap()];
                send_as(&client, command_id, invite(n + 1, &format!("{n}@example.com")))
            }));
            let fresh = invite(client.new_id().as_u128(), &format!("{}@x.org", client.new_id()));
            let (answers, fresh) = futures::join!(answers, send(&client, fresh));
            assert!(answers.iter().all(|it| it.verdict == Verdict::Accepted && it.version == 1));
            assert_eq!(fresh.unwrap().version, 1);
        }
        assert_eq!(events_of::<Customers>(&fleet), 23);
        sound(&fleet).await;
    });
}

#[test]
fn one_id_raced_by_two_handlers_on_two_partitions_has_one_effect() {
    for seed in 1..30 {
        run(async |fleet| {
            fleet.store.set_slow(seed);
            let _services = (fleet.handler::<Customers>(), fleet.handler::<Customers>());
            let (client, other) = (fleet.client::<Customers>(), fleet.client::<Customers>());
            let command_id = client.new_id();
            let (a, b) = futures::join!(
                send_as(&client, command_id, invite(id_in(0, 0), "ada@example.com")),
                send_as(&other, command_id, invite(id_in(1, 0), "eve@example.com")),
            );
            let mut codes = [code(&a), code(&b)];
            codes.sort_unstable();
            assert_eq!(codes, ["", "COMMAND_ID_REUSED"], "seed {seed}");
            assert_eq!(events_of::<Customers>(&fleet), 1, "seed {seed}");
            check_ledger(&fleet);
        });
    }
}

#[test]
fn a_command_is_decided_only_at_the_version_that_it_expects() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        let expecting = |version, command: CustomerCommand| {
            let envelope = Envelope { expected_version: Some(version), ..envelope(&client) };
            let client = client.clone();
            async move { client.command(&command, envelope).await.unwrap() }
        };
        let verify = || VerifyCustomer { customer_id: id(1) }.into();
        let none = expecting(0, invite(1, "ada@example.com").into()).await;
        assert_eq!((none.verdict, none.version), (Verdict::Accepted, 1));
        let early = expecting(2, verify()).await;
        assert_eq!(code(&early), "VERSION_CONFLICT");
        let details = early.rejection.unwrap().details;
        assert_eq!(details, serde_json::json!({ "expected": 2, "actual": 1 }));
        let right = expecting(1, verify()).await;
        assert_eq!((right.verdict, right.version), (Verdict::Accepted, 2));
        let late = expecting(1, RemoveCustomer { customer_id: id(1) }.into()).await;
        assert_eq!((code(&late), late.version), ("VERSION_CONFLICT", 2));
        let unknown = expecting(1, VerifyCustomer { customer_id: id(9) }.into()).await;
        assert_eq!((code(&unknown), unknown.version), ("VERSION_CONFLICT", 0));
        assert_eq!(events_of::<Customers>(&fleet), 2);
    });
}

#[test]
fn of_two_with_the_same_expected_version_one_is_accepted() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        let change = |email: &str| {
            let command = ChangeCustomerEmail { customer_id: id(1), email: email.to_owned() };
            let envelope = Envelope { expected_version: Some(1), ..envelope(&client) };
            let client = client.clone();
            async move { client.command::<CustomerCommand>(&command.into(), envelope).await.unwrap() }
        };
        let (a, b) = futures::join!(change("a@example.com"), change("b@example.com"));
        let mut codes = [code(&a), code(&b)];
        codes.sort_unstable();
        assert_eq!(codes, ["", "VERSION_CONFLICT"]);
    });
}

#[test]
fn a_long_stream_is_decided_right_after_the_cache_was_lost() {
    let tiny = FleetOptions { cache_bytes: 1, ..FleetOptions::default() };
    for options in [FleetOptions::default(), tiny] {
        run_with(options, async |fleet| {
            let handler = fleet.handler::<Toys>();
            let client = fleet.client::<Toys>();
            for _ in 0..12 {
                client.command(&build(1, "many"), envelope(&client)).await.unwrap();
            }
            let snapshots = fleet.store.snapshots("toys");
            assert!(snapshots.iter().any(|it| it.version >= 500), "{snapshots:?}");
            handler.kill().await;
            let _handler = fleet.handler::<Toys>();
            let answer = client.command(&build(1, "count"), envelope(&client)).await.unwrap();
            assert_eq!((code(&answer), answer.version), ("TOO_MANY_PARTS", 1200));
            let details = answer.rejection.unwrap().details;
            assert_eq!(details["TooManyParts"]["parts"].as_i64(), Some(1200), "{details}");
        });
    }
}

#[test]
fn a_snapshot_is_kept_every_five_hundred_events_and_not_more_often() {
    run(async |fleet| {
        let _handler = fleet.handler::<Toys>();
        let client = fleet.client::<Toys>();
        let mut versions = std::collections::BTreeSet::new();
        for _ in 0..16 {
            client.command(&build(1, "many"), envelope(&client)).await.unwrap();
            versions.extend(fleet.store.snapshots("toys").iter().map(|it| it.version));
        }
        assert_eq!(versions.into_iter().collect::<Vec<_>>(), [500, 1000, 1500]);
    });
}

#[test]
fn an_old_command_is_refused_and_one_almost_as_old_is_not() {
    run_in_time(async |fleet, time| {
        let client = fleet.client::<Customers>();
        let (old, younger) = (client.new_id(), client.new_id());
        fleet
            .log
            .append(record_of::<CustomerCommand>(&fleet, &invite(1, "a@x.org").into(), old).await);
        time.pass(TimeDelta::hours(1));
        let command = invite(2, "b@x.org").into();
        fleet.log.append(record_of::<CustomerCommand>(&fleet, &command, younger).await);
        time.pass(TimeDelta::hours(6 * 24 - 1));
        let _handler = fleet.handler::<Customers>();
        assert_eq!(code(&outcome(&client, "customers", old).await), "COMMAND_EXPIRED");
        assert_eq!(code(&outcome(&client, "customers", younger).await), "");
    });
}

#[test]
fn time_never_goes_back_within_a_stream() {
    run_in_time(async |fleet, time| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        time.pass(TimeDelta::hours(-5));
        accepted(&client, VerifyCustomer { customer_id: id(1) }).await;
        let events = fleet.store.events("customers");
        assert!(events[0].at <= events[1].at, "{events:?}");
    });
}

#[test]
fn commands_of_a_stream_are_decided_in_the_order_in_which_they_came() {
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        let mut ids = Vec::new();
        let mut commands: Vec<CustomerCommand> = vec![invite(1, "0@example.com").into()];
        for n in 1..300 {
            let email = format!("{n}@example.com");
            commands.push(ChangeCustomerEmail { customer_id: id(1), email }.into());
        }
        for it in &commands {
            ids.push(client.new_id());
            fleet.log.append(record_of(&fleet, it, ids[ids.len() - 1]).await);
        }
        let _handler = fleet.handler::<Customers>();
        for (version, command_id) in (1..).zip(ids) {
            let answer = outcome(&client, "customers", command_id).await;
            assert_eq!((answer.verdict, answer.version), (Verdict::Accepted, version));
        }
        check_ledger(&fleet);
    });
}

#[test]
fn answers_and_progress_are_told_to_the_group_only_when_delivered() {
    run(async |fleet| {
        let handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        fleet.log.set_swallowed(REPLIES, true);
        let command_id = client.new_id();
        let first = send_as(&client, command_id, invite(1, "ada@example.com")).await;
        handler.kill().await;
        fleet.log.set_swallowed(REPLIES, false);
        let part = (0..3).find(|it| !fleet.log.records(COMMANDS, *it).is_empty()).unwrap();
        assert_eq!(fleet.log.records(REPLIES, 0), []);
        // The next owner reads the command again, and answers it again.
        let _handler = fleet.handler::<Customers>();
        until("the reply is sent again", || fleet.log.records(REPLIES, 0).len() == 1).await;
        assert_eq!(fleet.log.records(COMMANDS, part).len(), 1);
        assert_eq!(events_of::<Customers>(&fleet), 1);
        assert_eq!(first.version, 1);
    });
}
