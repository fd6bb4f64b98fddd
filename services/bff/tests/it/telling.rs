//! What the write side tells: what is so now, what was and what happened, and where a row comes from. In memory here, on
//! the real servers in the crate `fleet`.
use crate::{
    fleet::{serve, whole},
    server::{Server, answer},
};
use bff::Config;
use serde_json::{Value, json};

async fn told(server: &Server, document: &str) -> Value {
    let it = server.ask(document).await;
    assert_eq!(it.body.get("errors"), None, "{document}: {}", it.body);
    let data = it.body["data"].as_object().expect("an object");
    data.values().next().cloned().unwrap_or_default()
}

/// Whoever asks and whoever was told: a fact is not older than any answer.
#[tokio::test]
async fn a_fact_sees_a_mutation_that_another_server_answered() {
    whole(async |fleet, server| {
        let other = serve(&fleet, Config::default()).await;
        let nobody = format!("{{ customerState(id: \"{}\") {{ status }} }}", uuid(7));
        assert_eq!(told(&other, &nobody).await, Value::Null);
        for n in 0..5 {
            let id = server.invite(&format!("{n}@x.org")).await["id"].clone();
            let ask = format!("{{ customerState(id: {id}) {{ id status email version }} }}");
            let expected = |status: &str, version: i64| json!({ "id": id, "status": status, "email": format!("{n}@x.org"), "version": version });
            assert_eq!(told(&other, &ask).await, expected("INVITED", 1));
            let verified = server.mutate("verifyCustomer", json!({ "customerId": id })).await;
            assert_eq!(verified.body.get("errors"), None, "{}", verified.body);
            assert_eq!(told(&other, &ask).await, expected("VERIFIED", 2));
            assert_eq!(told(&server, &ask).await, expected("VERIFIED", 2));
        }
    })
    .await;
}

/// What was told is seen: a query with the position of a fact is not older.
#[tokio::test]
async fn a_fact_has_a_position() {
    whole(async |_, server| {
        let id = server.invite("ada@example.com").await["id"].clone();
        server.mutate("verifyCustomer", json!({ "customerId": id })).await;
        let fact = server.ask(&format!("{{ customerState(id: {id}) {{ version }} }}")).await;
        let position = fact.header("flotilla-position").expect("a position").to_owned();
        let row = format!("{{ customer(id: {id}) {{ version }} }}");
        let row = answer(server.ask_after(&position, &row)).await.body;
        assert_eq!(row["data"]["customer"]["version"], 2, "{row}");
    })
    .await;
}

#[tokio::test]
async fn a_history_is_told_with_pages_states_and_differences() {
    whole(async |_, server| {
        let id = server.invite("Ada@example.com").await["id"].clone();
        server.mutate("verifyCustomer", json!({ "customerId": id })).await;
        let email = json!({ "customerId": id, "email": "ada@lovelace.org" });
        let changed = server.mutate("changeCustomerEmail", email).await;
        let command_id = changed.body["data"]["changeCustomerEmail"]["commandId"].clone();

        let page = async |arguments: &str| {
            let fields = "totalCount edges { cursor node { version record at commandId correlationId traceId data } } pageInfo { hasNextPage endCursor }";
            told(&server, &format!("{{ customerHistory(id: {id}, {arguments}) {{ {fields} }} }}")).await
        };
        let first = page("first: 2").await;
        assert_eq!((&first["totalCount"], &first["pageInfo"]["hasNextPage"]), (&json!(3), &json!(true)));
        let node = |page: &Value, n: usize| page["edges"][n]["node"].clone();
        assert_eq!(node(&first, 0)["record"], "CustomerInvited");
        assert_eq!(node(&first, 0)["data"], json!({ "customer_id": id, "email": "Ada@example.com" }));
        assert_eq!(node(&first, 1)["record"], "CustomerVerified");
        let after = first["pageInfo"]["endCursor"].clone();
        let rest = page(&format!("first: 2, after: {after}")).await;
        assert_eq!(rest["edges"].as_array().map(Vec::len), Some(1));
        assert_eq!(node(&rest, 0)["commandId"], command_id);
        assert_eq!(rest["pageInfo"]["hasNextPage"], false);
        let newest = page("first: 1, newestFirst: true").await;
        assert_eq!((&node(&newest, 0), &newest["pageInfo"]["hasNextPage"]), (&node(&rest, 0), &json!(true)));
        assert!(node(&newest, 0)["traceId"].as_str().is_some_and(|it| it.len() == 32), "{newest}");

        let as_of = async |arguments: &str| {
            told(&server, &format!("{{ customerAsOf(id: {id}, {arguments}) {{ status email version }} }}")).await
        };
        assert_eq!(as_of("version: 0").await, Value::Null);
        let verified = json!({ "status": "VERIFIED", "email": "Ada@example.com", "version": 2 });
        assert_eq!(as_of("version: 2").await, verified);
        assert_eq!(as_of(&format!("at: {}", node(&first, 1)["at"])).await["version"], 2);
        assert_eq!(as_of("at: \"2000-01-01T00:00:00Z\"").await, Value::Null);
        assert_eq!(as_of("at: \"2999-01-01T00:00:00Z\"").await["email"], "ada@lovelace.org");

        let difference = async |from: i64, to: i64| {
            told(&server, &format!("{{ customerDifference(id: {id}, from: {from}, to: {to}) {{ field before after }} }}")).await
        };
        let both = json!([
            { "field": "email", "before": "Ada@example.com", "after": "ada@lovelace.org" },
            { "field": "status", "before": "VERIFIED", "after": "INVITED" },
        ]);
        assert_eq!(difference(2, 3).await, both);
        assert_eq!(difference(2, 2).await, json!([]));
        assert_eq!(difference(0, 1).await.as_array().map(Vec::len), Some(2));
    })
    .await;
}

#[tokio::test]
async fn customers_are_found_by_what_the_write_side_knows() {
    whole(async |_, server| {
        let mut verified = Vec::new();
        for n in 0..6 {
            let id = server.invite(&format!("{n}@x.org")).await["id"].clone();
            if n % 2 == 0 {
                server.mutate("verifyCustomer", json!({ "customerId": id })).await;
                verified.push(id.as_str().expect("an id").to_owned());
            }
        }
        verified.sort_unstable();
        let scan = async |arguments: &str| {
            told(
                &server,
                &format!("{{ customersInState({arguments}) {{ nodes {{ id }} lookedAt next }} }}"),
            )
            .await
        };
        let all = scan("status: VERIFIED").await;
        let ids = |it: &Value| {
            it["nodes"]
                .as_array()
                .expect("nodes")
                .iter()
                .map(|it| it["id"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (ids(&all), &all["lookedAt"], &all["next"]),
            (verified.iter().map(|it| json!(it)).collect(), &json!(6), &Value::Null)
        );
        let first = scan("status: VERIFIED, first: 2").await;
        let rest = scan(&format!("status: VERIFIED, after: {}", first["next"])).await;
        assert_eq!([ids(&first), ids(&rest)].concat(), ids(&all));
        assert_eq!(ids(&scan("email: \"1@x.org\"").await).len(), 1);
    })
    .await;
}

#[tokio::test]
async fn rows_of_both_views_are_explained() {
    whole(async |_, server| {
        let id = server.invite("ada@example.com").await["id"].clone();
        let verified = server.mutate("verifyCustomer", json!({ "customerId": id })).await;
        let command_id = verified.body["data"]["verifyCustomer"]["commandId"].clone();
        let position = verified.header("flotilla-position").expect("a position").to_owned();
        // Both views have it.
        let seen = format!("{{ customer(id: {id}) {{ version verifiedAt }} invitationsPerDay {{ day }} }}");
        let seen = answer(server.ask_after(&position, &seen)).await.body;
        let day = seen["data"]["invitationsPerDay"][0]["day"].clone();

        let explain = async |view: &str, id: &Value| {
            let by = "setBy { record streamId version commandId correlationId traceId at }";
            let fields = format!("row folded differs events lookedAt scanned endedEarly notYet removedBy {{ record }} fields {{ name value changes {by} }}");
            told(&server, &format!("{{ explain(view: \"{view}\", id: {id}) {{ {fields} }} }}")).await
        };
        let customer = explain("customer", &id).await;
        assert_eq!((&customer["events"], &customer["scanned"]), (&json!(2), &json!(false)), "{customer}");
        assert_eq!((&customer["differs"], &customer["folded"]), (&json!([]), &Value::Null));
        let field = |it: &Value, name: &str| {
            let fields = it["fields"].as_array().expect("fields");
            fields.iter().find(|it| it["name"] == name).cloned().expect("a field")
        };
        let status = field(&customer, "status");
        assert_eq!((&status["value"], &status["changes"]), (&json!("VERIFIED"), &json!(2)));
        let by = &status["setBy"][0];
        assert_eq!((&by["record"], &by["commandId"]), (&json!("CustomerVerified"), &command_id));
        assert_eq!(field(&customer, "email")["setBy"][0]["record"], "CustomerInvited");

        let days = explain("invitations_per_day", &day).await;
        assert_eq!((&days["scanned"], &days["differs"]), (&json!(true), &json!([])), "{days}");
        assert_eq!(field(&days, "verified")["setBy"][0]["streamId"], id);
    })
    .await;
}

#[tokio::test]
async fn rubbish_is_refused_with_its_path() {
    whole(async |_, server| {
        let id = uuid(1);
        for (document, path) in [
            (format!("customerHistory(id: \"{id}\", first: 0) {{ totalCount }}"), "first"),
            (format!("customerHistory(id: \"{id}\", first: 501) {{ totalCount }}"), "first"),
            (format!("customerHistory(id: \"{id}\", after: \"x\") {{ totalCount }}"), "after"),
            (format!("customerHistory(id: \"{id}\", after: \"-1\") {{ totalCount }}"), "after"),
            ("customerHistory(id: \"x\") { totalCount }".to_owned(), "id"),
            ("customerState(id: \"x\") { status }".to_owned(), "id"),
            (format!("customerAsOf(id: \"{id}\") {{ status }}"), "version"),
            (format!("customerAsOf(id: \"{id}\", version: -1) {{ status }}"), "version"),
            (format!("customerAsOf(id: \"{id}\", version: 1, at: \"2026-01-01T00:00:00Z\") {{ status }}"), "version"),
            (format!("customerAsOf(id: \"{id}\", at: \"yesterday\") {{ status }}"), "at"),
            (format!("customerDifference(id: \"{id}\", from: 0, to: 1) {{ field }}"), "to"),
            (format!("customerDifference(id: \"{id}\", from: -1, to: 0) {{ field }}"), "from"),
            ("customersInState(first: 501) { next }".to_owned(), "first"),
            ("explain(view: \"nothing\", id: \"x\") { events }".to_owned(), "view"),
            ("explain(view: \"customer\", id: \"x\") { events }".to_owned(), "id"),
            ("explain(view: \"customer\", id: \"x\", newest: 0) { events }".to_owned(), "newest"),
        ] {
            let it = server.ask(&format!("{{ {document} }}")).await;
            assert_eq!(it.code(), "INVALID_INPUT", "{document}: {}", it.body);
            let found = it.body["errors"][0]["extensions"]["path"].to_string();
            assert!(found.contains(&format!("\"{path}\"")), "{document}: {found}");
        }
    })
    .await;
}

fn uuid(n: u128) -> String {
    uuid::Uuid::from_u128(n).to_string()
}
