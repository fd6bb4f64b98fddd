//! A fleet in memory, with a server in front of it.
use crate::server::{Answer, Server, answer};
use bff::Config;
use customers::Customers;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use shell::{
    clock::Clock,
    memory::{Fleet, FleetOptions},
};
use std::time::Duration;
use tokio::task::LocalSet;

/// Runs a test with a fleet without services, and without a server.
pub(crate) async fn bare(test: impl AsyncFnOnce(Fleet)) {
    let fleet = Fleet::new(FleetOptions::default(), Clock::system());
    LocalSet::new().run_until(test(fleet)).await;
}

/// Runs a test with a whole fleet, and a server.
pub(crate) async fn whole(test: impl AsyncFnOnce(Fleet, Server)) {
    bare(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let server = serve(&fleet, Config::default()).await;
        test(fleet, server).await;
    })
    .await;
}

/// A server, with a client of its own, as every instance has one.
pub(crate) async fn serve(fleet: &Fleet, config: Config) -> Server {
    let client = fleet.client::<Customers>();
    Server::start(bff::schema(&config, client), config).await
}

/// Does not wait long.
pub(crate) fn hasty() -> Config {
    let soon = Duration::from_millis(300);
    Config { command_time: soon, read_time: soon, ..Config::default() }
}

/// A mutation of one field, with all that its payload has.
pub(crate) fn mutation(field: &str, input: &Value, selected: &str) -> Value {
    let kind = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
    let query = format!("mutation ($input: {kind}!) {{ {field}(input: $input) {{ {selected} }} }}");
    json!({ "query": query, "variables": { "input": input } })
}

pub(crate) const CUSTOMER: &str = "id email status invitedAt verifiedAt version";

impl Server {
    /// Sends a mutation that selects the whole customer.
    pub(crate) async fn mutate(&self, field: &str, input: Value) -> Answer {
        let outcome = if field == "inviteCustomer" { "outcome" } else { "" };
        let selected = format!("commandId {outcome} customer {{ {CUSTOMER} }}");
        answer(self.post(&mutation(field, &input, &selected))).await
    }

    /// Invites somebody; the customer.
    pub(crate) async fn invite(&self, email: &str) -> Value {
        let it = self.mutate("inviteCustomer", json!({ "email": email })).await;
        assert_eq!(it.body.get("errors"), None, "{}", it.body);
        it.body["data"]["inviteCustomer"]["customer"].clone()
    }

    /// A query that knows where its reader has been.
    pub(crate) fn ask_after(&self, position: &str, document: &str) -> RequestBuilder {
        self.post(&json!({ "query": document })).header("Flotilla-Position", position)
    }
}
