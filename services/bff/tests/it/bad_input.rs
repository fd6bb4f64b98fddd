//! Whatever a client may send that makes no sense: a status, a code, and where it is wrong.
use crate::{
    fleet::{bare, mutation, serve},
    server::{Answer, Server, answer},
};
use bff::Config;
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt::Write};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const ID: &str = "0189f7b4-9c55-7a3e-8d7a-6f2f0c8f7a11";

#[track_caller]
fn check(what: &str, it: &Answer, status: u16, code: &str, path: &Value) {
    let found = (it.status.as_u16(), it.code(), it.path());
    assert_eq!(found, (status, code, path), "{what}: {}", it.body);
    assert!(!it.message().is_empty() && it.message() != "no message", "{what}");
    assert!(it.body.get("data").is_none(), "{what}: nothing was executed, {}", it.body);
}

async fn with_server(test: impl AsyncFnOnce(Server)) {
    // No service runs behind it: whatever gets through is found out.
    bare(async |fleet| test(serve(&fleet, Config::default()).await).await).await;
}

#[tokio::test]
async fn bodies() {
    with_server(async |server| {
        let huge = format!("{{\"query\":\"{}\"}}", "x".repeat(300_000));
        let nested = "[".repeat(10_000);
        for (body, status, code, path) in [
            ("", 400, "INVALID_INPUT", json!(["body"])),
            ("NONSENSE", 400, "INVALID_INPUT", json!(["body"])),
            ("{\"query\":", 400, "INVALID_INPUT", json!(["body"])),
            (&nested, 400, "INVALID_INPUT", json!(["body"])),
            ("[]", 400, "INVALID_INPUT", json!(["body"])),
            ("{}", 400, "INVALID_INPUT", json!(["body", "query"])),
            (r#"{"qeury":"{__typename}"}"#, 400, "INVALID_INPUT", json!(["body", "query"])),
            (r#"{"query":"{__typename}","x":1}"#, 400, "INVALID_INPUT", json!(["body", "x"])),
            (
                r#"{"query":"{__typename}","variables":[7]}"#,
                400,
                "INVALID_INPUT",
                json!(["body", "variables"]),
            ),
            (&huge, 413, "LIMIT_EXCEEDED", Value::Null),
        ] {
            let request =
                server.request(Method::POST, "/graphql").header("content-type", "application/json");
            let it = answer(request.body(body.to_owned())).await;
            check(&body[..body.len().min(60)], &it, status, code, &path);
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_whose_length_is_not_announced_is_cut_off() {
    with_server(async |server| {
        let mut stream = TcpStream::connect(server.address).await.expect("connects");
        let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
            transfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("writes");
        // One chunk more than is allowed, and no end.
        let chunk = format!("{:x}\r\n{}\r\n", 4096, " ".repeat(4096));
        for _ in 0..=64 {
            stream.write_all(chunk.as_bytes()).await.expect("writes");
        }
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.expect("an answer");
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(
            answer.starts_with("HTTP/1.1 413") && answer.contains("LIMIT_EXCEEDED"),
            "{answer}"
        );
    })
    .await;
}

#[tokio::test]
async fn documents() {
    with_server(async |server| {
        let deep = format!("{{ customers {{ nodes {} }} }}", "{ id ".repeat(30) + &"}".repeat(30));
        let brackets = "{a".repeat(100);
        let introspective = format!("{{ __schema {{ types {{ {} }} }} }}", "fields { type { ".repeat(12) + "name" + &"} }".repeat(12));
        let mut aliases = "{".to_owned();
        let mut wide = "{ customers { nodes {".to_owned();
        let mut bomb = "{ customers { ...f0 } }".to_owned();
        for n in 0..30 {
            let _ = write!(aliases, " a{n}: __typename");
            let _ = write!(bomb, " fragment f{n} on CustomerConnection {{ ...f{} ...f{} }}", n + 1, n + 1);
        }
        for n in 0..1100 {
            let _ = write!(wide, " a{n}: id");
        }
        let (aliases, wide) = (aliases + "}", wide + "} } }");
        let bomb = bomb + " fragment f30 on CustomerConnection { totalCount }";
        let complex = "{ a: customers(first: 500) { nodes { id email status version } } b: customers(first: 500) { edges { cursor node { id email status version } } } c: customers(last: 500) { edges { cursor node { id email status version } } } d: customers(last: 500) { edges { cursor node { id email status version invitedAt verifiedAt } } } }";
        let directives = format!("{{ __typename {} }}", "@skip(if: false) ".repeat(51));
        let tokens = format!("{{ {} }}", "__typename ".repeat(5_001));
        let none = Value::Null;
        let mut limits = BTreeSet::new();
        for (document, code, path) in [
            ("", "INVALID_DOCUMENT", &none),
            ("{", "INVALID_DOCUMENT", &none),
            ("{ nothing }", "INVALID_DOCUMENT", &none),
            ("{ customers }", "INVALID_DOCUMENT", &none),
            ("{ ...f }", "INVALID_DOCUMENT", &none),
            ("{ ...f } fragment f on Query { ...f }", "INVALID_DOCUMENT", &none),
            ("query A { __typename } query B { __typename }", "INVALID_DOCUMENT", &none),
            ("subscription { __typename }", "INVALID_DOCUMENT", &none),
            ("query ($x: Strin) { __typename }", "INVALID_DOCUMENT", &none),
            (&brackets, "LIMIT_EXCEEDED", &none),
            (&deep, "LIMIT_EXCEEDED", &none),
            (&introspective, "LIMIT_EXCEEDED", &none),
            (&aliases, "LIMIT_EXCEEDED", &none),
            (&wide, "LIMIT_EXCEEDED", &none),
            (&bomb, "LIMIT_EXCEEDED", &none),
            (complex, "LIMIT_EXCEEDED", &none),
            (&directives, "LIMIT_EXCEEDED", &none),
            (&tokens, "LIMIT_EXCEEDED", &none),
        ] {
            let it = server.ask(document).await;
            check(&document[..document.len().min(60)], &it, 400, code, path);
            if code == "LIMIT_EXCEEDED" {
                limits.insert(it.body["errors"][0]["extensions"]["limit"].to_string());
                assert!(it.body["errors"][0]["extensions"]["maximum"].is_u64(), "{}", it.body);
            }
        }
        let all = ["complexity", "depth", "directives", "fields", "nesting", "rootFields", "tokens"];
        assert_eq!(limits, all.iter().map(|it| format!("{it:?}")).collect());
    })
    .await;
}

#[tokio::test]
async fn values() {
    with_server(async |server| {
        let invite = |input: Value| mutation("inviteCustomer", &input, "commandId");
        let verify = |input: Value| mutation("verifyCustomer", &input, "commandId");
        let query = |query: &str| json!({ "query": query });
        for (body, path) in [
            (invite(json!({ "email": "a\0@example.com" })), json!(["input", "email"])),
            (
                query(r#"mutation { inviteCustomer(input: { email: "\u0000" }) { commandId } }"#),
                json!(["input", "email"]),
            ),
            (invite(json!({ "email": 7 })), json!(["input", "email"])),
            (invite(json!({ "email": null })), json!(["input", "email"])),
            (invite(json!({})), json!(["input", "email"])),
            (invite(json!({ "email": "a@example.com", "name": "Ada" })), json!(["input", "name"])),
            (
                invite(json!({ "email": "a@example.com", "customerId": "7" })),
                json!(["input", "customerId"]),
            ),
            (
                invite(json!({ "email": "a@example.com", "commandId": "7" })),
                json!(["input", "commandId"]),
            ),
            (
                verify(json!({ "customerId": ID, "expectedVersion": "1" })),
                json!(["input", "expectedVersion"]),
            ),
            (
                verify(json!({ "customerId": ID, "expectedVersion": 1.5 })),
                json!(["input", "expectedVersion"]),
            ),
            (query("{ customer(id: \"x\") { id } }"), json!(["id"])),
            (query("{ customer(id: 7) { id } }"), json!(["id"])),
            (query("{ command(id: \"x\") { status } }"), json!(["id"])),
            (query("{ customers(first: \"7\") { totalCount } }"), json!(["first"])),
            (query("{ invitationsPerDay(from: \"2026-02-30\") { day } }"), json!(["from"])),
            (query("query ($id: UUID!) { customer(id: $id) { id } }"), json!(["variables", "id"])),
        ] {
            check(
                &body.to_string(),
                &answer(server.post(&body)).await,
                400,
                "INVALID_INPUT",
                &path,
            );
            // The older media type says 200, and the same otherwise.
            let it = answer(server.post(&body).header("accept", "application/json")).await;
            check(&body.to_string(), &it, 200, "INVALID_INPUT", &path);
        }
        // These are found out while the operation is executed.
        let cursor = "MSBpbnZpdGF0aW9uc19wZXJfZGF5IDIwMjYtMDEtMDE";
        for (body, path) in [
            (query("{ customers(first: 0) { totalCount } }"), json!(["first"])),
            (query("{ customers(first: -1) { totalCount } }"), json!(["first"])),
            (query("{ customers(first: 501) { totalCount } }"), json!(["first"])),
            (query("{ customers(last: 9223372036854775807) { totalCount } }"), json!(["last"])),
            (query("{ customers(first: 1, last: 1) { totalCount } }"), json!(["last"])),
            (query("{ customers(after: \"x\") { totalCount } }"), json!(["after"])),
            (
                query(&format!("{{ customers(before: \"{cursor}\") {{ totalCount }} }}")),
                json!(["before"]),
            ),
            (
                query("{ invitationsPerDay(from: \"2026-02-02\", to: \"2026-02-01\") { day } }"),
                json!(["to"]),
            ),
            (
                verify(json!({ "customerId": ID, "expectedVersion": -1 })),
                json!(["input", "expectedVersion"]),
            ),
        ] {
            let it = answer(server.post(&body)).await;
            assert_eq!(
                (it.status.as_u16(), it.code(), it.path()),
                (200, "INVALID_INPUT", &path),
                "{body}: {}",
                it.body
            );
            assert_eq!(it.body["data"], Value::Null);
        }
    })
    .await;
}

#[tokio::test]
async fn headers() {
    with_server(async |server| {
        let body = mutation("inviteCustomer", &json!({ "email": "a@example.com" }), "commandId");
        let long = "A".repeat(5_000);
        for (name, value) in [
            ("flotilla-position", "@@"),
            ("flotilla-position", "AAAA"),
            ("flotilla-position", long.as_str()),
            ("idempotency-key", "once"),
            ("idempotency-key", ""),
        ] {
            let it = answer(server.post(&body).header(name, value)).await;
            check(name, &it, 400, "INVALID_INPUT", &json!(["headers", name]));
            let it =
                answer(server.post(&body).header(name, value).header("accept", "application/json"))
                    .await;
            check(name, &it, 400, "INVALID_INPUT", &json!(["headers", name]));
        }
    })
    .await;
}

#[tokio::test]
async fn addresses() {
    with_server(async |server| {
        for (query, status, code, path) in [
            ("", 400, "INVALID_INPUT", json!(["address", "query"])),
            (
                "?query=%7B__typename%7D&variables=7",
                400,
                "INVALID_INPUT",
                json!(["address", "variables"]),
            ),
            ("?query=%7B__typename%7D&x=7", 400, "INVALID_INPUT", json!(["address", "x"])),
            (
                "?query=mutation%7BremoveCustomer(input:%7B%7D)%7BcommandId%7D%7D",
                405,
                "INVALID_REQUEST",
                Value::Null,
            ),
        ] {
            let it = answer(server.request(Method::GET, &format!("/graphql{query}"))).await;
            check(query, &it, status, code, &path);
        }
    })
    .await;
}

#[tokio::test]
async fn what_tools_ask_of_a_schema_is_within_the_limits() {
    with_server(async |server| {
        let of_types = "ofType { kind name ".repeat(9) + &"}".repeat(9);
        let document = format!(
            "query IntrospectionQuery {{ __schema {{ queryType {{ name }} mutationType {{ name }} subscriptionType {{ name }}
             types {{ ...FullType }} directives {{ name description isRepeatable locations args(includeDeprecated: true) {{ ...InputValue }} }} }} }}
             fragment FullType on __Type {{ kind name description specifiedByURL
             fields(includeDeprecated: true) {{ name description args(includeDeprecated: true) {{ ...InputValue }} type {{ ...TypeRef }} isDeprecated deprecationReason }}
             inputFields(includeDeprecated: true) {{ ...InputValue }} interfaces {{ ...TypeRef }}
             enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }} possibleTypes {{ ...TypeRef }} }}
             fragment InputValue on __InputValue {{ name description type {{ ...TypeRef }} defaultValue }}
             fragment TypeRef on __Type {{ kind name {of_types} }}"
        );
        let it = server.ask(&document).await;
        assert_eq!(it.body.get("errors"), None, "{}", it.body);
        assert!(it.body["data"]["__schema"]["types"].as_array().is_some_and(|it| it.len() > 20));
    })
    .await;
}

#[tokio::test]
async fn introspection_can_be_switched_off() {
    bare(async |fleet| {
        let open = serve(&fleet, Config::default()).await;
        let it = open.ask("{ __schema { queryType { name } } }").await;
        assert_eq!(it.body["data"]["__schema"]["queryType"]["name"], "Query");
        let closed = serve(&fleet, Config { introspection: false, ..Config::default() }).await;
        for query in ["{ __schema { queryType { name } } }", "{ __type(name: \"Query\") { name } }"]
        {
            let it = closed.ask(query).await;
            assert!(
                it.body["data"]["__schema"].is_null() && it.body["data"]["__type"].is_null(),
                "{}",
                it.body
            );
        }
        assert_eq!(closed.ask("{ __typename }").await.body["data"]["__typename"], "Query");
    })
    .await;
}
