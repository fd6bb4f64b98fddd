//! Following what changes, on either shell: what is pushed is the latest row, in order, and nothing is missed.
use crate::{
    fleet::{serve, whole},
    server::Server,
    socket::Socket,
};
use bff::Config;
use serde_json::{Value, json};

const CHANGE: &str = "id position customer { id email status version }";

fn customers(arguments: &str) -> String {
    format!("customersChanged{arguments} {{ {CHANGE} }}")
}

async fn verify(server: &Server, id: &Value) {
    let it = server.mutate("verifyCustomer", json!({ "customerId": id })).await;
    assert_eq!(it.body.get("errors"), None, "{}", it.body);
}

async fn rename(server: &Server, id: &Value, email: &str) {
    let input = json!({ "customerId": id, "email": email });
    let it = server.mutate("changeCustomerEmail", input).await;
    assert_eq!(it.body.get("errors"), None, "{}", it.body);
}

async fn remove(server: &Server, id: &Value) {
    let it = server.mutate("removeCustomer", json!({ "customerId": id })).await;
    assert_eq!(it.body.get("errors"), None, "{}", it.body);
}

/// The position of a query's answer.
async fn now(server: &Server) -> String {
    let it = server.ask("{ customers(first: 1) { totalCount } }").await;
    it.body["extensions"]["position"].as_str().map(str::to_owned).unwrap_or_default()
}

/// The row that a subscription to one customer is told of once it has this version: those before come in order.
async fn version(socket: &mut Socket, id: &str, version: i64) -> Value {
    let mut last = 0;
    loop {
        let change = socket.change(id).await;
        let it = change["customer"]["version"].as_i64().unwrap_or_default();
        assert!(it >= last && it <= version, "{it} after {last}: {change}");
        last = it;
        if it == version {
            return change;
        }
    }
}

#[tokio::test]
async fn a_customer_is_followed_from_what_it_is_now() {
    whole(async |_fleet, server| {
        let ada = server.invite("ada@example.com").await;
        let mut socket = Socket::begin(&server).await;
        let field = format!("customerChanged(id: {}) {{ {CHANGE} }}", ada["id"]);
        socket.subscribe("a", &field).await;
        let first = version(&mut socket, "a", 1).await;
        assert_eq!((&first["id"], &first["customer"]["status"]), (&ada["id"], &json!("INVITED")));
        verify(&server, &ada["id"]).await;
        let change = version(&mut socket, "a", 2).await;
        assert_eq!(change["customer"]["status"], "VERIFIED");
        // Somebody else is nobody's business here.
        server.invite("bob@example.com").await;
        rename(&server, &ada["id"], "ada@example.org").await;
        let change = version(&mut socket, "a", 3).await;
        assert_eq!(change["customer"]["email"], "ada@example.org");
        // One who is not there yet.
        let id = json!("0189f7b4-9c55-7a3e-8d7a-6f2f0c8f7a11");
        socket.subscribe("b", &format!("customerChanged(id: {id}) {{ {CHANGE} }}")).await;
        let change = socket.change("b").await;
        assert_eq!((&change["id"], &change["customer"]), (&id, &Value::Null));
        let input = json!({ "email": "cleo@example.com", "customerId": id });
        server.mutate("inviteCustomer", input).await;
        version(&mut socket, "b", 1).await;
        socket.say(&json!({ "id": "b", "type": "complete" })).await;
        socket.say(&json!({ "type": "ping" })).await;
        assert_eq!(socket.hear().await, crate::socket::Heard::Message(json!({ "type": "pong" })));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_missed_between_a_query_and_a_subscription() {
    whole(async |_fleet, server| {
        server.invite("ada@example.com").await;
        let position = now(&server).await;
        let bob = server.invite("bob@example.com").await;
        verify(&server, &bob["id"]).await;
        let mut socket = Socket::begin(&server).await;
        socket.subscribe("a", &customers(&format!("(after: {position:?})"))).await;
        let change = socket.change("a").await;
        assert_eq!((&change["id"], &change["customer"]["version"]), (&bob["id"], &json!(2)));
        let cleo = server.invite("cleo@example.com").await;
        assert_eq!(socket.change("a").await["id"], cleo["id"]);
    })
    .await;
}

#[tokio::test]
async fn whoever_comes_again_misses_no_last_state() {
    whole(async |fleet, server| {
        let ada = server.invite("ada@example.com").await;
        let mut socket = Socket::begin(&server).await;
        socket.subscribe("a", &customers(&format!("(after: {:?})", now(&server).await))).await;
        let bob = server.invite("bob@example.com").await;
        let last = socket.change("a").await;
        assert_eq!(last["id"], bob["id"]);
        drop(socket);
        // While nobody listens: one changes twice, one is removed, one is new.
        verify(&server, &ada["id"]).await;
        rename(&server, &ada["id"], "ada@example.org").await;
        remove(&server, &bob["id"]).await;
        let cleo = server.invite("cleo@example.com").await;
        // Another BFF has never heard of the subscriber.
        let other = serve(&fleet, Config::default()).await;
        for server in [&server, &other] {
            let mut socket = Socket::begin(server).await;
            socket.subscribe("b", &customers(&format!("(after: {})", last["position"]))).await;
            let mut told = std::collections::BTreeMap::new();
            for _ in 0..3 {
                let change = socket.change("b").await;
                let customer = &change["customer"];
                told.insert(
                    change["id"].to_string(),
                    (customer["version"].clone(), customer["status"].clone()),
                );
            }
            let expected = [(&ada, 3, "INVITED"), (&bob, 2, "REMOVED"), (&cleo, 1, "INVITED")];
            let expected = expected.map(|(it, version, status)| {
                (it["id"].to_string(), (json!(version), json!(status)))
            });
            assert_eq!(told, expected.into_iter().collect());
        }
    })
    .await;
}

#[tokio::test]
async fn who_does_not_pass_the_filter_any_more_is_gone() {
    whole(async |_fleet, server| {
        let ada = server.invite("ada@example.com").await;
        let mut socket = Socket::begin(&server).await;
        let position = now(&server).await;
        let filter = "where: { status: { eq: INVITED }, not: { email: { startsWith: \"x\" } } }";
        socket.subscribe("a", &customers(&format!("({filter}, after: {position:?})"))).await;
        rename(&server, &ada["id"], "ada@example.org").await;
        assert_eq!(socket.change("a").await["customer"]["email"], "ada@example.org");
        verify(&server, &ada["id"]).await;
        let change = socket.change("a").await;
        assert_eq!((&change["id"], &change["customer"]), (&ada["id"], &Value::Null));
        let xena = server.invite("xena@example.com").await;
        let change = socket.change("a").await;
        assert_eq!((&change["id"], &change["customer"]), (&xena["id"], &Value::Null));
        server.invite("bob@example.com").await;
        assert_eq!(socket.change("a").await["customer"]["email"], "bob@example.com");
        // What needs an index as a query needs none here.
        let filter = "where: { email: { contains: \"cle\" } }";
        let mut socket = Socket::begin(&server).await;
        socket.subscribe("b", &customers(&format!("({filter})"))).await;
        let cleo = async {
            loop {
                let change = socket.change("b").await;
                if !change["customer"].is_null() {
                    return change;
                }
            }
        };
        let (change, ()) = futures::join!(cleo, async {
            // The subscription begins with what changes after it, whenever that is.
            let cleo = server.invite("cleo@example.com").await;
            rename(&server, &cleo["id"], "cleo@example.org").await;
            verify(&server, &cleo["id"]).await;
        });
        assert!(change["customer"]["email"].as_str().is_some_and(|it| it.starts_with("cleo")));
    })
    .await;
}

#[tokio::test]
async fn the_states_of_a_row_come_in_their_order() {
    whole(async |_fleet, server| {
        let ada = server.invite("ada@example.com").await;
        let mut sockets = Vec::new();
        for _ in 0..3 {
            let mut socket = Socket::begin(&server).await;
            let field = format!("customerChanged(id: {}) {{ {CHANGE} }}", ada["id"]);
            socket.subscribe("a", &field).await;
            sockets.push(socket);
        }
        let changes = async {
            for n in 0..20 {
                rename(&server, &ada["id"], &format!("ada-{n}@example.com")).await;
            }
        };
        let followed = sockets.iter_mut().map(|it| version(it, "a", 21));
        futures::join!(changes, futures::future::join_all(followed));
    })
    .await;
}

#[tokio::test]
async fn events_are_streamed_without_a_socket() {
    whole(async |_fleet, server| {
        let ada = server.invite("ada@example.com").await;
        let query = format!("subscription {{ customerChanged(id: {}) {{ {CHANGE} }} }}", ada["id"]);
        let request = server.post(&json!({ "query": query })).header("accept", "text/event-stream");
        let mut response = request.send().await.expect("an answer");
        let media = response.headers()["content-type"].to_str().expect("text").to_owned();
        assert!(
            response.status().is_success() && media.starts_with("text/event-stream"),
            "{media}"
        );
        let mut text = String::new();
        let mut verified = false;
        while !text.contains("VERIFIED") {
            let chunk = response.chunk().await.expect("a chunk").expect("more");
            text.push_str(std::str::from_utf8(&chunk).expect("text"));
            if !verified && text.contains("INVITED") {
                verified = true;
                verify(&server, &ada["id"]).await;
            }
        }
        assert!(text.starts_with("event: next\ndata: {\"data\":{\"customerChanged\":{"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_a_subscription_is_said() {
    whole(async |_fleet, server| {
        server.invite("ada@example.com").await;
        let mut socket = Socket::begin(&server).await;
        // The position of an event that never was.
        let mut forged = shell::position::Position::new();
        forged.saw("customers", 1, 0, 1_000_000);
        for (arguments, code) in [
            ("(after: \"rubbish\")".to_owned(), "INVALID_INPUT"),
            (format!("(after: {:?})", "A".repeat(5000)), "INVALID_INPUT"),
            (format!("(after: \"{forged}\")"), "FAILED"),
            ("(where: { search: \"!\" })".to_owned(), "INVALID_INPUT"),
            (format!("(after: \"99.{}\")", now(&server).await), "RESYNC"),
        ] {
            socket.subscribe("a", &customers(&arguments)).await;
            let payload = socket.told("a", "next").await;
            assert_eq!(payload["errors"][0]["extensions"]["code"], code, "{arguments}: {payload}");
            socket.told("a", "complete").await;
        }
        for (document, code) in [
            ("nothing { id }", "INVALID_DOCUMENT"),
            ("customersChanged { id", "INVALID_DOCUMENT"),
            ("a: customersChanged { id } b: customersChanged { id }", "INVALID_DOCUMENT"),
            ("customerChanged { id }", "INVALID_DOCUMENT"),
            ("customersChanged(where: { email: { eq: 1 } }) { id }", "INVALID_INPUT"),
            ("customersChanged(where: { id: { eq: \"x\" } }) { id }", "INVALID_INPUT"),
        ] {
            socket.subscribe("a", document).await;
            let errors = socket.told("a", "error").await;
            assert_eq!(errors[0]["extensions"]["code"], code, "{document}: {errors}");
        }
        // It is as good as new.
        let bob = async { server.invite("bob@example.com").await };
        socket.subscribe("a", &customers(&format!("(after: {:?})", now(&server).await))).await;
        let (change, bob) = futures::join!(socket.change("a"), bob);
        assert_eq!(change["id"], bob["id"]);
    })
    .await;
}
