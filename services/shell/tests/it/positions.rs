//! A reader never goes back in time, and nobody waits for what never was (protocol.md R2–R4).
use crate::fleet::{WAIT, accepted, customer, id, id_in, invite, pass, rows, run, send};
use customers::{
    Customers,
    views::{Customer, CustomerStatus, InvitationsPerDay},
};
use shared_events::customers::{RemoveCustomer, VerifyCustomer};
use shell::{
    clock::Clock,
    memory::{CallFault, Faults, SendFault},
    position::Position,
    reads::{Query, ReadError},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// Lets everything through, and counts what the store is asked.
#[derive(Default)]
struct Asked(Mutex<Vec<&'static str>>);

impl Faults for Asked {
    fn call(&self, _: u32, what: &'static str) -> CallFault {
        self.0.lock().unwrap().push(what);
        CallFault::default()
    }

    fn send(&self, _: u32, _: &str) -> SendFault {
        SendFault::Delivered { after: Duration::ZERO, times: 1, report: Duration::ZERO }
    }

    fn later(&self, _: Duration, act: Box<dyn FnOnce() + Send>) {
        act();
    }
}

#[test]
fn a_position_that_the_view_has_come_to_costs_nothing() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let asked = Arc::new(Asked::default());
        let faults: Arc<dyn Faults> = asked.clone();
        let client = fleet.seen_from(1, &Clock::system(), &faults).client::<Customers>();
        let answer = accepted(&client, invite(1, "ada@example.com")).await;
        assert!(customer(&client, 1, &answer.position).await.is_some());
        for seen in [&Position::new(), &answer.position] {
            asked.0.lock().unwrap().clear();
            rows::<Customer>(&client, all(), seen).await;
            let calls = asked.0.lock().unwrap().clone();
            assert_eq!(calls.iter().filter(|it| **it == "read rows").count(), 1, "{calls:?}");
            assert!(!calls.contains(&"read heads"), "{calls:?}");
        }
    });
}

fn all() -> Query {
    Query::default()
}

#[test]
fn a_read_waits_until_the_view_has_what_the_reader_has_seen() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let aggregator = fleet.aggregator::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        let old = rows::<Customer>(&client, all(), &Position::new()).await;
        aggregator.stop().await;
        let answer = accepted(&client, VerifyCustomer { customer_id: id(1) }).await;
        let (row, _aggregator) = futures::join!(customer(&client, 1, &answer.position), async {
            pass(Duration::from_secs(2)).await;
            fleet.aggregator::<Customers>()
        });
        assert_eq!(row.unwrap().status, CustomerStatus::Verified);
        assert!(old.rows.len() <= 1);
    });
}

#[test]
fn with_the_aggregator_stopped_a_newer_position_is_pending_and_an_older_one_answered() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let aggregator = fleet.aggregator::<Customers>();
        let client = fleet.client::<Customers>();
        let before = accepted(&client, invite(1, "ada@example.com")).await.position;
        assert!(customer(&client, 1, &before).await.is_some());
        aggregator.stop().await;
        let after = accepted(&client, VerifyCustomer { customer_id: id(1) }).await.position;
        let clock = Clock::system();
        let error = client.read::<Customer>(all(), &after, WAIT).await.unwrap_err();
        assert!(matches!(&error, ReadError::Pending { missing } if missing.contains("1 events")));
        assert!((WAIT..WAIT + Duration::from_millis(100)).contains(&clock.elapsed()));
        assert_eq!(rows::<Customer>(&client, all(), &before).await.rows.len(), 1);
    });
}

#[test]
fn a_forged_position_fails_at_once() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        let n = id_in(0, 0);
        let answer = accepted(&client, invite(n, "ada@example.com")).await;
        assert!(customer(&client, n, &answer.position).await.is_some());
        let forged = |incarnation, part, pseq| {
            let mut position = answer.position.clone();
            position.saw("customers", incarnation, part, pseq);
            position
        };
        let clock = Clock::system();
        for position in [
            forged(1, 0, i64::MAX),
            forged(1, 0, 2),
            forged(7, 0, 1),
            // Partitions in which nothing happened yet, and one that is not there.
            forged(1, 1, 1),
            forged(9, 1, 1),
            forged(1, 77, 1),
        ] {
            let error = client.read::<Customer>(all(), &position, WAIT).await.unwrap_err();
            assert!(matches!(error, ReadError::Failed(_)), "{position:?}: {error:?}");
        }
        assert!(clock.elapsed() < Duration::from_millis(10), "{:?}", clock.elapsed());
        // What was seen of others says nothing about this view.
        let mut elsewhere = answer.position.clone();
        elsewhere.saw("projects", 3, 0, 99);
        assert_eq!(rows::<Customer>(&client, all(), &elsewhere).await.rows.len(), 1);
    });
}

#[test]
fn a_position_survives_its_text_form_and_a_restart_of_everything() {
    run(async |fleet| {
        let (handler, aggregator) = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        let answer = accepted(&client, invite(1, "ada@example.com")).await;
        let text = answer.position.to_string();
        handler.kill().await;
        aggregator.kill().await;
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let other = fleet.client::<Customers>();
        assert!(customer(&other, 1, &text.parse().unwrap()).await.is_some());
    });
}

#[test]
fn the_answer_to_a_list_carries_all_that_the_view_had() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let aggregator = fleet.aggregator::<Customers>();
        let client = fleet.client::<Customers>();
        let mut seen = Position::new();
        for n in 1..=20 {
            seen.merge(&accepted(&client, invite(n, &format!("{n}@x.org"))).await.position);
        }
        let counted = || Query { count: true, ..Query::first(1) };
        let list = rows::<Customer>(&client, counted(), &seen).await;
        assert_eq!((list.total, &list.position), (Some(20), &seen));
        // Another view must not show less to whoever saw this.
        let days = rows::<InvitationsPerDay>(&client, all(), &list.position).await;
        assert_eq!(days.rows.iter().map(|it| it.invited).sum::<i64>(), 20);
        aggregator.stop().await;
    });
}

#[test]
fn a_refusal_carries_the_position_of_what_it_relied_on() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        let holder = accepted(&client, invite(id_in(0, 0), "ada@example.com")).await;
        let refused = send(&client, invite(id_in(1, 0), "ada@example.com")).await.unwrap();
        for it in holder.position.entries() {
            assert!(refused.position.entries().any(|other| other == it), "{refused:?}");
        }
        let removed = accepted(&client, RemoveCustomer { customer_id: id(id_in(0, 0)) }).await;
        let again = send(&client, RemoveCustomer { customer_id: id(id_in(0, 0)) }).await.unwrap();
        assert_eq!(again.position, removed.position, "nothing happened: as new as the first");
    });
}

#[test]
fn readers_never_see_an_older_state_while_everything_moves() {
    for seed in 1..12 {
        run(async |fleet| {
            fleet.store.set_slow(seed);
            let _handler = fleet.handler::<Customers>();
            let first = fleet.aggregator::<Customers>();
            let client = fleet.client::<Customers>();
            let write = async {
                for n in 1..=60 {
                    let answer = accepted(&client, invite(n, &format!("{n}@x.org"))).await;
                    let row = customer(&client, n, &answer.position).await;
                    assert!(row.is_some(), "seed {seed}: {n} is not shown to its sender");
                }
            };
            let read = async {
                let (mut seen, mut count) = (Position::new(), 0);
                for _ in 0..60 {
                    let found = rows::<Customer>(&client, all(), &seen).await;
                    assert!(
                        found.rows.len() >= count,
                        "seed {seed}: {} after {count}",
                        found.rows.len()
                    );
                    count = found.rows.len();
                    seen.merge(&found.position);
                    pass(Duration::from_millis(3)).await;
                }
            };
            let roll = async {
                pass(Duration::from_millis(40)).await;
                let second = fleet.aggregator::<Customers>();
                pass(Duration::from_millis(40)).await;
                first.kill().await;
                second
            };
            let ((), (), _second) = futures::join!(write, read, roll);
        });
    }
}
