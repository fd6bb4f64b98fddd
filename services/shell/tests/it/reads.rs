//! Which rows a read answers with, in which order, and whether there are more.
use crate::fleet::{WAIT, accepted, id, invite, rows, run, run_with};
use customers::{
    Customers,
    views::{Customer, InvitationsPerDay},
};
use shell::{
    Client,
    memory::{Fleet, FleetOptions},
    position::Position,
    reads::{Comparison, Filter, Place, Query, ReadError, Test, Value},
};

/// Customers 1 to `count`, and where they can be seen.
async fn customers(client: &Client, count: u128) -> Position {
    let mut seen = Position::new();
    for n in 1..=count {
        seen.merge(&accepted(client, invite(n, &format!("{n}@example.com"))).await.position);
    }
    seen
}

fn numbers(rows: &[Customer]) -> Vec<u128> {
    rows.iter().map(|it| it.id.as_u128()).collect()
}

fn with_customers(count: u128, test: impl AsyncFnOnce(&Fleet, Client, Position)) {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        let seen = customers(&client, count).await;
        test(&fleet, client, seen).await;
    });
}

#[test]
fn keys_find_their_rows_in_order_and_nothing_else() {
    with_customers(5, async |_, client, seen| {
        let keys = Query::keys::<Customer>([4, 9, 2, 2].map(id));
        let found = rows::<Customer>(&client, keys, &seen).await;
        assert_eq!((numbers(&found.rows), found.total, found.more), (vec![2, 4], None, false));
        let none = rows::<Customer>(&client, Query::keys::<Customer>([]), &seen).await;
        assert_eq!(none.rows, []);
        assert_eq!(none.position, seen, "it tells how new it is even so");
    });
}

#[test]
fn pages_follow_each_other_forward_and_backward() {
    with_customers(7, async |_, client, seen| {
        let page = async |query: Query| {
            let found = rows::<Customer>(&client, query, &seen).await;
            (numbers(&found.rows), found.more, found.total)
        };
        let key = |n| Some(Place(vec![Some(Value::Uuid(id(n)))]));
        let first = Query { count: true, ..Query::first(3) };
        assert_eq!(page(first.clone()).await, (vec![1, 2, 3], true, Some(7)));
        let next = Query { after: key(3), ..first.clone() };
        assert_eq!(page(next).await, (vec![4, 5, 6], true, Some(7)));
        let end = Query { after: key(6), count: false, ..first.clone() };
        assert_eq!(page(end).await, (vec![7], false, None));
        let exact = Query { after: key(4), ..first.clone() };
        assert_eq!(page(exact).await, (vec![5, 6, 7], false, Some(7)));
        let last = Query { backward: true, ..first.clone() };
        assert_eq!(page(last.clone()).await, (vec![5, 6, 7], true, Some(7)));
        let before = Query { before: key(5), ..last.clone() };
        assert_eq!(page(before).await, (vec![2, 3, 4], true, Some(7)));
        let begin = Query { before: key(4), ..last.clone() };
        assert_eq!(page(begin).await, (vec![1, 2, 3], false, Some(7)));
        let between = Query { after: key(2), before: key(5), ..first.clone() };
        assert_eq!(page(between).await, (vec![3, 4], false, Some(7)));
        let empty = Query { after: key(5), before: key(2), ..first.clone() };
        assert_eq!(page(empty).await, (vec![], false, Some(7)));
        let past = Query { after: key(99), ..first.clone() };
        assert_eq!(page(past).await, (vec![], false, Some(7)));
        let none = Query { limit: Some(0), ..first };
        assert_eq!(page(none).await, (vec![], true, Some(7)));
    });
}

#[test]
fn a_range_includes_both_ends() {
    with_customers(6, async |_, client, seen| {
        let range = async |from: Option<u128>, to: Option<u128>| {
            let bound = |is, it: Option<u128>| {
                it.map(|n| Filter::field("id", Test::Is(is, Value::Uuid(id(n)))))
            };
            let from = bound(Comparison::GreaterOrEqual, from);
            let to = bound(Comparison::LessOrEqual, to);
            let filter = Filter::All(from.into_iter().chain(to).collect());
            let query = Query { filter, ..Query::default() };
            numbers(&rows::<Customer>(&client, query, &seen).await.rows)
        };
        assert_eq!(range(None, None).await, [1, 2, 3, 4, 5, 6]);
        assert_eq!(range(Some(2), Some(4)).await, [2, 3, 4]);
        assert_eq!(range(Some(5), None).await, [5, 6]);
        assert_eq!(range(None, Some(1)).await, [1]);
        assert_eq!(range(Some(4), Some(2)).await, [0; 0]);
    });
}

#[test]
fn a_view_that_spans_streams_is_read_by_its_own_key() {
    with_customers(6, async |_, client, seen| {
        let all = Query::default();
        let days = rows::<InvitationsPerDay>(&client, all, &seen).await.rows;
        assert_eq!((days.len(), days[0].invited), (1, 6));
        let query = Query::keys::<InvitationsPerDay>([days[0].day]);
        assert_eq!(rows::<InvitationsPerDay>(&client, query, &seen).await.rows, days);
    });
}

#[test]
fn a_view_that_nobody_builds_yet_is_being_built() {
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        let all = Query::default();
        let error = client.read::<Customer>(all.clone(), &Position::new(), WAIT).await.unwrap_err();
        assert_eq!(error, ReadError::Rebuilding { view: "customer".to_owned() });
        // And is there as soon as it is built.
        let nowhere = Position::new();
        let (found, _aggregator) =
            futures::join!(client.read::<Customer>(all, &nowhere, WAIT), async {
                fleet.aggregator::<Customers>()
            });
        assert_eq!(found.unwrap().rows, []);
    });
}

#[test]
fn a_view_that_has_to_catch_up_is_not_shown_half() {
    let small = FleetOptions { batch_max: 5, ..FleetOptions::default() };
    run_with(small, async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        customers(&client, 400).await;
        // So that a reader comes in between.
        fleet.store.set_slow(7);
        let all = || Query { count: true, ..Query::first(1) };
        let _aggregator = fleet.aggregator::<Customers>();
        let found = client.read::<Customer>(all(), &Position::new(), WAIT).await.unwrap();
        assert_eq!(found.total, Some(400), "all that was there when it began, or an error");
    });
}

#[test]
fn with_the_store_away_a_read_says_so() {
    with_customers(1, async |fleet, client, seen| {
        fleet.store.set_away(true);
        let all = Query::default();
        let error = client.read::<Customer>(all, &seen, WAIT).await.unwrap_err();
        assert!(matches!(error, ReadError::Unavailable(_)), "{error:?}");
    });
}
