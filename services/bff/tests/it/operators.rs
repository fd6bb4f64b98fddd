//! Dead letters over GraphQL: for those who know the token, and nobody else.
use crate::{
    client::{Answer, answer},
    fleet::{bare, serve},
    server::Server,
};
use bff::Config;
use customers::Customers;
use reqwest::Method;
use serde_json::{Value, json};
use shell::{memory::Fleet, port::log::Outgoing};
use std::time::Duration;

const TOKEN: &str = "0123456789abcdef";

fn config() -> Config {
    Config { operator_token: TOKEN.parse().ok(), ..Config::default() }
}

async fn ask_with(server: &Server, token: Option<&str>, query: &str, input: &Value) -> Answer {
    let body = json!({ "query": query, "variables": { "input": input } });
    let request = server.request(Method::POST, "/graphql").json(&body);
    let request = match token {
        Some(token) => request.header("Flotilla-Operator", token),
        None => request,
    };
    answer(request).await
}

async fn ask(server: &Server, query: &str, input: &Value) -> Answer {
    ask_with(server, Some(TOKEN), query, input).await
}

const LIST: &str = "{ deadLetters { totalCount nodes { id code reason waitsBehind isAsked resolution streamId commandId at resolvedAt } } }";
const SHOW: &str = "query ($input: String!) { deadLetter(id: $input) { letter { id } headers record body bytes operations { at actor action reason result } } }";
const RETRY: &str = "mutation ($input: RetryDeadLettersInput!) { retryDeadLetters(input: $input) { streams isPending waiting { id reason } } }";
const DISCARD: &str = "mutation ($input: DiscardDeadLetterInput!) { discardDeadLetter(input: $input) { streams isPending waiting { id } } }";
const RESUBMIT: &str = "mutation ($input: ResubmitCommandInput!) { resubmitCommand(input: $input) { command { commandId status reason version } isResolved } }";

/// A record on the command topic that is no command.
fn rubbish(fleet: &Fleet) {
    let topic = "customers.commands".into();
    let (key, payload) = (b"who".to_vec(), b"what".to_vec());
    fleet.log.append(Outgoing { topic, part: 1, key, headers: Vec::new(), payload });
}

async fn until_listed(server: &Server, total: i64) -> Value {
    let mut pulse = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..500 {
        pulse.tick().await;
        let it = ask(server, LIST, &Value::Null).await.body["data"]["deadLetters"].clone();
        if it["totalCount"] == total {
            return it["nodes"].clone();
        }
    }
    panic!("there are never {total} letters");
}

#[tokio::test]
async fn without_the_token_there_is_nothing_to_see_and_nothing_is_done() {
    bare(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let (open, closed) =
            (serve(&fleet, config()).await, serve(&fleet, Config::default()).await);
        rubbish(&fleet);
        until_listed(&open, 1).await;
        let id = "customers/commands/1:0";
        let actions = [
            (LIST, Value::Null),
            (SHOW, json!(id)),
            (RETRY, json!({ "all": true, "actor": "eve" })),
            (DISCARD, json!({ "id": id, "actor": "eve", "reason": "mine" })),
            (RESUBMIT, json!({ "id": id, "actor": "eve", "record": "VerifyCustomer", "body": {} })),
            // Whoever is not let in is not told either what would be wrong.
            (SHOW, json!("rubbish")),
            (DISCARD, json!({ "id": "rubbish", "actor": "", "reason": "" })),
        ];
        for (query, input) in &actions {
            let almost = "0123456789abcdeF";
            for (server, token) in [
                (&open, None),
                (&open, Some("")),
                (&open, Some(almost)),
                (&closed, None),
                (&closed, Some(TOKEN)),
                (&closed, Some("")),
            ] {
                let it = ask_with(server, token, query, input).await;
                assert_eq!(it.code(), "FORBIDDEN", "{query} {token:?}: {}", it.body);
                let data = it.body["data"].as_object().into_iter().flat_map(|it| it.values());
                assert!(data.into_iter().all(Value::is_null), "{}", it.body);
            }
        }
        assert_eq!(until_listed(&open, 1).await[0]["resolution"], Value::Null);
        let shown = ask(&open, SHOW, &json!(id)).await.body["data"]["deadLetter"].clone();
        assert_eq!(shown["operations"], json!([]), "nobody has done anything");
    })
    .await;
}

#[tokio::test]
async fn a_command_is_looked_at_and_told_anew() {
    bare(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let server = serve(&fleet, config()).await;
        rubbish(&fleet);
        let letters = until_listed(&server, 1).await;
        assert_eq!(
            (&letters[0]["id"], &letters[0]["code"]),
            (&json!("customers/commands/1:0"), &json!("UNDECODABLE"))
        );
        let id = letters[0]["id"].clone();
        let shown = ask(&server, SHOW, &id).await.body["data"]["deadLetter"].clone();
        assert_eq!((&shown["bytes"], &shown["body"]), (&json!("77686174"), &Value::Null));
        let customer = "00000000-0000-0000-0000-000000000007";
        let resubmit = async |body: Value| {
            let input =
                json!({ "id": id, "actor": "ada", "record": "InviteCustomer", "body": body });
            ask(&server, RESUBMIT, &input).await
        };
        let it = resubmit(json!({ "customer_id": customer })).await;
        assert_eq!(
            (it.code(), it.path()),
            ("INVALID_INPUT", &json!(["input", "body"])),
            "{}",
            it.body
        );
        let it = resubmit(json!({ "customer_id": customer, "email": "no address" })).await;
        let payload = &it.body["data"]["resubmitCommand"];
        assert_eq!(
            (&payload["command"]["status"], &payload["isResolved"]),
            (&json!("REJECTED"), &json!(false))
        );
        let it = resubmit(json!({ "customer_id": customer, "email": "ada@example.com" })).await;
        let payload = &it.body["data"]["resubmitCommand"];
        assert_eq!(
            (&payload["command"]["status"], &payload["isResolved"]),
            (&json!("ACCEPTED"), &json!(true)),
            "{}",
            it.body
        );
        until_listed(&server, 0).await;
        // Whoever resubmitted it sees it.
        let position = it.header("flotilla-position").expect("a position");
        let query = format!("{{ customer(id: \"{customer}\") {{ email }} }}");
        let seen = answer(server.ask_after(position, &query)).await;
        assert_eq!(seen.body["data"]["customer"]["email"], "ada@example.com");
        let shown = ask(&server, SHOW, &id).await.body["data"]["deadLetter"].clone();
        assert_eq!(shown["operations"].as_array().map(Vec::len), Some(2));
        assert_eq!(shown["operations"][0]["actor"], "ada");
    })
    .await;
}

#[tokio::test]
async fn hostile_arguments_are_refused_by_name() {
    bare(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let server = serve(&fleet, config()).await;
        rubbish(&fleet);
        until_listed(&server, 1).await;
        let id = "customers/commands/1:0";
        let long = "x".repeat(2_000);
        for (query, input, path) in [
            (SHOW, json!("customers/commands/-1:0"), json!(["id"])),
            (SHOW, json!("'; drop table x; --"), json!(["id"])),
            (SHOW, json!("nowhere/commands/1:0"), json!(["context"])),
            (RETRY, json!({ "actor": "ada" }), json!(["input"])),
            (RETRY, json!({ "actor": "ada", "all": true, "view": "customer" }), json!(["input"])),
            (RETRY, json!({ "actor": "\u{0}", "all": true }), json!(["input", "actor"])),
            (
                RETRY,
                json!({ "actor": "ada", "all": true, "reason": long }),
                json!(["input", "reason"]),
            ),
            (
                RETRY,
                json!({ "actor": "ada", "context": "nowhere\u{0}" }),
                json!(["input", "context"]),
            ),
            (
                DISCARD,
                json!({ "id": id, "actor": "ada", "reason": "be\u{0}cause" }),
                json!(["input", "reason"]),
            ),
            (
                DISCARD,
                json!({ "id": id, "actor": "ada", "reason": "  " }),
                json!(["input", "reason"]),
            ),
            (
                DISCARD,
                json!({ "id": "customers/customer/1:+1", "actor": "ada", "reason": "x" }),
                json!(["input", "id"]),
            ),
            (
                RESUBMIT,
                json!({ "id": "customers/customer/1:1", "actor": "ada" }),
                json!(["input", "id"]),
            ),
            (
                RESUBMIT,
                json!({ "id": id, "actor": "ada", "record": "InviteCustomer" }),
                json!(["input", "body"]),
            ),
            (
                RESUBMIT,
                json!({ "id": id, "actor": "ada", "body": [1] }),
                json!(["input", "record"]),
            ),
            (RESUBMIT, json!({ "id": id, "actor": "ada" }), json!(["input", "body"])),
        ] {
            let it = ask(&server, query, &input).await;
            assert_eq!((it.code(), it.path()), ("INVALID_INPUT", &path), "{input}: {}", it.body);
        }
        for (query, input) in [
            (SHOW, json!("customers/commands/1:99")),
            (RETRY, json!({ "id": id, "actor": "ada" })),
            (RETRY, json!({ "view": "nothing", "actor": "ada" })),
            (DISCARD, json!({ "id": "customers/customer/1:1", "actor": "ada", "reason": "x" })),
        ] {
            let it = ask(&server, query, &input).await;
            assert_eq!(it.code(), "REJECTED", "{input}: {}", it.body);
        }
        for first in ["0", "201", "-1"] {
            let it = ask(
                &server,
                &format!("{{ deadLetters(first: {first}) {{ totalCount }} }}"),
                &Value::Null,
            )
            .await;
            assert_eq!((it.code(), it.path()), ("INVALID_INPUT", &json!(["first"])));
        }
        let done =
            ask(&server, DISCARD, &json!({ "id": id, "actor": "ada", "reason": "spam" })).await;
        assert_eq!(done.body["data"]["discardDeadLetter"]["waiting"], json!([]), "{}", done.body);
        until_listed(&server, 0).await;
    })
    .await;
}
