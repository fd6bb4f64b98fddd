//! What live updates rest on in Postgres and Kafka: the log of changes, and positions that outlive both.
use crate::{
    fleet::{Fleet, events, whole},
    rebuild::succeeds,
    server::{Server, answer, until_some},
    servers::{delete_topic, has_topic},
    socket::Socket,
    topics,
};
use serde_json::{Value, json};
use shell::ids;

const ALL: &str = "{ customers(first: 1) { totalCount } }";

/// How far the view of the customers is.
pub(crate) async fn position(server: &Server) -> String {
    let it = server.ask(ALL).await;
    it.body["extensions"]["position"].as_str().expect("a position").to_owned()
}

/// Somebody who follows customers, from after this position.
pub(crate) async fn subscribed(server: &Server, after: &str) -> Socket {
    let mut socket = Socket::begin(server).await;
    let field =
        format!("customersChanged(after: {after:?}) {{ id position customer {{ version }} }}");
    socket.subscribe("a", &field).await;
    socket
}

#[tokio::test]
async fn what_is_forgotten_is_not_passed_over() {
    whole(async |fleet, server| {
        server.invite("ada@example.com").await;
        let before = position(&server).await;
        let bob = server.invite("bob@example.com").await;
        let mut socket = subscribed(&server, &before).await;
        assert_eq!(socket.change("a").await["id"], bob["id"]);
        // The hour is over; whoever keeps a view forgets what is older.
        let of_customers = "read.change where view = 'customer'";
        fleet.sql("update read.change set at = at - interval '61 minutes' where view = 'customer'");
        fleet.until_sql(&format!("select count(*) from {of_customers}"), "0").await;
        let mut late = subscribed(&server, &before).await;
        let payload = late.told("a", "next").await;
        assert_eq!(payload["errors"][0]["extensions"]["code"], "RESYNC", "{payload}");
        late.told("a", "complete").await;
        let metrics = server.text("/metrics").await;
        // Other tests of this process count as well.
        for name in [
            "flotilla_live_resyncs_total{view=\"customer\",reason=\"too-old\"}",
            "flotilla_live_rows_total{view=\"customer\"}",
            "flotilla_live_followers{view=\"customer\"}",
        ] {
            let line = metrics.lines().find(|it| it.starts_with(name)).unwrap_or_default();
            let count = line.rsplit(' ').next().and_then(|it| it.parse::<f64>().ok());
            assert!(count.is_some_and(|it| it >= 1.0), "{name}: {line:?}");
        }
        // Those who were there go on.
        let cleo = server.invite("cleo@example.com").await;
        assert_eq!(socket.change("a").await["id"], cleo["id"]);
        // What is not forgotten fits together with what was.
        let log =
            "select count(*) from read.change c where view = 'customer' and from_pseq >= pseq";
        assert_eq!(fleet.sql(log), "0");
    })
    .await;
}

#[tokio::test]
async fn who_follows_a_view_that_is_rebuilt_is_told() {
    whole(async |fleet, server| {
        server.invite("ada@example.com").await;
        let mut socket = subscribed(&server, &position(&server).await).await;
        let bob = server.invite("bob@example.com").await;
        let last = socket.change("a").await;
        assert_eq!(last["id"], bob["id"]);
        // Its rows may be others now, which no event tells.
        succeeds(&fleet, &["rebuild", "customer"]).await;
        let payload = socket.told("a", "next").await;
        assert_eq!(payload["errors"][0]["extensions"]["code"], "RESYNC", "{payload}");
        socket.told("a", "complete").await;
        // Also who was away meanwhile.
        let mut away = subscribed(&server, last["position"].as_str().unwrap_or_default()).await;
        let payload = away.told("a", "next").await;
        assert_eq!(payload["errors"][0]["extensions"]["code"], "RESYNC", "{payload}");
        let mut again = subscribed(&server, &position(&server).await).await;
        let cleo = server.invite("cleo@example.com").await;
        assert_eq!(again.change("a").await["id"], cleo["id"]);
        // What was seen before the rebuild and the roll back, is seen after them.
        let seen = position(&server).await;
        succeeds(&fleet, &["rollback", "customer"]).await;
        let it = answer(server.ask_after(&seen, ALL)).await;
        assert_eq!(it.body["data"]["customers"]["totalCount"], 3, "{}", it.body);
    })
    .await;
}

#[tokio::test]
async fn positions_outlive_a_recreated_kafka() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    let mut ada = Value::Null;
    for n in 0..10 {
        ada = server.invite(&format!("c{n}@example.com")).await;
    }
    let before = position(&server).await;
    let id = json!({ "customerId": ada["id"] });
    let verified = server.mutate("verifyCustomer", id).await;
    let seen = verified.header("flotilla-position").expect("a position").to_owned();
    drop(server);
    let names = fleet.names();
    for topic in [names.events("customers"), names.commands("customers"), names.replies()] {
        delete_topic(&fleet.addresses, &topic);
        let is_gone = async || (!has_topic(&fleet.addresses, &topic)).then_some(());
        until_some("the topic is gone", is_gone).await;
    }
    let server = fleet.whole().await;
    let document =
        format!("{{ customer(id: {}) {{ version }} customers {{ totalCount }} }}", ada["id"]);
    let it = answer(server.ask_after(&seen, &document)).await;
    let expected = json!({ "customer": { "version": 2 }, "customers": { "totalCount": 10 } });
    assert_eq!(it.body["data"], expected, "{}", it.body);
    // Subscribers too go on from where they were, and what happens now comes after all that was.
    let mut socket = subscribed(&server, &before).await;
    let change = socket.change("a").await;
    assert_eq!((&change["id"], &change["customer"]["version"]), (&ada["id"], &json!(2)));
    // Kafka may take a while.
    let id = json!({ "customerId": ada["id"], "commandId": ids::new_id() });
    let removed = until_some("a mutation is answered", async || {
        let it = server.mutate("removeCustomer", id.clone()).await;
        it.body.get("errors").is_none().then_some(it)
    });
    let removed = removed.await;
    let later = removed.header("flotilla-position").expect("a position");
    let it = answer(server.ask_after(later, &document)).await;
    assert_eq!(it.body["data"]["customer"]["version"], 3, "{}", it.body);
    assert_eq!(socket.change("a").await["customer"]["version"], 3);
    // Nobody asked for them, and all events are in the log again.
    let topic = names.events("customers");
    let all = i64::try_from(events(&fleet)).expect("few");
    let is_whole = async || (topics::count(&fleet, &topic).await >= all).then_some(());
    until_some("all events are in the log again", is_whole).await;
}
