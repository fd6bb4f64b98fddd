//! Slow clients, vanished clients, too many of them, and the end.
use crate::server::{Server, answer};
use async_graphql::{Context, EmptyMutation, EmptySubscription, Object, Schema};
use bff::Config;
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, Semaphore},
};

/// Lets a test hold requests, and see them come and go.
#[derive(Default)]
struct Gate {
    inside: AtomicUsize,
    changed: Notify,
    open: Option<Semaphore>,
}

impl Gate {
    fn shut() -> Arc<Self> {
        Arc::new(Self { open: Some(Semaphore::new(0)), ..Self::default() })
    }

    fn open(&self) {
        if let Some(it) = &self.open {
            it.close();
        }
    }

    async fn has_inside(&self, count: usize) {
        loop {
            let changed = self.changed.notified();
            if self.inside.load(Ordering::SeqCst) == count {
                return;
            }
            changed.await;
        }
    }
}

struct Inside<'a>(&'a Gate);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

struct Query;

#[Object]
impl Query {
    async fn waits(&self, context: &Context<'_>) -> async_graphql::Result<bool> {
        let gate = context.data::<Arc<Gate>>()?;
        let _inside = Inside(gate);
        gate.inside.fetch_add(1, Ordering::SeqCst);
        gate.changed.notify_waiters();
        if let Some(it) = &gate.open {
            // Closed is open: everybody may pass.
            let _ = it.acquire().await;
        }
        Ok(true)
    }

    async fn long(&self, length: usize) -> String {
        "x".repeat(length)
    }
}

async fn server(gate: &Arc<Gate>, config: Config) -> Server {
    let schema =
        Schema::build(Query, EmptyMutation, EmptySubscription).data(Arc::clone(gate)).finish();
    Server::start(schema, config).await
}

/// What the server sends until it closes the connection.
async fn raw(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const SHORT: Duration = Duration::from_millis(200);
const WAITS: &str = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 19\r\n\r\n{\"query\":\"{waits}\"}";

#[tokio::test]
async fn beyond_the_room_requests_are_turned_away_at_once() {
    let gate = Gate::shut();
    let server = server(&gate, Config { in_flight: 2, ..Config::default() }).await;
    let ask = || answer(server.post(&json!({ "query": "{ waits }" })));
    let third = async {
        gate.has_inside(2).await;
        let third = ask().await;
        gate.open();
        third
    };
    let (first, second, third) = tokio::join!(ask(), ask(), third);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    assert_eq!((third.status.as_u16(), third.code()), (503, "UNAVAILABLE"));
    assert_eq!(third.header("retry-after"), Some("1"));
    assert_eq!(ask().await.status.as_u16(), 200);
}

#[tokio::test]
async fn beyond_the_connections_one_is_told_and_closed() {
    let gate = Gate::shut();
    let server = server(&gate, Config { connections: 1, ..Config::default() }).await;
    let mut first = TcpStream::connect(server.address).await.expect("connects");
    first.write_all(WAITS.as_bytes()).await.expect("writes");
    gate.has_inside(1).await;
    let second = raw(&server, "").await;
    assert!(second.starts_with("HTTP/1.1 503"), "{second}");
    let (head, body) = second.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["errors"][0]["extensions"]["code"], "UNAVAILABLE");
}

#[tokio::test]
async fn a_client_that_vanishes_ends_its_work() {
    let gate = Gate::shut();
    let server = server(&gate, Config::default()).await;
    let mut client = TcpStream::connect(server.address).await.expect("connects");
    client.write_all(WAITS.as_bytes()).await.expect("writes");
    gate.has_inside(1).await;
    drop(client);
    gate.has_inside(0).await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let gate = Gate::shut();
    let server = server(&gate, Config { request_time: SHORT, ..Config::default() }).await;
    let it = server.ask("{ waits }").await;
    assert_eq!((it.status.as_u16(), it.code()), (504, "TIMEOUT"));
    gate.has_inside(0).await;
}

#[tokio::test]
async fn a_slow_head_or_body_is_not_waited_for() {
    let gate = Gate::shut();
    let config = Config { head_time: SHORT, body_time: SHORT, in_flight: 1, ..Config::default() };
    let server = server(&gate, config).await;
    assert_eq!(raw(&server, "POST /graphql HTTP/1.1\r\nhost:").await, "");
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    // While they dawdle, others are served.
    gate.open();
    let (slow, quick) = tokio::join!(raw(&server, head), server.ask("{ waits }"));
    assert!(slow.starts_with("HTTP/1.1 408") && slow.contains("INVALID_REQUEST"), "{slow}");
    assert_eq!(quick.status.as_u16(), 200);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() {
    let gate = Gate::shut();
    let server =
        server(&gate, Config { write_time: SHORT, connections: 1, ..Config::default() }).await;
    let mut client = TcpStream::connect(server.address).await.expect("connects");
    let body = "{\"query\":\"{long(length:50000000)}\"}";
    let length = body.len();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    client.write_all(request.as_bytes()).await.expect("writes");
    // Its place is free again once it is given up.
    gate.open();
    loop {
        let next = raw(&server, &WAITS.replace("host: x", "host: x\r\nconnection: close")).await;
        if next.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(next.starts_with("HTTP/1.1 503"), "{next}");
    }
}

#[tokio::test]
async fn at_the_end_what_is_in_hand_is_finished() {
    let gate = Gate::shut();
    let mut server = server(&gate, Config::default()).await;
    let request = server.post(&json!({ "query": "{ waits }" }));
    let request = tokio::spawn(answer(request));
    gate.has_inside(1).await;
    server.shutdown.cancel();
    // No new connections are taken any more, but this one is finished.
    while TcpStream::connect(server.address).await.is_ok() {}
    gate.open();
    assert_eq!(request.await.expect("ends").status.as_u16(), 200);
    (&mut server.served).await.expect("ends").expect("in good order");
}

#[tokio::test]
async fn at_the_end_what_takes_too_long_is_dropped() {
    let gate = Gate::shut();
    let mut server = server(&gate, Config { stop_time: SHORT, ..Config::default() }).await;
    let request = tokio::spawn(server.post(&json!({ "query": "{ waits }" })).send());
    gate.has_inside(1).await;
    server.shutdown.cancel();
    (&mut server.served).await.expect("ends").expect("in good order");
    drop(request);
}
