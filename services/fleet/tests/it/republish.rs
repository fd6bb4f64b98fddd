//! The same events again, from the first one on: rows stay as they are.
use crate::{
    fleet::Fleet,
    server::{Server, answer, until_some},
    topics::{self, PARTITIONS, command, goes_on},
};
use serde_json::json;
use shared_events::fleet::RepublishEvents;
use shell::{ids, port::log::Outgoing};

/// All customers, without the marks; and how many invitations the days count too many.
fn rows(fleet: &Fleet) -> (String, String) {
    let table = |name: &str| {
        let sql = "select format('%I.%I', table_schema, table_name) from information_schema.tables where table_name = ";
        fleet.sql(&format!("{sql} '{name}'"))
    };
    let customers = table("customer");
    let customers =
        format!("select t.* from {customers} t where email not like 'mark-%' order by 1");
    let days = format!(
        "select sum(invited) - (select count(*) from write.event where type like '%.CustomerInvited'),
            sum(verified) - (select count(*) from write.event where type like '%.CustomerVerified') from {}",
        table("invitations_per_day")
    );
    (fleet.sql(&customers), fleet.sql(&days))
}

/// The same once all that is in the log now has been read.
async fn later_rows(fleet: &Fleet, server: &Server, round: &str) -> (String, String) {
    let seen = goes_on(server, round).await.to_string();
    let it = answer(server.ask_after(&seen, "{ invitationsPerDay { day } }")).await;
    assert_eq!(it.body.get("errors"), None, "{}", it.body);
    rows(fleet)
}

#[tokio::test]
async fn events_that_come_again_change_nothing() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    for n in 0..30 {
        let customer = server.invite(&format!("c{n}@example.com")).await;
        let id = json!({ "customerId": customer["id"] });
        match n % 3 {
            0 => drop(server.mutate("verifyCustomer", id).await),
            1 => drop(server.mutate("removeCustomer", id).await),
            _ => {}
        }
    }
    let before = later_rows(&fleet, &server, "before").await;
    assert_eq!((before.0.lines().count(), before.1.as_str()), (30, "0|0"));

    // Copies of all of it at the end: each twice, then all of it once more.
    let shell = fleet.shell();
    let topic = fleet.names().events("customers");
    let records = topics::records(&fleet, &topic).await;
    let copy = |it: &shell::port::log::Record| Outgoing {
        topic: topic.clone(),
        part: it.part,
        key: it.key.clone().unwrap_or_default(),
        headers: it.headers.clone(),
        payload: it.payload.clone().unwrap_or_default(),
    };
    let twice = records.iter().flat_map(|it| [copy(it), copy(it)]);
    topics::write(&shell, twice.chain(records.iter().map(copy)).collect()).await;
    let count = i64::try_from(records.len()).expect("few");
    assert_eq!(later_rows(&fleet, &server, "copies").await, before);

    // The handler, asked for it, publishes from the first one on.
    for part in 0..PARTITIONS {
        let again =
            RepublishEvents { context: "customers".to_owned(), partition: part, from_pseq: 1 };
        let id = ids::new_id();
        let mut record = command(&fleet, &shell, id, id, &again).await;
        record.part = part;
        topics::write(&shell, vec![record]).await;
    }
    let again = async || (topics::count(&fleet, &topic).await == count * 5 + 6).then_some(());
    until_some("the handler publishes again", again).await;
    assert_eq!(later_rows(&fleet, &server, "again").await, before);
}
