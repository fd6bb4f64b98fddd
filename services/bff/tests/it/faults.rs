//! Parts of the fleet that are away.
use crate::{
    fleet::{bare, hasty_to_hear, mutation, serve, whole},
    server::answer,
};
use customers::Customers;
use serde_json::json;
use shell::ids;

#[tokio::test]
async fn a_command_without_an_answer_is_pending_until_it_is_decided() {
    bare(async |fleet| {
        let _aggregator = fleet.aggregator::<Customers>();
        let server = serve(&fleet, hasty_to_hear()).await;
        let id = ids::new_id();
        let input = json!({ "email": "a@example.com", "commandId": id });
        let body = mutation("inviteCustomer", &input, "commandId outcome");
        let it = answer(server.post(&body)).await;
        assert_eq!((it.status.as_u16(), it.code()), (200, "PENDING"), "{}", it.body);
        assert_eq!(it.body["errors"][0]["extensions"]["commandId"], json!(id));
        // A handler comes: the same mutation again has its answer, and one effect.
        let _handler = fleet.handler::<Customers>();
        let again = loop {
            let it = answer(server.post(&body)).await;
            if it.body.get("errors").is_none() {
                break it;
            }
            assert_eq!(it.code(), "PENDING", "{}", it.body);
        };
        assert_eq!(again.body["data"]["inviteCustomer"]["outcome"], "INVITED");
        assert_eq!(fleet.store.events("customers").len(), 1);
        let it = server.ask(&format!("{{ command(id: \"{id}\") {{ status }} }}")).await;
        assert_eq!(it.body["data"]["command"]["status"], "ACCEPTED");
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_away_is_said() {
    whole(async |fleet, server| {
        let ada = server.invite("a@example.com").await;
        fleet.store.set_away(true);
        for query in [
            "{ customers { totalCount } }".to_owned(),
            "{ invitationsPerDay { day } }".to_owned(),
            format!("{{ customer(id: {}) {{ id }} }}", ada["id"]),
            format!("{{ command(id: {}) {{ status }} }}", ada["id"]),
        ] {
            let it = server.ask(&query).await;
            assert_eq!(
                (it.status.as_u16(), it.code()),
                (200, "UNAVAILABLE"),
                "{query}: {}",
                it.body
            );
        }
        fleet.store.set_away(false);
        let it = server.ask("{ customers { totalCount } }").await;
        assert_eq!(it.body["data"]["customers"]["totalCount"], 1);
    })
    .await;
}

#[tokio::test]
async fn a_mutation_that_cannot_be_sent_has_no_effect() {
    bare(async |fleet| {
        // Nobody has registered the schema, and the registry is away: the command cannot be written.
        fleet.registry.set_away(true);
        let server = serve(&fleet, hasty_to_hear()).await;
        let body = mutation("inviteCustomer", &json!({ "email": "a@example.com" }), "commandId");
        let it = answer(server.post(&body)).await;
        assert_eq!((it.status.as_u16(), it.code()), (200, "UNAVAILABLE"), "{}", it.body);
        assert!(it.body["errors"][0]["extensions"]["commandId"].is_string());
    })
    .await;
}
