//! Media types, methods and status codes, with a schema made for it.
#![expect(clippy::unused_async, reason = "resolvers are async, whether they wait or not")]
use crate::server::{Answer, Server, answer};
use async_graphql::{Context, EmptySubscription, Object, Schema};
use bff::{Config, session::Session};
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;

struct Query;

#[Object]
impl Query {
    async fn echo(&self, text: String) -> String {
        text
    }

    async fn fails(&self) -> Result<i32, bff::errors::Failure> {
        Err(bff::errors::Failure::new(bff::errors::Code::Unavailable, "no server answers"))
    }

    async fn strange(&self) -> async_graphql::Result<Option<i32>> {
        Err("no code at all".into())
    }

    async fn panics(&self, number: Option<i32>) -> i32 {
        number.expect("a defect, on purpose")
    }

    async fn correlation(&self, context: &Context<'_>) -> async_graphql::Result<String> {
        Ok(context.data::<Arc<Session>>()?.correlation.to_string())
    }

    async fn trace(&self, context: &Context<'_>) -> async_graphql::Result<String> {
        Ok(context.data::<Arc<Session>>()?.traceparent().to_owned())
    }
}

struct Mutation;

#[Object]
impl Mutation {
    async fn key(&self, context: &Context<'_>) -> async_graphql::Result<Option<String>> {
        Ok(context.data::<Arc<Session>>()?.idempotency_key.map(|it| it.to_string()))
    }
}

async fn server() -> Server {
    Server::start(Schema::new(Query, Mutation, EmptySubscription), Config::default()).await
}

const NEW: &str = "application/graphql-response+json; charset=utf-8";
const OLD: &str = "application/json; charset=utf-8";
const ID: &str = "0189f7b4-9c55-7a3e-8d7a-6f2f0c8f7a11";

fn status(it: &Answer) -> u16 {
    it.status.as_u16()
}

#[tokio::test]
async fn a_query_is_answered_by_post_and_by_get() {
    let server = server().await;
    let posted = server.ask("{ echo(text: \"a\") }").await;
    assert_eq!((status(&posted), &posted.body["data"]), (200, &json!({ "echo": "a" })));
    assert_eq!(posted.body["extensions"]["traceId"].as_str().map(str::len), Some(32));
    assert_eq!(posted.header("content-type"), Some(NEW));
    assert_eq!(posted.header("cache-control"), Some("no-store"));
    let got = server.request(
        Method::GET,
        "/graphql?query=query(%24a:String!)%7Becho(text:%24a)%7D&variables=%7B%22a%22:%22b%22%7D",
    );
    let got = answer(got).await;
    assert_eq!((status(&got), &got.body["data"]), (200, &json!({ "echo": "b" })));
}

#[tokio::test]
async fn the_media_type_decides_the_status_of_what_is_not_executed() {
    let server = server().await;
    for (accept, media, refused) in [("application/json", OLD, 200), ("*/*", NEW, 400)] {
        for document in [
            "{",
            "{ nothing }",
            "query ($a: String!) { echo(text: $a) }",
            "query A { a: __typename } query B { b: __typename }",
        ] {
            let it =
                answer(server.post(&json!({ "query": document })).header("accept", accept)).await;
            assert_eq!(
                (status(&it), it.header("content-type")),
                (refused, Some(media)),
                "{document}"
            );
            assert!(it.body.get("data").is_none(), "{document}: {}", it.body);
        }
        // What is no GraphQL request is 400 either way; what was executed is 200.
        let it = answer(
            server
                .request(Method::POST, "/graphql")
                .header("accept", accept)
                .header("content-type", "application/json")
                .body("NONSENSE"),
        )
        .await;
        assert_eq!(
            (status(&it), it.code(), it.header("content-type")),
            (400, "INVALID_INPUT", Some(media))
        );
        let it =
            answer(server.post(&json!({ "query": "{ fails }" })).header("accept", accept)).await;
        assert_eq!((status(&it), it.code()), (200, "UNAVAILABLE"));
        assert_eq!(it.body["data"], json!(null));
        assert_eq!(it.body["errors"][0]["path"], json!(["fails"]));
    }
}

#[tokio::test]
async fn what_cannot_be_accepted_or_read_is_said() {
    let server = server().await;
    let body = json!({ "query": "{ __typename }" });
    let it = answer(server.post(&body).header("accept", "text/plain")).await;
    assert_eq!((status(&it), it.code()), (406, "INVALID_REQUEST"));
    let it = answer(server.request(Method::POST, "/graphql").body("{ __typename }")).await;
    assert_eq!((status(&it), it.code()), (415, "INVALID_REQUEST"));
    let it = answer(server.post(&body).header("content-encoding", "gzip")).await;
    assert_eq!((status(&it), it.code()), (415, "INVALID_REQUEST"));
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let it = answer(server.request(method, "/graphql")).await;
        assert_eq!((status(&it), it.header("allow")), (405, Some("GET, POST")));
    }
}

#[tokio::test]
async fn a_get_changes_nothing() {
    let server = server().await;
    let it = answer(server.request(Method::GET, "/graphql?query=mutation%7Bkey%7D")).await;
    assert_eq!(
        (status(&it), it.code(), it.header("allow")),
        (405, "INVALID_REQUEST", Some("POST"))
    );
    // The operation that is named is what counts.
    let two = "/graphql?query=query%20A%7B__typename%7Dmutation%20B%7Bkey%7D&operationName=";
    assert_eq!(status(&answer(server.request(Method::GET, &format!("{two}A"))).await), 200);
    assert_eq!(status(&answer(server.request(Method::GET, &format!("{two}B"))).await), 405);
}

#[tokio::test]
async fn the_headers_reach_the_resolvers() {
    let server = server().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let it = server.post(&json!({ "query": "{ correlation trace }" }));
    let it = answer(it.header("x-correlation-id", ID).header("traceparent", trace)).await;
    assert_eq!(it.body["data"], json!({ "correlation": ID, "trace": trace }));
    assert_eq!(it.header("x-correlation-id"), Some(ID));
    let it =
        answer(server.post(&json!({ "query": "mutation { key }" })).header("idempotency-key", ID))
            .await;
    assert_eq!(it.body["data"], json!({ "key": ID }));
}

#[tokio::test]
async fn a_key_is_for_one_mutation() {
    let server = server().await;
    let it = server.post(&json!({ "query": "mutation { a: key b: key }" }));
    let it = answer(it.header("idempotency-key", ID)).await;
    assert_eq!((status(&it), it.code()), (400, "INVALID_INPUT"));
    assert_eq!(it.path(), &json!(["headers", "idempotency-key"]));
    // A query has no use for it.
    let it = server.post(&json!({ "query": "{ __typename }" })).header("idempotency-key", ID);
    assert_eq!(status(&answer(it).await), 200);
}

#[tokio::test]
async fn defects_are_told_and_survived() {
    let server = server().await;
    let it = server.ask("{ panics }").await;
    assert_eq!((status(&it), it.code()), (500, "INTERNAL"));
    let it = server.ask("{ strange }").await;
    assert_eq!((status(&it), it.code()), (200, "INTERNAL"));
    assert_eq!(status(&server.ask("{ __typename }").await), 200);
}
