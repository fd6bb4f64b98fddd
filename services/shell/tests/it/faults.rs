//! Servers that go away, processes that are killed or frozen, logs that are lost: nothing accepted is lost or doubled.
use crate::{
    fleet::{
        COMMANDS, EVENTS, HANDLERS, accepted, all_accepted, customer, envelope_of, events_of, id,
        id_in, invite, load, outcome, pass, record_of, run, run_with, send, until,
    },
    sound::{published, sound},
};
use customers::Customers;
use futures::future::join_all;
use shared_events::{
    Message as _,
    customers::{ChangeCustomerEmail, CustomerCommand, CustomerEvent, VerifyCustomer},
    fleet::Verdict,
};
use shell::{
    Client,
    client::Envelope,
    memory::{Fleet, FleetOptions},
};
use std::time::Duration;

/// Commands straight onto the topic, in this order; their ids.
async fn append_changes(fleet: &Fleet, client: &Client, n: u128, count: u64) -> Vec<uuid::Uuid> {
    let mut ids = Vec::new();
    for it in 0..count {
        let email = format!("{}-{it}@x.org", client.new_id());
        let command: CustomerCommand = ChangeCustomerEmail { customer_id: id(n), email }.into();
        ids.push(client.new_id());
        fleet.log.append(record_of(fleet, &command, ids[ids.len() - 1]).await);
    }
    ids
}

/// Whether commands took effect in exactly the order in which they came.
async fn in_order(client: &Client, version: i64, ids: Vec<uuid::Uuid>) {
    for (version, command_id) in (version..).zip(ids) {
        let answer = outcome(client, "customers", command_id).await;
        assert_eq!((answer.verdict, answer.version), (Verdict::Accepted, version), "{answer:?}");
    }
}

#[test]
fn with_the_registry_away_at_the_start_nothing_is_lost() {
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        let command_id = client.new_id();
        let record =
            record_of::<CustomerCommand>(&fleet, &invite(1, "a@x.org").into(), command_id).await;
        fleet.registry.set_away(true);
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        fleet.log.append(record);
        pass(Duration::from_secs(20)).await;
        assert_eq!(events_of::<Customers>(&fleet), 0);
        let why = &fleet.status.not_ready()["customers-handler"];
        assert!(why.contains("registry"), "{why}");
        fleet.registry.set_away(false);
        assert_eq!(outcome(&client, "customers", command_id).await.version, 1);
        sound(&fleet).await;
        until("all is ready", || fleet.status.not_ready().is_empty()).await;
    });
}

#[test]
fn with_the_registry_away_later_what_is_known_goes_on() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        sound(&fleet).await;
        fleet.registry.set_away(true);
        all_accepted(&load(&client, 100, 30).await);
        sound(&fleet).await;
    });
}

#[test]
fn an_unknown_schema_holds_its_partition_alone_until_the_registry_is_back() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        let (here, there) = (id_in(0, 0), id_in(1, 0));
        accepted(&client, invite(here, "ada@example.com")).await;
        accepted(&client, VerifyCustomer { customer_id: id(here) }).await;
        fleet.registry.set_away(true);
        let mut odd =
            record_of_unknown_schema(&fleet, &invite(id_in(0, 1), "a@x.org").into()).await;
        odd.part = 0;
        fleet.log.append(odd);
        let ids = {
            // Whatever the test itself needs of the registry.
            fleet.registry.set_away(false);
            let ids = append_changes(&fleet, &client, here, 10).await;
            fleet.registry.set_away(true);
            ids
        };
        accepted(&client, invite(there, "eve@example.com")).await;
        // A trickle, so that there is always something new when the partition is tried again.
        for n in 0..30 {
            let command = VerifyCustomer { customer_id: id(there) };
            fleet.registry.set_away(false);
            let mut record = record_of::<CustomerCommand>(&fleet, &command.into(), id(n)).await;
            fleet.registry.set_away(true);
            let noop = invite(here, "ada@example.com");
            fleet.log.append(record.clone());
            record = {
                fleet.registry.set_away(false);
                let it = record_of::<CustomerCommand>(&fleet, &noop.into(), id(1000 + n)).await;
                fleet.registry.set_away(true);
                it
            };
            fleet.log.append(record);
            pass(Duration::from_millis(90)).await;
        }
        assert_eq!(fleet.store.dead_letters("customers"), []);
        let part = &fleet.status.services()["customers-handler"].parts[&(COMMANDS.to_owned(), 0)];
        assert!(part.trouble.as_ref().is_some_and(|it| it.contains("registry")), "{part:?}");
        accepted(&client, VerifyCustomer { customer_id: id(there) }).await;
        fleet.registry.set_away(false);
        in_order(&client, 3, ids).await;
        assert_eq!(fleet.store.dead_letters("customers").len(), 1, "nobody knows that schema");
        sound(&fleet).await;
    });
}

/// A good record that names a schema which nobody has resolved yet, and which does not exist.
async fn record_of_unknown_schema(
    fleet: &Fleet,
    command: &CustomerCommand,
) -> shell::port::log::Outgoing {
    fleet.registry.set_away(false);
    let mut record = record_of(fleet, command, id(0xbad)).await;
    fleet.registry.set_away(true);
    record.payload[3] = 9;
    record
}

#[test]
fn with_the_store_away_under_load_nothing_is_lost_or_doubled() {
    for (seed, away_ms) in (1..).zip([100, 700, 3000, 15_000]) {
        run(async |fleet| {
            fleet.store.set_slow(seed);
            let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
            let client = fleet.client::<Customers>();
            let outage = async {
                pass(Duration::from_millis(200)).await;
                fleet.store.set_away(true);
                pass(Duration::from_millis(away_ms)).await;
                fleet.store.set_away(false);
            };
            let (answers, ()) = futures::join!(load(&client, 100, 200), outage);
            all_accepted(&answers);
            sound(&fleet).await;
        });
    }
}

#[test]
fn with_the_store_away_commands_keep_their_order() {
    for batch_max in [1, 3, 10] {
        run_with(FleetOptions { batch_max, ..FleetOptions::default() }, async |fleet| {
            let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
            let client = fleet.client::<Customers>();
            accepted(&client, invite(1, "ada@example.com")).await;
            fleet.store.set_away(true);
            let ids = append_changes(&fleet, &client, 1, 40).await;
            // By then the first batch was read, and could not be decided.
            pass(Duration::from_millis(50)).await;
            fleet.store.set_away(false);
            in_order(&client, 2, ids).await;
            sound(&fleet).await;
        });
    }
}

#[test]
fn a_store_whose_answers_are_lost_has_one_effect() {
    for seed in 1..20 {
        run(async |fleet| {
            fleet.store.set_slow(seed);
            let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
            let client = fleet.client::<Customers>();
            let lossy = async {
                for _ in 0..6 {
                    pass(Duration::from_millis(50)).await;
                    fleet.store.set_answers_lost(true);
                    pass(Duration::from_millis(20)).await;
                    fleet.store.set_answers_lost(false);
                }
            };
            let (answers, ()) = futures::join!(load(&client, 100, 150), lossy);
            all_accepted(&answers);
            sound(&fleet).await;
        });
    }
}

#[test]
fn a_handler_that_was_without_its_store_for_minutes_comes_back() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        fleet.store.set_away(true);
        pass(Duration::from_secs(40)).await;
        fleet.store.set_away(false);
        accepted(&client, invite(2, "eve@example.com")).await;
        sound(&fleet).await;
    });
}

#[test]
fn what_was_decided_before_a_crash_is_published_by_the_next_owner() {
    run(async |fleet| {
        let handler = fleet.handler::<Customers>();
        let _aggregator = fleet.aggregator::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        fleet.log.set_swallowed(EVENTS, true);
        let answer = accepted(&client, VerifyCustomer { customer_id: id(1) }).await;
        all_accepted(&load(&client, 100, 30).await);
        handler.kill().await;
        fleet.log.set_swallowed(EVENTS, false);
        assert_eq!(published(&fleet).len(), 1, "the log has none of them");
        let _handler = fleet.handler::<Customers>();
        let row = customer(&client, 1, &answer.position).await.unwrap();
        assert_eq!(row.version, 2);
        sound(&fleet).await;
    });
}

#[test]
fn a_handler_killed_at_any_moment_loses_and_doubles_nothing() {
    for seed in 1..60 {
        run(async |fleet| {
            fleet.store.set_slow(seed);
            let first = fleet.handler::<Customers>();
            let _aggregator = fleet.aggregator::<Customers>();
            let client = fleet.client::<Customers>();
            let killed = async {
                for _ in 0..100 + seed * 17 % 300 {
                    tokio::task::yield_now().await;
                }
                first.kill().await;
                fleet.handler::<Customers>()
            };
            let commands = (1..=40).map(|n| send(&client, invite(n, &format!("{n}@x.org"))));
            let (answers, _handler) = futures::join!(join_all(commands), killed);
            all_accepted(&answers);
            sound(&fleet).await;
        });
    }
}

#[test]
fn of_two_handlers_the_frozen_one_neither_loses_nor_doubles() {
    for seed in 1..20 {
        run(async |fleet| {
            fleet.store.set_slow(seed);
            let zombie = fleet.handler::<Customers>();
            let _aggregator = fleet.aggregator::<Customers>();
            let client = fleet.client::<Customers>();
            let frozen = async {
                pass(Duration::from_millis(100)).await;
                // All members there are, which is the zombie: it goes on as if nothing had happened.
                fleet.log.freeze(HANDLERS);
                let next = fleet.handler::<Customers>();
                pass(Duration::from_secs(2)).await;
                let stuck = &fleet.status.services()["customers-handler"].stuck;
                assert!(stuck.is_empty(), "seed {seed}: a write came through: {stuck:?}");
                fleet.log.thaw(HANDLERS);
                next
            };
            let (answers, _next) = futures::join!(load(&client, 100, 200), frozen);
            all_accepted(&answers);
            sound(&fleet).await;
            drop(zombie);
        });
    }
}

#[test]
fn a_planned_stop_hands_over_at_once() {
    run(async |fleet| {
        let first = fleet.handler::<Customers>();
        let _aggregator = fleet.aggregator::<Customers>();
        let client = fleet.client::<Customers>();
        let handed_over = async {
            pass(Duration::from_millis(100)).await;
            let second = fleet.handler::<Customers>();
            pass(Duration::from_millis(100)).await;
            first.stop().await;
            second
        };
        let slowest = async {
            let answers = load(&client, 100, 150).await;
            all_accepted(&answers);
        };
        let ((), _second) = futures::join!(slowest, handed_over);
        sound(&fleet).await;
    });
}

#[test]
fn the_events_carry_what_caused_them() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned();
        let envelope = Envelope {
            correlation: id(5),
            traceparent: Some(traceparent.clone()),
            actor: Some("ada".to_owned()),
            ..envelope_of(id(6))
        };
        let command: CustomerCommand = invite(1, "ada@example.com").into();
        client.command(&command, envelope).await.unwrap();
        let part = fleet.store.events("customers")[0].part;
        let record = &fleet.log.records(EVENTS, part)[0];
        let headers = shared_events::headers::EventHeaders::read(&record.headers).unwrap();
        assert_eq!((headers.correlation, headers.causation), (id(5), id(6)));
        assert_eq!(headers.traceparent, Some(traceparent));
        assert_eq!(headers.actor.as_deref(), Some("ada"));
        assert_eq!(record.key.as_deref(), Some(id(1).to_string().as_bytes()));
        assert_eq!((headers.stream, headers.pseq, headers.version), (id(1), 1, 1));
        assert!(CustomerEvent::family().knows(&headers.record));
    });
}
