//! Customers, from the mutation to the row: on the fleet in memory here, on the real servers in the crate `fleet`.
use crate::{
    fleet::{events, mutation, serve, whole},
    server::{Answer, answer},
};
use bff::Config;
use serde_json::{Value, json};
use shell::ids;

fn data<'a>(it: &'a Answer, field: &str) -> &'a Value {
    assert_eq!(it.body.get("errors"), None, "{}", it.body);
    &it.body["data"][field]
}

#[tokio::test]
async fn an_invitation_shows_the_customer_it_made() {
    whole(async |_, server| {
        let it = server.mutate("inviteCustomer", json!({ "email": "Ada@Example.com" })).await;
        let payload = data(&it, "inviteCustomer");
        assert_eq!(payload["outcome"], "INVITED");
        let command_id = payload["commandId"].as_str().and_then(|it| it.parse().ok());
        let customer_id = ids::derived_id(command_id.expect("an id"));
        let customer = &payload["customer"];
        assert_eq!(customer["id"], json!(customer_id));
        assert_eq!(customer["email"], "Ada@Example.com");
        assert_eq!((&customer["status"], &customer["version"]), (&json!("INVITED"), &json!(1)));
        assert_eq!(customer["verifiedAt"], Value::Null);
        assert!(customer["invitedAt"].as_str().is_some_and(|it| it.ends_with('Z')));
        // The same customer by a query that carries the position.
        let position = it.header("flotilla-position").expect("a position");
        assert_eq!(it.body["extensions"]["position"], position);
        let query = format!("{{ customer(id: \"{customer_id}\") {{ id email status invitedAt verifiedAt version }} }}");
        let shown = answer(server.ask_after(position, &query)).await;
        assert_eq!(data(&shown, "customer"), customer);
    })
    .await;
}

#[tokio::test]
async fn an_email_that_is_taken_shows_who_has_it() {
    whole(async |_, server| {
        let ada = server.invite("ada@example.com").await;
        let again = server.mutate("inviteCustomer", json!({ "email": " ADA@example.com" })).await;
        let payload = data(&again, "inviteCustomer");
        assert_eq!((&payload["outcome"], &payload["customer"]), (&json!("ALREADY_INVITED"), &ada));
    })
    .await;
}

#[tokio::test]
async fn a_customer_lives_through_all_commands() {
    whole(async |_, server| {
        let ada = server.invite("ada@example.com").await;
        let id = &ada["id"];
        let it = server
            .mutate("verifyCustomer", json!({ "customerId": id, "expectedVersion": 1 }))
            .await;
        let customer = &data(&it, "verifyCustomer")["customer"];
        assert_eq!((&customer["status"], &customer["version"]), (&json!("VERIFIED"), &json!(2)));
        assert!(customer["verifiedAt"].is_string());

        let new = json!({ "customerId": id, "email": "ada@lovelace.org" });
        let it = server.mutate("changeCustomerEmail", new).await;
        let customer = &data(&it, "changeCustomerEmail")["customer"];
        assert_eq!(
            (&customer["status"], &customer["email"]),
            (&json!("INVITED"), &json!("ada@lovelace.org"))
        );

        for _ in 0..2 {
            let it = server.mutate("removeCustomer", json!({ "customerId": id })).await;
            let customer = &data(&it, "removeCustomer")["customer"];
            assert_eq!((&customer["status"], &customer["version"]), (&json!("REMOVED"), &json!(4)));
        }
        let other = server.invite("ada@lovelace.org").await;
        assert_ne!(&other["id"], id);
    })
    .await;
}

#[tokio::test]
async fn a_rule_that_refuses_is_named() {
    whole(async |_, server| {
        let ada = server.invite("ada@example.com").await;
        server.invite("bob@example.com").await;
        let (id, nobody) = (&ada["id"], json!(ids::new_id()));
        for (field, input, reason) in [
            ("inviteCustomer", json!({ "email": " " }), "EMAIL_REQUIRED"),
            ("inviteCustomer", json!({ "email": "ada" }), "EMAIL_INVALID"),
            (
                "inviteCustomer",
                json!({ "email": "x@example.com", "customerId": id }),
                "CUSTOMER_EXISTS",
            ),
            ("verifyCustomer", json!({ "customerId": nobody }), "CUSTOMER_NOT_FOUND"),
            (
                "changeCustomerEmail",
                json!({ "customerId": id, "email": "bob@example.com" }),
                "EMAIL_TAKEN",
            ),
            ("removeCustomer", json!({ "customerId": nobody }), "CUSTOMER_NOT_FOUND"),
        ] {
            let it = server.mutate(field, input).await;
            let extensions = &it.body["errors"][0]["extensions"];
            assert_eq!((it.status.as_u16(), it.code()), (200, "REJECTED"), "{field} {reason}");
            assert_eq!(extensions["reason"], reason);
            assert!(extensions["commandId"].is_string());
            assert_eq!(it.body["errors"][0]["path"], json!([field]));
            assert_eq!(it.body["data"], Value::Null);
        }
        server.mutate("removeCustomer", json!({ "customerId": id })).await;
        let it = server.mutate("verifyCustomer", json!({ "customerId": id })).await;
        assert_eq!(it.body["errors"][0]["extensions"]["reason"], "CUSTOMER_REMOVED");
    })
    .await;
}

#[tokio::test]
async fn a_conflict_tells_both_versions() {
    whole(async |_, server| {
        let ada = server.invite("ada@example.com").await;
        let it = server
            .mutate("verifyCustomer", json!({ "customerId": ada["id"], "expectedVersion": 7 }))
            .await;
        let extensions = &it.body["errors"][0]["extensions"];
        assert_eq!(it.code(), "VERSION_CONFLICT");
        assert_eq!((&extensions["expected"], &extensions["actual"]), (&json!(7), &json!(1)));
    })
    .await;
}

#[tokio::test]
async fn a_command_id_has_one_effect_and_one_answer_on_any_instance() {
    whole(async |fleet, server| {
        let other = serve(&fleet, Config::default()).await;
        let input = json!({ "email": "ada@example.com", "commandId": ids::new_id() });
        let first = server.mutate("inviteCustomer", input.clone()).await;
        for instance in [&server, &other] {
            let again = instance.mutate("inviteCustomer", input.clone()).await;
            assert_eq!(data(&again, "inviteCustomer"), data(&first, "inviteCustomer"));
        }
        assert_eq!(events(&fleet), 1);
        let changed = json!({ "email": "bob@example.com", "commandId": input["commandId"] });
        for instance in [&server, &other] {
            let it = instance.mutate("inviteCustomer", changed.clone()).await;
            assert_eq!((it.status.as_u16(), it.code()), (200, "COMMAND_ID_REUSED"));
        }
    })
    .await;
}

#[tokio::test]
async fn the_idempotency_key_is_the_command_id() {
    whole(async |fleet, server| {
        let key = ids::new_id();
        let body =
            mutation("inviteCustomer", &json!({ "email": "ada@example.com" }), "commandId outcome");
        let send = |key: String| answer(server.post(&body).header("Idempotency-Key", key));
        let first = send(key.to_string()).await;
        assert_eq!(data(&first, "inviteCustomer")["commandId"], json!(key));
        let again = send(format!("\"{key}\"")).await;
        assert_eq!(data(&again, "inviteCustomer"), data(&first, "inviteCustomer"));
        assert_eq!(events(&fleet), 1);
    })
    .await;
}

#[tokio::test]
async fn several_mutations_are_sent_one_after_another() {
    whole(async |_, server| {
        let id = ids::new_id();
        let document = format!(
            "mutation {{ a: inviteCustomer(input: {{ email: \"a@b.cd\", customerId: \"{id}\" }}) {{ outcome }}
             b: verifyCustomer(input: {{ customerId: \"{id}\", expectedVersion: 1 }}) {{ customer {{ status }} }}
             c: removeCustomer(input: {{ customerId: \"{id}\", expectedVersion: 2 }}) {{ customer {{ version }} }} }}"
        );
        let it = server.ask(&document).await;
        assert_eq!(data(&it, "b"), &json!({ "customer": { "status": "VERIFIED" } }));
        assert_eq!(data(&it, "c"), &json!({ "customer": { "version": 3 } }));
    })
    .await;
}

#[tokio::test]
async fn customers_come_in_pages() {
    whole(async |_, server| {
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(server.invite(&format!("c{n}@example.com")).await["id"].clone());
        }
        ids.sort_by_key(ToString::to_string);
        let page = async |arguments: &str| {
            let fields = "totalCount nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
            let it = server.ask(&format!("{{ customers{arguments} {{ {fields} }} }}")).await;
            let it = data(&it, "customers").clone();
            assert_eq!(it["totalCount"], 5);
            let nodes: Vec<Value> =
                it["nodes"].as_array().expect("nodes").iter().map(|it| it["id"].clone()).collect();
            let info = &it["pageInfo"];
            let more = (info["hasPreviousPage"] == true, info["hasNextPage"] == true);
            assert_eq!(info["endCursor"], it["edges"][nodes.len() - 1]["cursor"]);
            (nodes, more, info.clone())
        };
        let (all, more, _) = page("").await;
        assert_eq!((all, more), (ids.clone(), (false, false)));
        let (nodes, more, info) = page("(first: 2)").await;
        assert_eq!((&nodes[..], more), (&ids[..2], (false, true)));
        let (nodes, more, info) = page(&format!("(first: 2, after: {})", info["endCursor"])).await;
        assert_eq!((&nodes[..], more), (&ids[2..4], (true, true)));
        let (nodes, more, _) = page(&format!("(first: 2, after: {})", info["endCursor"])).await;
        assert_eq!((&nodes[..], more), (&ids[4..], (true, false)));
        let (nodes, more, info) = page("(last: 2)").await;
        assert_eq!((&nodes[..], more), (&ids[3..], (true, false)));
        let (nodes, more, _) = page(&format!("(last: 3, before: {})", info["startCursor"])).await;
        assert_eq!((&nodes[..], more), (&ids[..3], (false, true)));
    })
    .await;
}

#[tokio::test]
async fn days_are_counted() {
    whole(async |_, server| {
        let ada = server.invite("ada@example.com").await;
        server.invite("bob@example.com").await;
        let it = server.mutate("verifyCustomer", json!({ "customerId": ada["id"] })).await;
        let position = it.header("flotilla-position").expect("a position");
        let shown =
            answer(server.ask_after(position, "{ invitationsPerDay { day invited verified } }"))
                .await;
        let days = data(&shown, "invitationsPerDay").as_array().expect("days").clone();
        let sum = |name: &str| days.iter().filter_map(|it| it[name].as_i64()).sum::<i64>();
        assert_eq!((sum("invited"), sum("verified")), (2, 1));
        let day = &days[0]["day"];
        let range = format!("{{ invitationsPerDay(from: {day}, to: {day}) {{ day }} }}");
        assert_eq!(data(&server.ask(&range).await, "invitationsPerDay"), &json!([{ "day": day }]));
        let none = "{ invitationsPerDay(from: \"1999-01-01\", to: \"1999-12-31\") { day } }";
        assert_eq!(data(&server.ask(none).await, "invitationsPerDay"), &json!([]));
    })
    .await;
}

#[tokio::test]
async fn customers_asked_for_at_once_are_all_found() {
    whole(async |_, server| {
        let (ada, bob) = (server.invite("ada@example.com").await, server.invite("bob@example.com").await);
        let nobody = ids::new_id();
        let document = format!(
            "{{ a: customer(id: {}) {{ email }} b: customer(id: {}) {{ email }} c: customer(id: \"{nobody}\") {{ email }} }}",
            ada["id"], bob["id"]
        );
        let it = server.ask(&document).await;
        let expected = json!({ "a": { "email": "ada@example.com" }, "b": { "email": "bob@example.com" }, "c": null });
        assert_eq!(it.body["data"], expected);
    })
    .await;
}

#[tokio::test]
async fn a_command_tells_what_became_of_it() {
    whole(async |_, server| {
        let status = async |id: &Value| {
            let fields = "commandId status reason message streamId version";
            let it = server.ask(&format!("{{ command(id: {id}) {{ {fields} }} }}")).await;
            data(&it, "command").clone()
        };
        let it = server.mutate("inviteCustomer", json!({ "email": "ada@example.com" })).await;
        let payload = data(&it, "inviteCustomer");
        let accepted = status(&payload["commandId"]).await;
        assert_eq!((&accepted["status"], &accepted["version"]), (&json!("ACCEPTED"), &json!(1)));
        assert_eq!(accepted["streamId"], payload["customer"]["id"]);
        let it = server.mutate("inviteCustomer", json!({ "email": "" })).await;
        let rejected = status(&it.body["errors"][0]["extensions"]["commandId"]).await;
        assert_eq!(
            (&rejected["status"], &rejected["reason"]),
            (&json!("REJECTED"), &json!("EMAIL_REQUIRED"))
        );
        assert_eq!(rejected["message"], it.message());
        assert_eq!(status(&json!(ids::new_id())).await["status"], "UNKNOWN");
    })
    .await;
}
