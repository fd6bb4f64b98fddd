//! The whole write and read side in memory: what a client is promised.
use customers::{Customers, views::Customer};
use shared_events::{
    customers::{CustomerCommand, InviteCustomer, VerifyCustomer},
    fleet::Verdict,
};
use shell::{
    Client,
    client::{Answer, CommandError, Envelope},
    clock::Clock,
    memory::{Fleet, FleetOptions},
    position::Position,
    reads::Select,
};
use std::time::Duration;
use uuid::Uuid;

pub(crate) const WAIT: Duration = Duration::from_secs(5);

/// Runs a test on one thread with a clock that jumps as soon as everybody waits.
pub(crate) fn run(test: impl AsyncFnOnce(Fleet)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        test(Fleet::new(FleetOptions::default(), Clock::system())).await;
    });
}

pub(crate) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

pub(crate) fn envelope(client: &Client) -> Envelope {
    let command_id = client.new_id();
    Envelope {
        command_id,
        correlation: command_id,
        traceparent: None,
        actor: None,
        expected_version: None,
        deadline: WAIT,
    }
}

pub(crate) async fn send(
    client: &Client,
    command: impl Into<CustomerCommand>,
) -> Result<Answer, CommandError> {
    client.command(&command.into(), envelope(client)).await
}

pub(crate) fn invite(n: u128, email: &str) -> InviteCustomer {
    InviteCustomer { customer_id: id(n), email: email.to_owned() }
}

pub(crate) async fn customer(client: &Client, n: u128, seen: &Position) -> Option<Customer> {
    let select = Select::Keys(vec![id(n).to_string()]);
    client.read::<Customer>(select, seen, WAIT).await.unwrap().rows.into_iter().next()
}

#[test]
fn a_command_becomes_a_row_that_its_sender_sees() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        let answer = send(&client, invite(1, "ada@example.com")).await.unwrap();
        assert_eq!((answer.verdict, answer.version), (Verdict::Accepted, 1));
        let row = customer(&client, 1, &answer.position).await.unwrap();
        assert_eq!((row.email.as_str(), row.version), ("ada@example.com", 1));
        let answer = send(&client, VerifyCustomer { customer_id: id(1) }).await.unwrap();
        let row = customer(&client, 1, &answer.position).await.unwrap();
        assert!(row.verified_at.is_some());
    });
}
