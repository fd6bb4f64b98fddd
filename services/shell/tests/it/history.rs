//! What happened can be told: events by pages, what a stream was, and why a row is what it is.
use crate::{
    fleet::{accepted, envelope_of, id, invite, run, run_in_time, until},
    sound::sound,
};
use chrono::{DateTime, TimeDelta, Utc};
use customers::Customers;
use functions::View as _;
use serde_json::json;
use shared_events::customers::{
    ChangeCustomerEmail, CustomerCommand, RemoveCustomer, VerifyCustomer,
};
use shell::{
    Client,
    client::Envelope,
    explain::ExplainError,
    history::{AsOf, Moment, Page, difference},
    memory::Fleet,
};
use uuid::Uuid;

fn verify(n: u128) -> VerifyCustomer {
    VerifyCustomer { customer_id: id(n) }
}

fn change(n: u128, email: &str) -> ChangeCustomerEmail {
    ChangeCustomerEmail { customer_id: id(n), email: email.to_owned() }
}

/// A page as versions and records, and whether there is more.
async fn page(client: &Client, n: u128, page: Page) -> (Vec<(i64, String)>, bool, i64) {
    let read = client.history::<Customers>().events(id(n), page).await.unwrap();
    (read.events.into_iter().map(|it| (it.version, it.record)).collect(), read.more, read.total)
}

async fn fields(client: &Client, n: u128, as_of: AsOf) -> Option<serde_json::Value> {
    let moment = client.history::<Customers>().as_of(id(n), as_of).await.unwrap();
    moment.map(|it| it.fields().into())
}

#[test]
fn a_history_is_paged_from_both_ends_while_it_grows() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "0@x.org")).await;
        for n in 1..7 {
            accepted(&client, change(1, &format!("{n}@x.org"))).await;
        }
        for newest_first in [false, true] {
            let (mut after, mut seen) = (None, Vec::new());
            let before = page(&client, 1, Page { after: None, newest_first, limit: 100 }).await.2;
            loop {
                let asked = Page { after, newest_first, limit: 3 };
                let (events, more, total) = page(&client, 1, asked).await;
                assert!(events.len() <= 3);
                after = events.last().map(|it| it.0);
                seen.extend(events.into_iter().map(|it| it.0));
                // Whatever is appended between two pages.
                let email = format!("{newest_first}{total}@x.org");
                if total < before + 4 {
                    accepted(&client, change(1, &email)).await;
                }
                if !more {
                    break;
                }
            }
            let expected: Vec<i64> = if newest_first {
                (1..=before).rev().collect()
            } else {
                (1..=i64::try_from(seen.len()).unwrap().max(before + 2)).collect()
            };
            assert_eq!(seen, expected, "{newest_first}");
        }
        let (first, ..) =
            page(&client, 1, Page { after: None, newest_first: false, limit: 1 }).await;
        assert_eq!(first, [(1, "CustomerInvited".to_owned())]);
        let nobody = page(&client, 9, Page { after: None, newest_first: true, limit: 5 }).await;
        assert_eq!(nobody, (vec![], false, 0));
        let beyond = Page { after: Some(i64::MAX), newest_first: false, limit: 5 };
        assert!(page(&client, 1, beyond).await.0.is_empty());
    });
}

#[test]
fn an_event_is_told_with_where_it_comes_from() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        let (command_id, correlation) = (id(77), id(78));
        let envelope = Envelope {
            correlation,
            actor: Some("ada@example.com".to_owned()),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            ..envelope_of(command_id)
        };
        let command: CustomerCommand = invite(1, "Ada@example.com").into();
        client.command(&command, envelope).await.unwrap();
        let page = Page { after: None, newest_first: false, limit: 1 };
        let read = client.history::<Customers>().events(id(1), page).await.unwrap();
        let event = &read.events[0];
        assert_eq!(event.data, Some(json!({ "customer_id": id(1), "email": "Ada@example.com" })));
        let origin = &event.origin;
        assert_eq!((origin.command_id, origin.correlation), (command_id, correlation));
        assert_eq!(origin.actor.as_deref(), Some("ada@example.com"));
        assert_eq!(origin.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    });
}

#[test]
fn a_stream_is_told_as_of_a_version_and_as_of_an_instant() {
    run_in_time(async |fleet, time| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "a@x.org")).await;
        time.pass(TimeDelta::hours(2));
        accepted(&client, verify(1)).await;
        time.pass(TimeDelta::hours(2));
        accepted(&client, RemoveCustomer { customer_id: id(1) }).await;
        let at: Vec<DateTime<Utc>> =
            fleet.store.events("customers").iter().map(|it| it.at).collect();
        let invited = Some(json!({ "state": "Invited", "email": "a@x.org" }));
        let verified = Some(json!({ "state": "Verified", "email": "a@x.org" }));
        let removed = Some(json!({ "state": "Removed" }));
        let hour = TimeDelta::hours(1);
        for (as_of, expected) in [
            (AsOf::Version(0), &None),
            (AsOf::Version(1), &invited),
            (AsOf::Version(2), &verified),
            (AsOf::Now, &removed),
            (AsOf::Instant(at[0] - hour), &None),
            (AsOf::Instant(at[0]), &invited),
            (AsOf::Instant(at[0] + hour), &invited),
            (AsOf::Instant(at[1]), &verified),
            (AsOf::Instant(at[1] + hour), &verified),
            (AsOf::Instant(at[2]), &removed),
        ] {
            assert_eq!(&fields(&client, 1, as_of).await, expected, "{as_of:?}");
        }
        let of = |it: &Option<serde_json::Value>| it.as_ref().unwrap().as_object().unwrap().clone();
        let changes = difference(&of(&invited), &of(&verified));
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!((&*changes[0].field, &changes[0].after), ("state", &json!("Verified")));
    });
}

/// More events than are read at once, and a snapshot behind them.
#[test]
fn a_long_stream_is_told_too() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "0@x.org")).await;
        for n in 1..1100 {
            accepted(&client, change(1, &format!("{n}@x.org"))).await;
        }
        let email = |it: Option<serde_json::Value>| it.unwrap()["email"].clone();
        assert_eq!(email(fields(&client, 1, AsOf::Now).await), "1099@x.org");
        assert_eq!(email(fields(&client, 1, AsOf::Version(1000)).await), "999@x.org");
        assert_eq!(email(fields(&client, 1, AsOf::Version(1001)).await), "1000@x.org");
    });
}

#[test]
fn streams_are_found_by_what_they_are() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        for n in 1..31 {
            accepted(&client, invite(n, &format!("{n}@x.org"))).await;
            if n % 3 == 0 {
                accepted(&client, verify(n)).await;
            }
        }
        let history = client.history::<Customers>();
        // A few at a time, going on where the one before ended.
        let (mut after, mut found, mut looked) = (None, Vec::<Uuid>::new(), 0);
        loop {
            let mut page = Vec::new();
            let is_enough = |it: Moment| {
                if it.fields()["state"] == "Verified" {
                    page.push(it.stream);
                }
                page.len() == 4
            };
            let it =
                history.streams(after, u64::MAX, is_enough, |it| panic!("{it}")).await.unwrap();
            (after, looked) = (it.next, looked + it.streams);
            found.append(&mut page);
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, (1..31).filter(|it| it % 3 == 0).map(id).collect::<Vec<_>>());
        assert_eq!(looked, 30);
        let few = history.streams(None, 5, |_| false, |_| {}).await.unwrap();
        assert!((1..=6).contains(&few.events) && few.next.is_some(), "{few:?}");
    });
}

async fn ready(fleet: &Fleet) {
    until("the views have all of it", || {
        fleet.store.ledger_rows("customers").iter().all(|it| {
            ["customer", "invitations_per_day"].iter().all(|table| {
                fleet.store.shown("customers", table, "customers.events", it.part) == it.pseq
                    && !fleet.store.rows("customers", table).is_empty()
            })
        })
    })
    .await;
}

#[test]
fn a_row_is_explained_by_the_events_that_set_its_fields() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "a@x.org")).await;
        accepted(&client, invite(2, "b@x.org")).await;
        let verified = client.new_id();
        crate::fleet::send_as(&client, verified, verify(1)).await;
        ready(&fleet).await;
        let it =
            client.explain::<Customers>("customer", &id(1).to_string(), 1000, 3).await.unwrap();
        assert_eq!((it.events, it.looked_at, it.scanned), (2, 2, false));
        assert!(it.differs.is_empty() && it.row == it.folded && it.row.is_some(), "{it:?}");
        let names: Vec<_> = it.fields.iter().map(|it| it.name).collect();
        let columns: Vec<_> =
            customers::views::Customer::columns().iter().map(|it| it.name).collect();
        assert_eq!(names, columns);
        for field in &it.fields {
            let by = &field.set_by[0];
            let (record, changes) = match field.name {
                "status" | "verified_at" | "version" => ("CustomerVerified", 2),
                _ => ("CustomerInvited", 1),
            };
            assert_eq!((by.record.as_str(), field.changes), (record, changes), "{}", field.name);
            assert_eq!(by.stream, id(1));
            if record == "CustomerVerified" {
                assert_eq!(by.origin.command_id, verified);
            }
        }
        // Nobody: looked for among the events of its stream, and nowhere else.
        let nobody =
            client.explain::<Customers>("customer", &id(9).to_string(), 1000, 3).await.unwrap();
        assert_eq!((nobody.row, nobody.events, nobody.scanned), (None, 0, false));
        sound(&fleet).await;
    });
}

#[test]
fn a_row_of_many_streams_is_explained_by_the_newest_of_its_events() {
    run_in_time(async |fleet, time| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        for n in 1..6 {
            accepted(&client, invite(n, &format!("{n}@x.org"))).await;
            time.pass(TimeDelta::seconds(1));
        }
        accepted(&client, verify(3)).await;
        ready(&fleet).await;
        let day = fleet.store.events("customers")[0].at.date_naive().to_string();
        let it = client.explain::<Customers>("invitations_per_day", &day, 1000, 2).await.unwrap();
        assert_eq!((it.events, it.looked_at, it.scanned, it.ended_early), (6, 6, true, false));
        assert!(it.differs.is_empty() && it.row.is_some(), "{it:?}");
        let field = |name: &str| it.fields.iter().find(|it| it.name == name).unwrap();
        let by = |name: &str| field(name).set_by.iter().map(|it| it.stream).collect::<Vec<_>>();
        assert_eq!((field("invited").changes, by("invited")), (5, vec![id(5), id(4)]));
        assert_eq!((&field("verified").value, by("verified")[0]), (&json!(1), id(3)));
        // Bounded: it says that it looked at some only.
        let some =
            client.explain::<Customers>("invitations_per_day", "2000-01-01", 3, 2).await.unwrap();
        assert_eq!((some.row, some.events), (None, 0));
        let next = client.explain::<Customers>("invitations_per_day", &day, 0, 2).await.unwrap();
        assert!(next.ended_early, "{next:?}");
    });
}

/// A view that is not what its events make is said to be so, and one that is only behind is not.
#[test]
fn a_row_that_is_wrong_is_named() {
    run(async |fleet| {
        let handler = fleet.handler::<Customers>();
        let aggregator = fleet.aggregator::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "a@x.org")).await;
        ready(&fleet).await;
        let explain = async || {
            client.explain::<Customers>("customer", &id(1).to_string(), 1000, 1).await.unwrap()
        };
        aggregator.stop().await;
        accepted(&client, verify(1)).await;
        let behind = explain().await;
        assert_eq!((behind.events, behind.not_yet, behind.differs.len()), (1, 1, 0));
        fleet.store.spoil("customers", "customer", |row| row["email"] = json!("eve@x.org"));
        let wrong = explain().await;
        assert_eq!(wrong.differs, ["email"]);
        assert_eq!(wrong.folded.unwrap()["email"], "a@x.org");
        drop(handler);
    });
}

#[test]
fn what_cannot_be_explained_says_why() {
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        let explain = async |view: &str, key: &str| {
            client.explain::<Customers>(view, key, 10, 1).await.unwrap_err()
        };
        let error = explain("customres", "x").await;
        assert!(error.to_string().contains("customer, invitations_per_day"), "{error}");
        assert!(matches!(error, ExplainError::NoView { .. }));
        for (view, key) in
            [("customer", "rubbish"), ("invitations_per_day", "2026-02-30"), ("customer", "")]
        {
            assert!(matches!(explain(view, key).await, ExplainError::NoKey { .. }), "{key}");
        }
        let nothing = explain("customer", &id(1).to_string()).await;
        assert!(matches!(nothing, ExplainError::Rebuilding("customer")), "{nothing}");
    });
}
