//! A view whose definition has changed is built from the first event, beside the one that is served.
use crate::{fleet::Fleet, server::until_some};
use customers::Customer as Decider;
use functions::{Context, Happened, Parts, Project};
use serde_json::json;
use shared_events::{Message as _, customers::CustomerEvent};
use shell::{
    client::{Query, ReadError},
    position::Position,
    view::views_of,
};
use std::time::Duration;
use uuid::Uuid;

/// The context as a later build has it.
pub(crate) struct Later;

impl Context for Later {
    const NAME: &'static str = "customers";

    fn parts(list: &mut impl Parts) {
        list.decider::<Decider>().view::<Customer>();
    }
}

functions::row! {
    /// A customer, with another column than today.
    struct Customer in "customer" {
        id: Uuid,
        events: i64,
    }
    revision 2;
    follows CustomerEvent;
}

impl Project<CustomerEvent> for Customer {
    fn key(event: &CustomerEvent, _: &Happened) -> Option<Uuid> {
        Some(event.stream())
    }

    fn project(row: Option<Self>, event: &CustomerEvent, _: &Happened) -> Option<Self> {
        let events = row.map_or(0, |it| it.events) + 1;
        Some(Self { id: event.stream(), events })
    }
}

const SCHEMAS: &str =
    "select count(*) from information_schema.schemata where schema_name like 'view_customer_%'";

#[tokio::test]
async fn a_changed_view_is_built_from_the_first_event_and_the_old_one_stays() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    let ada = server.invite("ada@example.com").await;
    for n in 0..20 {
        server.invite(&format!("c{n}@example.com")).await;
    }
    server.mutate("verifyCustomer", json!({ "customerId": ada["id"] })).await;
    assert_eq!(fleet.sql(SCHEMAS), "1");

    let shell = fleet.shell();
    let client = shell.client(&["customers"], views_of::<Later>()).expect("a client");
    let read =
        async || client.read::<Customer>(Query::first(100), &Position::new(), Duration::ZERO).await;
    // It never shows half of it.
    assert!(matches!(read().await, Err(ReadError::Rebuilding { .. })));
    let services = fleet.here(vec![shell::aggregator::<Later>()]);
    let rows = until_some("the new view is shown", async || read().await.ok()).await.rows;
    let of_ada = rows.iter().find(|it| json!(it.id) == ada["id"]);
    assert_eq!((rows.len(), of_ada.map(|it| it.events)), (21, Some(2)));

    // Both go on, side by side.
    assert_eq!(fleet.sql(SCHEMAS), "2");
    let bob = server.invite("bob@example.com").await;
    let has = |it: &Customer| json!(it.id) == bob["id"];
    let has_bob = async || read().await.ok()?.rows.iter().any(has).then_some(());
    until_some("the new view follows", has_bob).await;
    let shown = server.ask("{ customers { totalCount } }").await;
    assert_eq!(shown.body["data"]["customers"]["totalCount"], 22);
    drop(services);
    shell.shutdown.cancel();
}
