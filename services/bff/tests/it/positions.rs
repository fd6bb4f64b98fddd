//! A reader never goes back in time.
use crate::{
    fleet::{bare, hasty_to_read, mutation, serve, whole},
    server::answer,
};
use customers::Customers;
use serde_json::{Value, json};
use shell::position::Position;

const LIST: &str = "{ customers { totalCount nodes { email } } }";
const DAYS: &str = "{ invitationsPerDay { invited } }";

#[tokio::test]
async fn a_mutation_without_view_fields_does_not_wait_for_the_view() {
    bare(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        // There is no aggregator: no view moves.
        let server = serve(&fleet, hasty_to_read()).await;
        let body =
            mutation("inviteCustomer", &json!({ "email": "a@example.com" }), "commandId outcome");
        let it = answer(server.post(&body)).await;
        assert_eq!(it.body["data"]["inviteCustomer"]["outcome"], "INVITED", "{}", it.body);
        assert!(it.header("flotilla-position").is_some());
        let it = server.mutate("inviteCustomer", json!({ "email": "b@example.com" })).await;
        let payload = &it.body["data"]["inviteCustomer"];
        assert_eq!((&payload["outcome"], &payload["customer"]), (&json!("INVITED"), &Value::Null));
        assert_eq!(it.body["errors"][0]["path"], json!(["inviteCustomer", "customer"]));
        assert!(["PENDING", "REBUILDING"].contains(&it.code()), "{}", it.body);
    })
    .await;
}

#[tokio::test]
async fn a_query_waits_for_what_its_reader_has_seen_or_says_so() {
    bare(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let aggregator = fleet.aggregator::<Customers>();
        let server = serve(&fleet, hasty_to_read()).await;
        let patient = serve(&fleet, bff::Config::default()).await;
        patient.invite("a@example.com").await;
        aggregator.stop().await;
        let body = mutation("inviteCustomer", &json!({ "email": "b@example.com" }), "commandId");
        let it = answer(server.post(&body)).await;
        let position = it.header("flotilla-position").expect("a position").to_owned();
        for query in [LIST, DAYS] {
            let late = answer(server.ask_after(&position, query)).await;
            assert_eq!((late.status.as_u16(), late.code()), (200, "PENDING"), "{}", late.body);
            // The position is kept: what the reader has seen is not forgotten with an error.
            assert_eq!(late.header("flotilla-position"), Some(position.as_str()));
        }
        // Nor does one wait for long who does not want to.
        let hasty = patient.ask_after(&position, LIST).header("Flotilla-Wait-Ms", "0");
        let late = answer(hasty).await;
        let missing = &late.body["errors"][0]["extensions"]["missing"];
        assert_eq!(late.code(), "PENDING", "{}", late.body);
        assert!(missing.as_str().is_some_and(|it| it.starts_with("1 events of ")), "{missing}");
        // Without a position, what there is will do.
        let stale = server.ask(LIST).await;
        assert_eq!(stale.body["data"]["customers"]["totalCount"], 1, "{}", stale.body);

        let _aggregator = fleet.aggregator::<Customers>();
        let asked = answer(patient.ask_after(&position, LIST)).await;
        assert_eq!(asked.body["data"]["customers"]["totalCount"], 2, "{}", asked.body);
    })
    .await;
}

#[tokio::test]
async fn the_position_grows_with_what_is_seen() {
    whole(async |_, server| {
        let mut seen = Position::new();
        for n in 0..5 {
            let it = server
                .mutate("inviteCustomer", json!({ "email": format!("c{n}@example.com") }))
                .await;
            seen.merge(
                &it.header("flotilla-position").expect("a position").parse().expect("reads"),
            );
        }
        // A list has been wherever its rows come from, and its reader with it.
        let it = answer(server.ask_after(&seen.to_string(), LIST)).await;
        let after: Position =
            it.header("flotilla-position").expect("a position").parse().expect("reads");
        assert_eq!(it.body["extensions"]["position"], json!(after.to_string()));
        let mut both = after.clone();
        both.merge(&seen);
        assert_eq!(both, after);
        assert_eq!(it.body["data"]["customers"]["totalCount"], 5);
    })
    .await;
}

#[tokio::test]
async fn a_position_that_was_never_given_out_fails_at_once() {
    whole(async |_, server| {
        let it = server.mutate("inviteCustomer", json!({ "email": "a@example.com" })).await;
        let given: Position =
            it.header("flotilla-position").expect("a position").parse().expect("reads");
        let mut forged = Position::new();
        for it in given.entries() {
            forged.saw(it.context, it.incarnation, it.part, it.pseq + 1_000_000);
        }
        let it = answer(server.ask_after(&forged.to_string(), LIST)).await;
        assert_eq!((it.status.as_u16(), it.code()), (200, "FAILED"), "{}", it.body);
    })
    .await;
}
