//! A mutation becomes a row, and the process tells how it is.
use crate::{
    client::CUSTOMER,
    fleet::Fleet,
    server::{Server, answer, until_some},
};
use ::fleet::stack::prepare;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

async fn accepted(server: &Server, field: &str, input: Value) -> (Value, String) {
    let it = server.mutate(field, input).await;
    assert_eq!(it.body.get("errors"), None, "{}", it.body);
    let position = it.header("flotilla-position").expect("a position").to_owned();
    (it.body["data"][field].clone(), position)
}

#[tokio::test]
async fn a_mutation_becomes_a_row() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    let (invited, _) =
        accepted(&server, "inviteCustomer", json!({ "email": "Ada@example.com" })).await;
    let id = &invited["customer"]["id"];
    assert_eq!(invited["outcome"], "INVITED");
    accepted(&server, "verifyCustomer", json!({ "customerId": id, "expectedVersion": 1 })).await;
    let email = json!({ "customerId": id, "email": "ada@lovelace.org", "expectedVersion": 2 });
    accepted(&server, "changeCustomerEmail", email).await;
    let (removed, position) =
        accepted(&server, "removeCustomer", json!({ "customerId": id })).await;

    let command_id = &removed["commandId"];
    let document = format!(
        "{{ customer(id: {id}) {{ {CUSTOMER} }} customers {{ totalCount nodes {{ {CUSTOMER} }} }}
         invitationsPerDay {{ invited verified }} command(id: {command_id}) {{ status version }} }}"
    );
    let shown = answer(server.ask_after(&position, &document)).await.body;
    let customer = &removed["customer"];
    assert_eq!((&customer["status"], &customer["version"]), (&json!("REMOVED"), &json!(4)));
    assert_eq!(
        shown["data"],
        json!({
            "customer": customer,
            "customers": { "totalCount": 1, "nodes": [customer] },
            "invitationsPerDay": [{ "invited": 1, "verified": 1 }],
            "command": { "status": "ACCEPTED", "version": 4 },
        })
    );
    let types = fleet.json("select json_agg(type order by version) from write.event");
    let name = |it: &str| format!("flotilla.customers.{it}");
    let expected =
        ["CustomerInvited", "CustomerVerified", "CustomerEmailChanged", "CustomerRemoved"];
    assert_eq!(types, json!(expected.map(name)));
}

#[tokio::test]
async fn a_process_tells_how_it_is() {
    let fleet = Fleet::new().await;
    let process = fleet.ready_process(&["customers-handler", "customers-aggregator", "bff"]).await;
    let server = process.server();
    server.invite("ada@example.com").await;
    assert_eq!(server.text("/live").await, "live\n");
    assert_eq!(server.text("/ready").await, "{}");
    let status: Value = serde_json::from_str(&server.text("/status").await).expect("JSON");
    for service in ["bff", "customers-handler", "customers-aggregator/customer"] {
        assert_eq!(status["services"][service]["ready"], true, "{status}");
    }
    assert_eq!(server.parts().await, 3, "{status}");
    // How far it is behind is found out from time to time.
    for name in
        ["flotilla_commands_total", "flotilla_view_events_total", "flotilla_lag", "flotilla_ready"]
    {
        let is_there = async || server.text("/metrics").await.contains(name).then_some(());
        until_some(&format!("there is {name}"), is_there).await;
    }
    process.stop().await;
}

#[tokio::test]
async fn the_page_and_its_files_are_served() {
    let fleet = Fleet::new().await;
    let prepared = || prepare(None, &(), &CancellationToken::new());
    let kit = tokio::task::spawn_blocking(prepared).await.expect("it ends").expect("a kit");
    let config = bff::Config { assets: Some(kit.web()), ..bff::Config::default() };
    let aggregator = shell::aggregator::<customers::Customers>();
    let server = fleet.serve(vec![aggregator], config).await;
    let page = server.text("/").await;
    let files: Vec<&str> = page
        .split('"')
        .filter(|it| matches!(it.rsplit_once('.'), Some((_, "js" | "css"))))
        .collect();
    assert!(files.len() > 3, "{page}");
    for file in files {
        let path = if file.starts_with('/') { file.to_owned() } else { format!("/{file}") };
        let response = server.request(Method::GET, &path).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
    }
}
