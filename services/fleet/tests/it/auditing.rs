//! `audit`: a fleet at work agrees with itself; whatever does not is named, and what is derived can be repaired.
#![expect(clippy::unwrap_used, reason = "only tests call this")]
mod injuries;
mod repairs;

pub(crate) use repairs::flotilla;

use crate::{fleet::Fleet, server::Server};
use ::customers::{Customer as Decider, Customers};
use functions::{Context, Happened, Parts, Project};
use serde_json::json;
use shared_events::{Message as _, customers::CustomerEvent};
use shell::{
    audit::{Difference, Report, Scope, Watcher, audit},
    ids,
};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Keeps what is found.
#[derive(Default)]
pub(crate) struct Found(pub(crate) Vec<Difference>);

impl Watcher for Found {
    fn found(&mut self, difference: &Difference) {
        self.0.push(difference.clone());
    }

    fn progress(&mut self, _: &str, _: u64, _: u64) {}
}

pub(crate) async fn audited<C: Context>(fleet: &Fleet, scope: &Scope) -> (Report, Vec<Difference>) {
    let mut found = Found::default();
    let report = audit::<C>(&fleet.shell(), scope, &mut found).await.unwrap();
    assert_eq!(report.is_clean(), found.0.is_empty());
    (report, found.0)
}

pub(crate) async fn differences(fleet: &Fleet) -> Vec<Difference> {
    audited::<Customers>(fleet, &Scope::default()).await.1
}

/// So many customers, with something that happened to each; waits until all of it is published and shown.
pub(crate) async fn customers(fleet: &Fleet, server: &Server, count: usize) {
    for n in 0..count {
        let customer = server.invite(&format!("c{n}-{}@example.com", ids::new_id())).await;
        let id = json!({ "customerId": customer["id"] });
        match n % 4 {
            0 => drop(server.mutate("verifyCustomer", id).await),
            1 => drop(server.mutate("removeCustomer", id).await),
            2 => {
                let email = format!("changed{n}-{}@example.com", ids::new_id());
                let input = json!({ "customerId": customer["id"], "email": email });
                server.mutate("changeCustomerEmail", input).await;
            }
            _ => {}
        }
    }
    at_rest(fleet).await;
}

/// Waits until all events are published, and shown in both views.
pub(crate) async fn at_rest(fleet: &Fleet) {
    fleet.until_sql("select count(*) from write.ledger where published < pseq", "0").await;
    let behind = "select count(*) from write.ledger l join read.checkpoint c using (part) where c.pseq < l.pseq";
    fleet.until_sql(behind, "0").await;
}

#[tokio::test]
async fn a_fleet_at_work_agrees_with_itself() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    customers(&fleet, &server, 20).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let traffic = async {
        let mut count = 0;
        while !stop.is_cancelled() {
            let customer = server.invite(&format!("busy{count}@example.com")).await;
            let id = json!({ "customerId": customer["id"] });
            server
                .mutate(if count % 3 == 0 { "removeCustomer" } else { "verifyCustomer" }, id)
                .await;
            count += 1;
        }
        count
    };
    let audits = async {
        let mut events = BTreeSet::new();
        for rows_max in [100_000, 1, 2, 100_000] {
            let scope = Scope { rows_max, ..Scope::default() };
            let (report, found) = audited::<Customers>(&fleet, &scope).await;
            assert_eq!(found, [], "with {rows_max} rows in memory");
            events.insert(report.checked[0].count);
            for it in ["outcomes", "topic", "claims", "view customer", "view invitations_per_day"] {
                let is_checked = |checked: &&shell::audit::Checked| checked.what.starts_with(it);
                let count: u64 =
                    report.checked.iter().filter(is_checked).map(|checked| checked.count).sum();
                assert!(count > 0, "{it}: {:?}", report.checked);
            }
        }
        stop.cancel();
        events
    };
    let (count, events) = futures::join!(traffic, audits);
    assert!(
        count > 0 && events.len() > 1,
        "{count} customers came, and {events:?} events were seen"
    );
}

fn table(fleet: &Fleet, view: &str) -> String {
    let sql = "select format('%I.%I', table_schema, table_name) from information_schema.tables where table_name = ";
    fleet.sql(&format!("{sql} '{view}'"))
}

#[tokio::test]
async fn events_that_wait_or_were_discarded_are_not_missed() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    customers(&fleet, &server, 8).await;
    drop(server);
    let customer = table(&fleet, "customer");
    let days = table(&fleet, "invitations_per_day");
    let one = "select stream, part, pseq from write.event where stream =
        (select stream from write.event group by stream having count(*) = 1 order by stream limit 1)";
    let generation = "(select hash from read.generation where view = 'customer'), 1";
    // Its stream waits in one view, and it was discarded in the other one.
    fleet.sql(&format!("insert into read.parked_event
        select 'customer', {generation}, 'customers.events', part, pseq, stream, 'a test', '{{}}', null, now() from ({one}) e"));
    assert_ne!(differences(&fleet).await, [], "its row is still there");
    fleet.sql(&format!("delete from {customer} where id = (select stream from ({one}) e)"));
    assert_eq!(differences(&fleet).await, []);
    fleet.sql(&format!("update {days} set invited = invited - 1"));
    assert_ne!(differences(&fleet).await, []);
    fleet.sql("create table if not exists read.discard (view text, topic text, part int, pseq bigint, reason text, actor text, at timestamptz)");
    fleet.sql(&format!("insert into read.discard (view, topic, part, pseq, reason, actor, at)
        select 'invitations_per_day', 'customers.events', part, pseq, 'a test', 'ada', now() from ({one}) e"));
    assert_eq!(differences(&fleet).await, []);
}

/// The context with a view whose rows are found by something else than their stream.
struct Odd;

impl Context for Odd {
    const NAME: &'static str = "customers";

    fn parts(list: &mut impl Parts) {
        list.decider::<Decider>().view::<Mirror>();
    }
}

functions::row! {
    /// A customer under another id.
    struct Mirror in "mirror" {
        id: Uuid,
        events: i64,
    }
    revision 1;
    follows CustomerEvent;
}

fn mirrored(id: Uuid) -> Uuid {
    Uuid::from_u128(!id.as_u128())
}

impl Project<CustomerEvent> for Mirror {
    fn key(event: &CustomerEvent, _: &Happened) -> Option<Uuid> {
        Some(mirrored(event.stream()))
    }

    fn project(row: Option<Self>, event: &CustomerEvent, _: &Happened) -> Option<Self> {
        let events = row.map_or(0, |it| it.events) + 1;
        Some(Self { id: mirrored(event.stream()), events })
    }
}

#[tokio::test]
async fn rows_are_compared_whatever_they_are_found_by() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    customers(&fleet, &server, 12).await;
    let _services = fleet.here(vec![shell::aggregator::<Odd>()]);
    let sum = "select coalesce(sum(pseq), 0) = (select count(*) from write.event) from read.checkpoint where view = 'mirror'";
    fleet.until_sql(sum, "t").await;
    for rows_max in [100_000, 3] {
        let scope = Scope { view: Some("mirror".to_owned()), rows_max, ..Scope::default() };
        let (report, found) = audited::<Odd>(&fleet, &scope).await;
        assert_eq!(found, []);
        assert_eq!(report.checked.iter().map(|it| it.count).sum::<u64>(), 12);
        let mirror = table(&fleet, "mirror");
        fleet.sql(&format!("update {mirror} set events = events + 1 where id = (select max(id::text)::uuid from {mirror})"));
        let found = audited::<Odd>(&fleet, &scope).await.1;
        assert_eq!(found.len(), 1, "{found:#?}");
        fleet.sql(&format!("update {mirror} set events = events - 1 where id = (select max(id::text)::uuid from {mirror})"));
    }
}
