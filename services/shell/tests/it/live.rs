//! Following what changes: whoever comes again misses no row's last state, or is told that it does (protocol.md V7).
use crate::fleet::{
    EVENTS, Random, TestTime, WAIT, accepted, all_accepted, id, id_in, invite, load, pass, run,
    run_in_time, run_with, until,
};
use chrono::TimeDelta;
use customers::{
    Customers,
    views::{Customer, CustomerStatus},
};
use functions::View as _;
use futures::{FutureExt as _, Stream, StreamExt as _};
use serde_json::Value;
use shared_events::customers::{ChangeCustomerEmail, RemoveCustomer, VerifyCustomer};
use shell::{
    Client,
    client::{Followed, Lost, Place, Update},
    memory::{Fleet, FleetOptions, MemoryStore},
    port::store::{CheckpointMove, Generation, Store as _, Touched, ViewBatch, Views as _},
    position::Position,
    reads::{Comparison, Filter, Query, Test, Value as Column},
    view::ViewDefinition,
};
use std::{collections::BTreeMap, pin::Pin, time::Duration};
use uuid::Uuid;

/// What an operator does.
type Switch<'a> = &'a dyn Fn(&MemoryStore);

type Updates = Pin<Box<dyn Stream<Item = Result<Update<Customer>, Lost>>>>;

async fn follow(client: &Client, filter: Filter, after: Option<&str>, rows_max: usize) -> Updates {
    let after = after.map(|it| it.parse::<Place>().unwrap());
    let followed = Followed::Rows { filter, after };
    Box::pin(client.follow::<Customer>(followed, rows_max, &Position::new(), WAIT).await.unwrap())
}

async fn next(updates: &mut Updates) -> Result<Update<Customer>, Lost> {
    let soon = shell::clock::Clock::system();
    soon.timeout(Duration::from_secs(30), updates.next()).await.expect("soon").expect("more")
}

async fn now(client: &Client) -> String {
    let rows = client.read::<Customer>(Query::first(0), &Position::new(), WAIT).await.unwrap();
    rows.position.to_string()
}

fn everything() -> Filter {
    Filter::default()
}

#[test]
fn what_was_forgotten_is_never_passed_over() {
    run_in_time(async |fleet, time: TestTime| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@x.org")).await;
        until("it is shown", || shown(&fleet).len() == 1).await;
        let before = now(&client).await;
        accepted(&client, invite(2, "bob@x.org")).await;
        // Within the hour all is there, on a client that was not there then.
        time.pass(TimeDelta::minutes(59));
        pass(Duration::from_secs(15)).await;
        let mut updates =
            follow(&fleet.client::<Customers>(), everything(), Some(&before), 9).await;
        assert_eq!(next(&mut updates).await.unwrap().key, id(2));
        time.pass(TimeDelta::minutes(2));
        pass(Duration::from_secs(15)).await;
        for client in [&client, &fleet.client::<Customers>()] {
            let mut late = follow(client, everything(), Some(&before), 9).await;
            assert_eq!(next(&mut late).await, Err(Lost::TooOld));
            assert!(late.next().await.is_none(), "it ends");
        }
        // Whoever was there all the time has missed nothing.
        accepted(&client, invite(3, "cleo@x.org")).await;
        assert_eq!(next(&mut updates).await.unwrap().key, id(3));
        let mut fresh = follow(&client, everything(), Some(&now(&client).await), 9).await;
        accepted(&client, invite(4, "dora@x.org")).await;
        assert_eq!(next(&mut fresh).await.unwrap().key, id(4));
    });
}

#[test]
fn what_is_built_is_not_logged() {
    let options = FleetOptions { batch_max: 10, ..FleetOptions::default() };
    run_with(options, async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        all_accepted(&load(&client, 1, 100).await);
        let _aggregator = fleet.aggregator::<Customers>();
        until("it is built", || shown(&fleet).len() == 100).await;
        let beginning = Position::new().to_string();
        let mut all = follow(&client, everything(), Some(&beginning), 1000).await;
        assert_eq!(next(&mut all).await, Err(Lost::TooOld));
        // What happens from now on is.
        let mut updates = follow(&client, everything(), Some(&now(&client).await), 9).await;
        accepted(&client, VerifyCustomer { customer_id: id(7) }).await;
        assert_eq!(next(&mut updates).await.unwrap().key, id(7));
    });
}

#[test]
fn who_does_not_take_what_comes_costs_no_more_than_is_allowed() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@x.org")).await;
        let mut slow = follow(&client, everything(), None, 20).await;
        let mut few = follow(&client, everything(), None, 5).await;
        // One row that changes often is one row.
        for n in 0..30 {
            let email = format!("ada{n}@x.org");
            accepted(&client, ChangeCustomerEmail { customer_id: id(1), email }).await;
        }
        all_accepted(&load(&client, 10, 10).await);
        pass(Duration::from_secs(2)).await;
        let first = next(&mut slow).await.unwrap();
        assert_eq!((first.key, first.row.unwrap().version), (id(1), 31));
        for _ in 0..10 {
            assert!(next(&mut slow).await.is_ok());
        }
        assert!(slow.next().now_or_never().is_none(), "no more than that");
        assert_eq!(next(&mut few).await, Err(Lost::TooSlow { rows: 5 }));
    });
}

#[test]
fn a_place_names_only_what_was_taken() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let aggregator = fleet.aggregator::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@x.org")).await;
        until("it is shown", || shown(&fleet).len() == 1).await;
        let mut updates = follow(&client, everything(), Some(&now(&client).await), 100).await;
        // Three that change in one batch.
        aggregator.stop().await;
        for n in 0..3 {
            accepted(&client, invite(id_in(0, n + 10), &format!("{n}@x.org"))).await;
        }
        let _aggregator = fleet.aggregator::<Customers>();
        let first = next(&mut updates).await.unwrap();
        let mut again = follow(&client, everything(), Some(&first.after), 100).await;
        let mut all = std::collections::BTreeSet::from([first.key]);
        for _ in 0..2 {
            all.insert(next(&mut updates).await.unwrap().key);
        }
        for _ in 0..3 {
            assert!(all.contains(&next(&mut again).await.unwrap().key));
        }
        assert_eq!(all.len(), 3);
    });
}

#[test]
fn a_row_that_is_put_right_without_an_event_is_told() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@x.org")).await;
        until("it is shown", || shown(&fleet).len() == 1).await;
        let place = now(&client).await;
        let mut there = follow(&client, everything(), Some(&place), 9).await;
        for round in ["one@x.org", "two@x.org"] {
            put_right(&fleet, 1, round).await;
            assert_eq!(next(&mut there).await.unwrap().row.unwrap().email, round);
        }
        assert!(there.next().now_or_never().is_none(), "each once");
        // Also whoever was away.
        let mut late = follow(&client, everything(), Some(&place), 9).await;
        assert_eq!(next(&mut late).await.unwrap().row.unwrap().email, "two@x.org");
        accepted(&client, VerifyCustomer { customer_id: id(1) }).await;
        assert_eq!(next(&mut late).await.unwrap().row.unwrap().status, CustomerStatus::Verified);
    });
}

#[test]
fn who_follows_a_view_that_is_rebuilt_or_rolled_back_is_told() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        let view = ViewDefinition::of::<Customer>("customers");
        accepted(&client, invite(1, "ada@x.org")).await;
        until("it is shown", || shown(&fleet).len() == 1).await;
        let rebuild = |store: &MemoryStore| store.rebuild(&view, 3);
        let roll_back = |store: &MemoryStore| store.roll_back(&view);
        let switches: [(u128, Switch); 2] = [(2, &rebuild), (3, &roll_back)];
        for (n, switch) in switches {
            let mut updates = follow(&client, everything(), Some(&now(&client).await), 9).await;
            accepted(&client, invite(n, &format!("{n}@x.org"))).await;
            let last = next(&mut updates).await.unwrap();
            assert_eq!(last.key, id(n));
            switch(&fleet.store);
            assert_eq!(next(&mut updates).await, Err(Lost::Rebuilt));
            let mut away = follow(&client, everything(), Some(&last.after), 9).await;
            assert_eq!(next(&mut away).await, Err(Lost::Rebuilt));
        }
    });
}

/// Writes a row as a batch of its view, at the event where the view is.
async fn put_right(fleet: &Fleet, n: u128, email: &str) {
    let view = ViewDefinition::of::<Customer>("customers");
    let of = Generation { table: view.table, hash: view.hash.clone(), generation: 1 };
    let mut views = fleet.store.views("customers");
    let place = (EVENTS.to_owned(), shell::partition::partition_of(id(n), 3));
    let mut rows = fleet.store.rows("customers", Customer::TABLE);
    let row = rows.iter_mut().find(|it| it["id"] == id(n).to_string()).unwrap();
    row["email"] = email.into();
    let [to] = views.acquire(&of, std::slice::from_ref(&place)).await.unwrap().try_into().unwrap();
    let batch = ViewBatch {
        checkpoints: vec![CheckpointMove { from_pseq: to.pseq, to }],
        rows: [(id(n).to_string(), Some(row.clone()))].into(),
        changes: [(place, Touched { keys: [id(n).to_string()].into(), ..Touched::default() })]
            .into(),
        ..ViewBatch::default()
    };
    views.write(&view, &of, &batch).await.unwrap();
}

#[test]
fn filters_are_meant_as_those_of_queries() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        let is = |column, comparison, value: &str| {
            Filter::field(column, Test::Is(comparison, Column::Text(value.to_owned())))
        };
        let filters = [
            is("status", Comparison::Equal, "VERIFIED"),
            Filter::Not(Box::new(is("email", Comparison::Less, "2"))),
            Filter::Any(vec![
                Filter::field("verified_at", Test::IsNull(false)),
                Filter::field("email", Test::StartsWith("3".to_owned())),
            ]),
            Filter::Search(["2".to_owned()].into()),
        ];
        accepted(&client, invite(1, "xena@example.com")).await;
        until("it is shown", || shown(&fleet).len() == 1).await;
        let place = now(&client).await;
        all_accepted(&load(&client, 10, 30).await);
        for n in 10..25 {
            accepted(&client, VerifyCustomer { customer_id: id(n) }).await;
        }
        for filter in filters {
            let mut shown = Copy::default();
            let mut updates = follow(&client, filter.clone(), Some(&place), 1000).await;
            let expected = |it: &Copy| it.0.len() + it.1;
            while expected(&shown) < 30 {
                shown.take(next(&mut updates).await.unwrap());
            }
            let query = Query { filter, ..Query::default() };
            let rows = client.read::<Customer>(query, &Position::new(), WAIT).await;
            // Those that the indexes do not lead to, a query refuses.
            let Ok(rows) = rows else { continue };
            let rows = rows.rows.into_iter().filter(|it| it.id != id(1));
            let rows: BTreeMap<Uuid, Customer> = rows.map(|it| (it.id, it)).collect();
            assert_eq!(shown.0, rows);
        }
    });
}

/// What a follower would show.
#[derive(Default)]
struct Copy(BTreeMap<Uuid, Customer>, usize);

impl Copy {
    fn take(&mut self, update: Update<Customer>) {
        let before = if let Some(row) = update.row {
            self.0.insert(update.key, row.clone()).map(|it| (it.version, row.version))
        } else {
            self.1 += 1;
            self.0.remove(&update.key);
            None
        };
        assert!(before.is_none_or(|(old, new)| old <= new), "back in time: {before:?}");
    }
}

/// A copy that is kept by following is in the end the view, whatever happens to the servers and to the follower.
#[test]
fn a_copy_that_is_followed_is_the_view_in_the_end() {
    for seed in 1..12 {
        run(async |fleet| {
            let mut random = Random(seed);
            fleet.store.set_slow(seed);
            let _handler = fleet.handler::<Customers>();
            let mut aggregator = fleet.aggregator::<Customers>();
            let client = fleet.client::<Customers>();
            accepted(&client, invite(500, "first@x.org")).await;
            until("it is shown", || shown(&fleet).len() == 1).await;
            let mut copy: BTreeMap<Uuid, Customer> = BTreeMap::new();
            let all = client.read::<Customer>(Query::default(), &Position::new(), WAIT).await;
            let all = all.unwrap();
            copy.extend(all.rows.into_iter().map(|it| (it.id, it)));
            let mut place = all.position.to_string();
            let mut views = fleet.store.copy_views("customers");
            for round in 0..6 {
                let mut updates =
                    follow(&fleet.client::<Customers>(), everything(), Some(&place), 1000).await;
                let begin = 1000 * u128::from(seed) + round * 20;
                let takes = random.below(9);
                let changes = async {
                    all_accepted(&load(&client, begin, 8).await);
                    for n in 0..3 {
                        let customer_id = id(begin + n);
                        match random.below(3) {
                            0 => drop(accepted(&client, VerifyCustomer { customer_id }).await),
                            1 => drop(accepted(&client, RemoveCustomer { customer_id }).await),
                            _ => {
                                let email = format!("{begin}-{n}@x.org");
                                accepted(&client, ChangeCustomerEmail { customer_id, email }).await;
                            }
                        }
                    }
                };
                let following = async {
                    for _ in 0..takes {
                        let update = next(&mut updates).await.unwrap();
                        place = update.after.to_string();
                        drop(update.row.map(|it| copy.insert(update.key, it)));
                    }
                };
                futures::join!(changes, following);
                // It breaks off in the middle, and the view loses its last moments, or its loop.
                match random.below(4) {
                    0 => fleet.store.put_back_views("customers", views),
                    1 => {
                        aggregator.kill().await;
                        aggregator = fleet.aggregator::<Customers>();
                    }
                    2 => fleet.store.set_away(true),
                    _ => {}
                }
                pass(Duration::from_millis(300)).await;
                fleet.store.set_away(false);
                views = fleet.store.copy_views("customers");
            }
            let mut updates =
                follow(&fleet.client::<Customers>(), everything(), Some(&place), 1000).await;
            let end = shell::clock::Clock::system();
            while end.elapsed() < Duration::from_secs(40) {
                let update = end.timeout(Duration::from_secs(10), updates.next()).await;
                let Some(update) = update else { break };
                let update = update.unwrap().unwrap();
                drop(update.row.map(|it| copy.insert(update.key, it)));
            }
            let rows: Vec<Value> =
                copy.values().map(|it| serde_json::to_value(it).unwrap()).collect();
            assert_eq!(rows, shown(&fleet), "seed {seed}");
            drop(aggregator);
        });
    }
}

fn shown(fleet: &Fleet) -> Vec<Value> {
    fleet.store.rows("customers", Customer::TABLE)
}
