//! What the socket does with whatever a client says: `graphql-transport-ws` to the letter, and its limits.
use crate::{
    fleet::{serve, whole},
    server::{Server, answer},
    socket::{Heard, Socket, request},
};
use async_graphql::{EmptyMutation, Object, Schema, Subscription};
use bff::Config;
use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use reqwest::Method;
use serde_json::{Value, json};
use shell::clock::Clock;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{client_async, tungstenite::Message};

struct Query;

#[Object]
impl Query {
    async fn one(&self) -> i32 {
        1
    }
}

struct Numbers;

#[Subscription]
impl Numbers {
    async fn count(&self, to: i32) -> impl Stream<Item = i32> {
        stream::iter(1..=to)
    }

    async fn silence(&self) -> BoxStream<'static, i32> {
        stream::pending().boxed()
    }

    async fn panics(&self) -> BoxStream<'static, i32> {
        stream::once(async { panic!("a defect, on purpose") }).boxed()
    }
}

async fn server(config: Config) -> Server {
    Server::start(Schema::new(Query, EmptyMutation, Numbers), config).await
}

fn closed(code: u16, reason: &str) -> Heard {
    Heard::Closed(code, reason.to_owned())
}

fn message(it: Value) -> Heard {
    Heard::Message(it)
}

#[tokio::test]
async fn a_subscription_is_answered_until_it_is_complete() {
    let server = server(Config::default()).await;
    let mut socket = Socket::begin(&server).await;
    for _ in 0..2 {
        // An id that is free again may be used again.
        socket.subscribe("a", "count(to: 3)").await;
        for n in 1..=3 {
            assert_eq!(socket.told("a", "next").await, json!({ "data": { "count": n } }));
        }
        assert_eq!(socket.told("a", "complete").await, Value::Null);
    }
    socket.say(&json!({ "type": "ping", "payload": { "x": 1 } })).await;
    assert_eq!(socket.hear().await, message(json!({ "type": "pong" })));
    socket.say(&json!({ "type": "pong" })).await;
    // What the client ends says nothing more.
    socket.subscribe("b", "silence").await;
    socket.say(&json!({ "id": "b", "type": "complete" })).await;
    socket.say(&json!({ "id": "never", "type": "complete" })).await;
    socket.subscribe("b", "count(to: 1)").await;
    assert_eq!(socket.told("b", "next").await, json!({ "data": { "count": 1 } }));
    socket.told("b", "complete").await;
    socket.subscribe("c", "panics").await;
    assert_eq!(socket.told("c", "error").await[0]["extensions"]["code"], "INTERNAL");
}

#[tokio::test]
async fn only_subscriptions_are_served() {
    let server = server(Config::default()).await;
    let mut socket = Socket::begin(&server).await;
    for (payload, code) in [
        (json!({ "query": "{ one }" }), "INVALID_DOCUMENT"),
        (json!({ "query": "subscription { count(to: 1) }", "x": 1 }), "INVALID_INPUT"),
        (json!({ "query": 1 }), "INVALID_INPUT"),
        (json!({}), "INVALID_INPUT"),
        (json!({ "query": format!("subscription {{ {} }}", "a ".repeat(6000)) }), "LIMIT_EXCEEDED"),
        (json!({ "query": format!("subscription {}", "{ a ".repeat(100)) }), "LIMIT_EXCEEDED"),
    ] {
        socket.say(&json!({ "id": "a", "type": "subscribe", "payload": payload })).await;
        let errors = socket.told("a", "error").await;
        assert_eq!(errors[0]["extensions"]["code"], code, "{errors}");
    }
}

#[tokio::test]
async fn what_is_no_message_ends_the_connection() {
    let server = server(Config::default()).await;
    let begun = json!({ "type": "connection_init" }).to_string();
    let long = "x".repeat(300);
    for (texts, code, reason) in [
        (vec!["rubbish".to_owned()], 4400, "not JSON"),
        (vec!["[".repeat(10_000)], 4400, "recursion limit"),
        (vec!["[]".to_owned()], 4400, "no object"),
        (vec!["{}".to_owned()], 4400, "no type"),
        (vec![json!({ "type": 1 }).to_string()], 4400, "no type"),
        (vec![json!({ "type": "start" }).to_string()], 4400, "there is no type \"start\""),
        (vec![json!({ "type": "connection_init", "payload": 1 }).to_string()], 4400, "payload"),
        (vec![json!({ "type": "ping", "payload": 1 }).to_string()], 4400, "payload"),
        (
            vec![
                json!({ "type": "connection_init", "payload": { "Flotilla-Position": "@@" } })
                    .to_string(),
            ],
            4400,
            "not a position",
        ),
        (vec![subscribe("a", "silence")], 4401, "Unauthorized"),
        (vec![begun.clone(), begun.clone()], 4429, "Too many initialisation requests"),
        (
            vec![begun.clone(), subscribe("a", "silence"), subscribe("a", "silence")],
            4409,
            "Subscriber for a already exists",
        ),
        (vec![begun.clone(), subscribe("", "silence")], 4400, "its id"),
        (vec![begun.clone(), subscribe(&long, "silence")], 4400, "its id"),
        (vec![begun.clone(), json!({ "type": "subscribe", "id": 1 }).to_string()], 4400, "its id"),
        (
            vec![begun.clone(), json!({ "type": "subscribe", "id": "a" }).to_string()],
            4400,
            "payload",
        ),
        (vec![begun.clone(), json!({ "type": "complete" }).to_string()], 4400, "its id"),
        (vec![json!({ "type": "\u{fc}".repeat(200) }).to_string()], 4400, "there is no type"),
    ] {
        let mut socket = Socket::connect(&server).await;
        for it in &texts {
            socket.say_text(it).await;
        }
        let end = loop {
            match socket.hear().await {
                Heard::Message(it) => assert_eq!(it["type"], "connection_ack", "{it}"),
                end => break end,
            }
        };
        let Heard::Closed(is, why) = end else { panic!("{texts:?}: gone without a word") };
        assert!(is == code && why.contains(reason), "{texts:?}: {is} {why}");
    }
}

fn subscribe(id: &str, field: &str) -> String {
    let payload = json!({ "query": format!("subscription {{ {field} }}") });
    json!({ "id": id, "type": "subscribe", "payload": payload }).to_string()
}

#[tokio::test]
async fn what_is_too_large_or_no_text_ends_the_connection() {
    let server = server(Config { body_bytes: 10_000, ..Config::default() }).await;
    let mut socket = Socket::begin(&server).await;
    socket.subscribe("a", &format!("count(to: 1) #{}\n", "x".repeat(9000))).await;
    socket.told("a", "next").await;
    socket.told("a", "complete").await;
    socket.say_text(&"x".repeat(20_000)).await;
    assert_eq!(socket.hear().await, closed(1009, "Message larger than 10000 bytes"));
    let mut socket = Socket::begin(&server).await;
    socket.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(socket.hear().await, closed(4400, "Invalid message: it is binary: send text"));
    assert_eq!(answer(server.post(&json!({ "query": "{ one }" }))).await.body["data"]["one"], 1);
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let server =
        server(Config { head_time: Duration::from_millis(200), ..Config::default() }).await;
    let mut silent = Socket::connect(&server).await;
    assert_eq!(silent.hear().await, closed(4408, "Connection initialisation timeout"));
    let mut socket = Socket::begin(&server).await;
    socket.subscribe("a", "silence").await;
    // The time is for the beginning only.
    Clock::system().sleep(Duration::from_millis(400)).await;
    socket.subscribe("b", "count(to: 1)").await;
    socket.told("b", "next").await;
}

#[tokio::test]
async fn other_protocols_and_other_sites_are_refused() {
    let server = server(Config::default()).await;
    let mut socket = Socket::with(&server, request(&server)).await;
    let reason = "Subprotocol not acceptable: offer graphql-transport-ws";
    assert_eq!(socket.hear().await, closed(4406, reason));
    for (origin, status) in [("https://example.com", 403), ("null", 403)] {
        let mut request = request(&server);
        request.headers_mut().insert("origin", origin.parse().expect("a value"));
        let stream = TcpStream::connect(server.address).await.expect("a connection");
        let error = client_async(request, stream).await.expect_err(origin);
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
    let mut same = request(&server);
    let origin = format!("http://{}", server.address);
    same.headers_mut().insert("origin", origin.parse().expect("a value"));
    same.headers_mut()
        .insert("sec-websocket-protocol", "x, graphql-transport-ws".parse().expect("a value"));
    let mut socket = Socket::with(&server, same).await;
    socket.say(&json!({ "type": "connection_init" })).await;
    assert_eq!(socket.hear().await, message(json!({ "type": "connection_ack" })));
    // Half a handshake is no socket.
    let half = server.request(Method::GET, "/graphql").header("upgrade", "websocket");
    assert_eq!(half.send().await.expect("an answer").status().as_u16(), 400);
}

#[tokio::test]
async fn subscriptions_and_connections_are_counted() {
    let config =
        Config { subscriptions: 3, subscriptions_each: 2, connections: 3, ..Config::default() };
    let server = server(config).await;
    let mut one = Socket::begin(&server).await;
    one.subscribe("a", "silence").await;
    one.subscribe("b", "silence").await;
    one.subscribe("c", "silence").await;
    let errors = one.told("c", "error").await;
    assert_eq!(errors[0]["extensions"]["limit"], "subscriptionsEach", "{errors}");
    let mut other = Socket::begin(&server).await;
    other.subscribe("a", "silence").await;
    other.subscribe("b", "silence").await;
    let errors = other.told("b", "error").await;
    assert_eq!(errors[0]["extensions"]["code"], "UNAVAILABLE", "{errors}");
    // Who has gone takes no place any more.
    drop(one);
    let begins = async {
        loop {
            other.subscribe("b", "count(to: 1)").await;
            match other.hear().await {
                Heard::Message(it) if it["type"] == "error" => tokio::task::yield_now().await,
                it => return it,
            }
        }
    };
    let next = Clock::system().timeout(Duration::from_secs(10), begins).await.expect("a place");
    assert_eq!(
        next,
        message(json!({ "id": "b", "type": "next", "payload": { "data": { "count": 1 } } }))
    );
    // A socket is a connection.
    let third = Socket::begin(&server).await;
    let fourth = Socket::begin(&server).await;
    let mut turned_away = TcpStream::connect(server.address).await.expect("a connection");
    let mut told = String::new();
    turned_away.shutdown().await.expect("nothing is asked");
    turned_away.read_to_string(&mut told).await.expect("an answer");
    assert!(told.starts_with("HTTP/1.1 503"), "{told}");
    drop((third, fourth));
}

#[tokio::test]
async fn sockets_and_streams_end_with_the_service() {
    let mut server = server(Config::default()).await;
    let mut socket = Socket::begin(&server).await;
    socket.subscribe("a", "silence").await;
    let query = json!({ "query": "subscription { silence }" });
    let events = server.post(&query).header("accept", "text/event-stream").send().await;
    let events = events.expect("an answer");
    assert!(events.status().is_success());
    server.shutdown.cancel();
    assert_eq!(socket.hear().await, closed(1001, "Going away: subscribe again elsewhere"));
    assert_eq!(events.text().await.expect("an end"), "", "no complete: it is to be begun again");
    let end = Clock::system().timeout(Duration::from_secs(2), &mut server.served).await;
    assert!(end.is_some(), "nothing holds it up");
}

#[tokio::test]
async fn a_stream_of_events_says_what_is_wrong() {
    let server = server(Config::default()).await;
    let stream = |document: &str| {
        server.post(&json!({ "query": document })).header("accept", "text/event-stream")
    };
    let it = stream("subscription { count(to: 2) }").send().await.expect("an answer");
    assert_eq!(
        it.text().await.expect("text"),
        "event: next\ndata: {\"data\":{\"count\":1}}\n\nevent: next\ndata: {\"data\":{\"count\":2}}\n\n\
         event: complete\ndata:\n\n"
    );
    for document in ["{ one }", "subscription { a: silence b: silence }", "{"] {
        let it = answer(stream(document)).await;
        assert_eq!(it.code(), "INVALID_DOCUMENT", "{document}");
    }
    let it = stream("subscription { nothing }").send().await.expect("an answer");
    let text = it.text().await.expect("text");
    assert!(
        text.starts_with("event: next\ndata: {\"errors\":[{")
            && text.ends_with("event: complete\ndata:\n\n"),
        "{text}"
    );
    let it = answer(server.post(&json!({ "query": "subscription { silence }" }))).await;
    assert!(it.message().contains("text/event-stream"), "{}", it.body);
}

#[tokio::test]
async fn who_is_too_slow_is_told_to_query_again() {
    whole(async |fleet, _| {
        let config = Config { subscription_rows: 5, ..Config::default() };
        let server = serve(&fleet, config).await;
        let mut socket = Socket::begin(&server).await;
        server.invite("ada@example.com").await;
        let position =
            server.ask("{ customers { totalCount } }").await.body["extensions"]["position"].clone();
        // More than fits changes while nobody is there to take it.
        for n in 0..12 {
            server.invite(&format!("c{n}@example.com")).await;
        }
        let field = format!("customersChanged(after: {position}) {{ id }}");
        socket.subscribe("a", &field).await;
        let payload = socket.told("a", "next").await;
        let error = &payload["errors"][0];
        assert_eq!(error["extensions"]["code"], "RESYNC", "{payload}");
        assert!(
            error["message"].as_str().is_some_and(|it| it.contains("query again")),
            "{payload}"
        );
        socket.told("a", "complete").await;
    })
    .await;
}
