//! Asking views, in the one language that all of them have: in memory here, on the real servers in the crate `fleet`.
use crate::{
    fleet::{mutation, whole},
    server::{Answer, answer},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn data<'a>(it: &'a Answer, field: &str) -> &'a Value {
    assert_eq!(it.body.get("errors"), None, "{}", it.body);
    &it.body["data"][field]
}

#[tokio::test]
async fn customers_are_found_by_what_they_are_like() {
    whole(async |_, server| {
        let ada = server.invite("ada@example.com").await;
        for email in ["alan@example.com", "bob@example.com", "bea@example.org"] {
            server.invite(email).await;
        }
        server.mutate("verifyCustomer", json!({ "customerId": ada["id"] })).await;
        let emails = async |arguments: &str| {
            let document =
                format!("{{ customers({arguments}) {{ totalCount nodes {{ email }} }} }}");
            let it = server.ask(&document).await;
            let it = data(&it, "customers").clone();
            let nodes = it["nodes"].as_array().expect("nodes");
            assert_eq!(it["totalCount"], nodes.len());
            nodes
                .iter()
                .filter_map(|it| it["email"].as_str().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let by_email = "orderBy: [{ field: EMAIL }]";
        let all = ["ada@example.com", "alan@example.com", "bea@example.org", "bob@example.com"];
        assert_eq!(emails(by_email).await, all);
        let backward = emails("orderBy: [{ field: EMAIL, direction: DESC }]").await;
        assert_eq!(backward, all.iter().rev().copied().collect::<Vec<_>>());
        for (filter, expected) in [
            ("email: { startsWith: \"a\" }", &all[..2]),
            ("email: { eq: \"bob@example.com\" }", &all[3..]),
            ("email: { gte: \"alan\", lt: \"bob\" }", &all[1..3]),
            ("email: { startsWith: \"b\", contains: \".org\" }", &all[2..3]),
            ("status: { eq: VERIFIED }", &all[..1]),
            ("status: { ne: VERIFIED }", &all[1..]),
            ("verifiedAt: { isNull: false }", &all[..1]),
            ("status: { in: [VERIFIED, REMOVED] }", &all[..1]),
            ("status: { in: [] }", &[]),
            ("not: { email: { lt: \"b\" } }", &all[2..]),
            (
                "or: [{ status: { eq: VERIFIED } }, { email: { startsWith: \"bo\" } }]",
                &[all[0], all[3]],
            ),
            ("and: [{ email: { lt: \"b\" } }, { status: { eq: INVITED } }]", &all[1..2]),
            (&format!("id: {{ eq: {} }}", ada["id"]), &all[..1]),
            ("search: \"EXAMPLE com\"", &[all[0], all[1], all[3]]),
            ("search: \"a exam\", status: { eq: INVITED }", &all[1..2]),
            ("search: \"ample\"", &[]),
            ("and: []", &all[..]),
            ("or: [{}, { email: { startsWith: \"bo\" } }]", &all[..]),
            ("", &all[..]),
        ] {
            let arguments = format!("where: {{ {filter} }}, {by_email}");
            assert_eq!(emails(&arguments).await, expected, "{filter}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_searched_for_comes_in_the_order_of_how_well_it_is_found() {
    whole(async |_, server| {
        for email in
            ["ada.king@example.com", "adam@example.com", "king@example.org", "ada@example.org"]
        {
            server.invite(email).await;
        }
        let page = async |arguments: &str| {
            let fields = "nodes { email } pageInfo { hasNextPage endCursor }";
            let it = server.ask(&format!("{{ customers({arguments}) {{ {fields} }} }}")).await;
            let it = data(&it, "customers").clone();
            let nodes = it["nodes"].as_array().expect("nodes");
            let emails = nodes.iter().filter_map(|it| it["email"].as_str().map(str::to_owned));
            (emails.collect::<Vec<_>>(), it["pageInfo"].clone())
        };
        let search = "where: { search: \"Ada com\" }";
        let (all, _) = page(search).await;
        assert_eq!(all, ["ada.king@example.com", "adam@example.com"], "whole words first");
        let (first, info) = page(&format!("{search}, first: 1")).await;
        let (second, after) =
            page(&format!("{search}, first: 1, after: {}", info["endCursor"])).await;
        assert_eq!(([first, second].concat(), &after["hasNextPage"]), (all, &json!(false)));
        let (by_email, _) =
            page("where: { search: \"exa\" }, orderBy: [{ field: EMAIL, direction: DESC }]").await;
        assert_eq!(by_email[0], "king@example.org");
        let none = server.ask("{ customers(where: { search: \" - \" }) { nodes { id } } }").await;
        assert_eq!(none.code(), "INVALID_INPUT");
    })
    .await;
}

#[tokio::test]
async fn customers_are_counted_by_what_they_are_like() {
    whole(async |_, server| {
        let none = server.ask("{ customerCounts { count } }").await;
        assert_eq!(data(&none, "customerCounts"), &json!([]));
        let ada = server.invite("ada@example.com").await;
        server.invite("bob@example.com").await;
        server.invite("bea@example.com").await;
        server.mutate("verifyCustomer", json!({ "customerId": ada["id"] })).await;
        for (arguments, fields, expected) in [
            ("", "count email", json!([{ "count": 3, "email": null }])),
            (
                "(by: [STATUS])",
                "status count",
                json!([
                    { "status": "INVITED", "count": 2 }, { "status": "VERIFIED", "count": 1 },
                ]),
            ),
            (
                "(by: STATUS, where: { email: { startsWith: \"a\" } })",
                "status count",
                json!([
                    { "status": "VERIFIED", "count": 1 },
                ]),
            ),
            (
                "(by: [STATUS, EMAIL], where: { status: { eq: INVITED } })",
                "email status count id",
                json!([
                    { "status": "INVITED", "email": "bea@example.com", "count": 1, "id": null },
                    { "status": "INVITED", "email": "bob@example.com", "count": 1, "id": null },
                ]),
            ),
        ] {
            let it = server.ask(&format!("{{ customerCounts{arguments} {{ {fields} }} }}")).await;
            assert_eq!(data(&it, "customerCounts"), &expected, "{arguments}");
        }
        let refused =
            server.ask("{ customerCounts(where: { version: { gt: 1 } }) { count } }").await;
        assert_eq!(refused.code(), "INVALID_INPUT");
        let refused = server.ask("{ customerCounts(by: [VERSION]) { count } }").await;
        assert_eq!(refused.code(), "INVALID_INPUT");
    })
    .await;
}

#[tokio::test]
async fn a_view_is_exported_as_of_one_position() {
    whole(async |_, server| {
        let ada = server.invite("ada@example.com").await;
        // An e-mail address that is a formula as well.
        server.invite("=1+1@example.com").await;
        let it = server.mutate("verifyCustomer", json!({ "customerId": ada["id"] })).await;
        let position = it.header("flotilla-position").expect("a position").to_owned();
        let get = async |path: &str| {
            let request = server.request(Method::GET, path).header("Flotilla-Position", &position);
            let response = request.send().await.expect("an answer");
            let (status, headers) = (response.status(), response.headers().clone());
            (status, headers, response.text().await.expect("a whole body"))
        };
        let (status, headers, text) =
            get("/export/customer.csv?orderBy={\"field\":\"EMAIL\"}").await;
        assert_eq!(
            (status, headers["content-type"].to_str().unwrap_or_default()),
            (StatusCode::OK, "text/csv; charset=utf-8; header=present")
        );
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert_eq!(lines[0], "id,email,status,invitedAt,verifiedAt,version");
        assert!(
            lines[1].contains(",'=1+1@example.com,INVITED,") && lines[1].ends_with(",,1"),
            "{text}"
        );
        assert!(
            lines[2].contains(",ada@example.com,VERIFIED,") && lines[2].ends_with("Z,2"),
            "{text}"
        );
        assert_eq!(lines.len(), 3);
        // What the position of the answer has seen, the rows have seen.
        assert!(headers.contains_key("flotilla-position"));

        let (_, _, text) =
            get("/export/customer.ndjson?where={\"status\":{\"eq\":\"VERIFIED\"}}").await;
        let row: Value = serde_json::from_str(text.trim_end()).expect("one row");
        assert_eq!(
            (&row["id"], &row["version"], &row["verifiedAt"].is_string()),
            (&ada["id"], &json!(2), &true)
        );
        let (_, _, days) = get("/export/invitations_per_day.csv").await;
        assert!(
            days.starts_with("day,invited,verified\r\n") && days.ends_with(",2,1\r\n"),
            "{days}"
        );

        for (path, status, word) in [
            ("/export/nothing.csv", StatusCode::NOT_FOUND, "customer, invitations_per_day"),
            ("/export/customer.xls", StatusCode::NOT_FOUND, ".ndjson"),
            ("/export/customer.csv?where={", StatusCode::BAD_REQUEST, "JSON"),
            (
                "/export/customer.csv?where={\"version\":{\"gt\":1}}",
                StatusCode::BAD_REQUEST,
                "no index",
            ),
            (
                "/export/customer.csv?where={\"colour\":{\"gt\":1}}",
                StatusCode::BAD_REQUEST,
                "no such field",
            ),
            (
                "/export/customer.csv?where={\"status\":{\"eq\":\"GONE\"}}",
                StatusCode::BAD_REQUEST,
                "GONE",
            ),
            ("/export/customer.csv?orderBy={\"field\":\"SIZE\"}", StatusCode::BAD_REQUEST, "SIZE"),
            ("/export/customer.csv?limit=1", StatusCode::BAD_REQUEST, "where and orderBy"),
        ] {
            let (told, _, text) = get(path).await;
            assert_eq!(told, status, "{path}: {text}");
            assert!(text.contains(word), "{path}: {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_go_on_in_their_order() {
    whole(async |_, server| {
        for n in 0..5 {
            let it = server.invite(&format!("c{n}@example.com")).await;
            if n % 2 == 0 {
                server.mutate("verifyCustomer", json!({ "customerId": it["id"] })).await;
            }
        }
        for order in [
            "[{ field: EMAIL, direction: DESC }]",
            "[{ field: STATUS }, { field: INVITED_AT, direction: DESC }]",
            "[{ field: VERIFIED_AT }]",
            "[{ field: VERIFIED_AT, nulls: FIRST }]",
            "[{ field: VERIFIED_AT, direction: DESC }]",
        ] {
            let page = async |arguments: &str| {
                let fields = "nodes { email } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
                let document = format!("{{ customers(orderBy: {order}, {arguments}) {{ {fields} }} }}");
                let it = server.ask(&document).await;
                let it = data(&it, "customers").clone();
                (it["nodes"].as_array().expect("nodes").clone(), it["pageInfo"].clone())
            };
            let (all, _) = page("first: 5").await;
            let (mut forward, mut info) = page("first: 2").await;
            // Rows that come and go do not move a place.
            while info["hasNextPage"] == true {
                let (next, after) = page(&format!("first: 2, after: {}", info["endCursor"])).await;
                forward.extend(next);
                info = after;
            }
            assert_eq!(forward, all, "{order}");
            let (mut backward, mut info) = page("last: 2").await;
            while info["hasPreviousPage"] == true {
                let (mut next, before) =
                    page(&format!("last: 2, before: {}", info["startCursor"])).await;
                next.append(&mut backward);
                (backward, info) = (next, before);
            }
            assert_eq!(backward, all, "{order} backward");
        }
    })
    .await;
}

#[tokio::test]
async fn what_no_index_serves_is_refused_with_the_path() {
    whole(async |_, server| {
        server.invite("ada@example.com").await;
        let by_email = "{ customers(orderBy: [{ field: EMAIL }]) { edges { cursor } } }";
        let cursor = server.ask(by_email).await;
        let cursor = data(&cursor, "customers")["edges"][0]["cursor"].clone();
        for (arguments, path, word) in [
            ("where: { version: { gt: 1 } }".to_owned(), "where", "no index"),
            ("where: { email: { contains: \"a\" } }".to_owned(), "where", "no index"),
            ("where: { email: { eq: null } }".to_owned(), "where", "isNull"),
            ("where: { email: { eq: 1 } }".to_owned(), "where", "String"),
            ("where: { status: { eq: GONE } }".to_owned(), "where", "GONE"),
            ("where: { colour: { eq: 1 } }".to_owned(), "where", "colour"),
            ("where: { invitedAt: { gt: \"soon\" } }".to_owned(), "where", "DateTime"),
            ("orderBy: [{ field: VERSION }]".to_owned(), "orderBy", "VERSION"),
            ("orderBy: [{ field: EMAIL }, { field: STATUS }]".to_owned(), "orderBy", "no index"),
            (format!("orderBy: [{{ field: EMAIL, direction: DESC }}], after: {cursor}"), "after", "another order"),
            (format!("after: {cursor}"), "after", "another order"),
        ] {
            let it = server.ask(&format!("{{ customers({arguments}) {{ nodes {{ id }} }} }}")).await;
            let error = &it.body["errors"][0];
            assert_eq!(error["extensions"]["code"], "INVALID_INPUT", "{arguments}: {error}");
            assert_eq!(error["extensions"]["path"][0], path, "{arguments}: {error}");
            let message = error["message"].as_str().unwrap_or_default();
            assert!(message.contains(word), "{arguments}: {message}");
        }
        let values: Vec<_> = (0..1_001).map(|n| format!("a{n}")).collect();
        let document = "query($emails: [String!]) { customers(where: { email: { in: $emails } }) { nodes { id } } }";
        let it = answer(server.post(&json!({ "query": document, "variables": { "emails": values } }))).await;
        assert_eq!(it.body["errors"][0]["extensions"]["path"][0], "where", "{}", it.body);
    })
    .await;
}

#[tokio::test]
async fn whether_an_email_address_is_taken_is_known_at_once() {
    whole(async |_, server| {
        let is_taken = async |email: &str| {
            let it = server.ask(&format!("{{ isEmailTaken(email: \"{email}\") }}")).await;
            data(&it, "isEmailTaken").clone()
        };
        assert_eq!(is_taken("ada@example.com").await, false);
        // Without a position, and whether any view has come so far or not.
        let body = mutation("inviteCustomer", &json!({ "email": "Ada@example.com" }), "commandId");
        assert_eq!(answer(server.post(&body)).await.body.get("errors"), None);
        assert_eq!(is_taken(" aDA@example.com").await, true);
        let it = server.ask("{ isEmailTaken(email: \"ada\") }").await;
        assert_eq!(it.code(), "INVALID_INPUT");
        assert_eq!(it.body["errors"][0]["extensions"]["path"], json!(["email"]));
    })
    .await;
}
