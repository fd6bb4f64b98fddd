//! A day of whoever operates the fleet, on real servers and with the program they use: a view's definition changes and
//! is deployed, compared, built again, rolled back; an event that the view cannot fold is set aside, and shown once the
//! fold is mended; a row is explained; and in the end all that is stored agrees.
use crate::{
    fleet::Fleet,
    rebuild::{done, fails, succeeds},
    server::Server,
    topics::{self, command},
};
use ::customers::{Customer, views};
use functions::{Column, Context, Happened, Index, Message as _, Parts, Project, View};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared_events::customers::{CustomerCommand, CustomerEvent, InviteCustomer};
use shell::{ids, view::ViewDefinition};
use uuid::Uuid;

/// The build before: its view has e-mail addresses in capitals, and a column that is not there any more.
struct Before;

impl Context for Before {
    const NAME: &'static str = "customers";

    fn parts(list: &mut impl Parts) {
        list.decider::<Customer>();
        list.view::<Shouted>();
    }
}

functions::row! {
    /// A customer, as the build before shows it.
    pub struct Shouted in "customer" {
        /// The customer.
        pub id: Uuid,
        /// In capitals.
        pub email: String,
        /// How many events it is made of.
        pub events: i64,
    }
    revision 1;
    follows CustomerEvent;
}

impl Project<CustomerEvent> for Shouted {
    fn key(event: &CustomerEvent, _: &Happened) -> Option<Uuid> {
        Some(event.stream())
    }

    fn project(row: Option<Self>, event: &CustomerEvent, _: &Happened) -> Option<Self> {
        let (email, events) = row.map(|it| (it.email, it.events)).unwrap_or_default();
        let email = match event {
            CustomerEvent::CustomerInvited(it) => it.email.to_uppercase(),
            CustomerEvent::CustomerEmailChanged(it) => it.email.to_uppercase(),
            CustomerEvent::CustomerVerified(_) | CustomerEvent::CustomerRemoved(_) => email,
        };
        Some(Self { id: event.stream(), email, events: events + 1 })
    }
}

/// The build of today, but for a mistake: one address it cannot fold.
struct Careless;

impl Context for Careless {
    const NAME: &'static str = "customers";

    fn parts(list: &mut impl Parts) {
        list.decider::<Customer>();
        list.view::<CarelessCustomer>().view::<views::InvitationsPerDay>();
    }
}

/// A customer of today: its definition is the same, its fold is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct CarelessCustomer(views::Customer);

impl View for CarelessCustomer {
    type Key = Uuid;
    const TABLE: &'static str = views::Customer::TABLE;
    const KEY: &'static str = views::Customer::KEY;
    const REVISION: u32 = views::Customer::REVISION;

    fn columns() -> Vec<Column> {
        views::Customer::columns()
    }

    fn indexes() -> Vec<Index> {
        views::Customer::indexes()
    }

    fn searched() -> Vec<&'static str> {
        views::Customer::searched()
    }

    fn follows(list: &mut impl functions::Follows<Self>) {
        list.events::<CustomerEvent>();
    }
}

impl Project<CustomerEvent> for CarelessCustomer {
    fn key(event: &CustomerEvent, happened: &Happened) -> Option<Uuid> {
        views::Customer::key(event, happened)
    }

    fn project(row: Option<Self>, event: &CustomerEvent, happened: &Happened) -> Option<Self> {
        if let CustomerEvent::CustomerEmailChanged(it) = event {
            assert!(!it.email.contains('+'), "no address has a plus sign");
        }
        views::Customer::project(row.map(|it| it.0), event, happened).map(Self)
    }
}

async fn invite_past_the_fleet(fleet: &Fleet, emails: &[&str]) {
    let shell = fleet.shell();
    let mut records = Vec::new();
    for email in emails {
        let customer_id = ids::new_id();
        let invite = CustomerCommand::from(InviteCustomer { customer_id, email: (*email).into() });
        records.push(command(fleet, &shell, ids::new_id(), customer_id, &invite).await);
    }
    topics::write(&shell, records).await;
}

async fn change_email(server: &Server, customer: &Value, email: &str) {
    let input = json!({ "customerId": customer, "email": email });
    let answer = server.mutate("changeCustomerEmail", input).await;
    assert_eq!(answer.body.get("errors"), None, "{}", answer.body);
}

#[tokio::test]
async fn an_operators_day() {
    let fleet = Fleet::new().await;
    let live = |of: &str| {
        fleet.sql(&format!(
            "select generation from read.live where (view, hash) = ('customer', '{of}')"
        ))
    };
    let today = ViewDefinition::of::<views::Customer>("customers").hash;
    let before = ViewDefinition::of::<Shouted>("customers").hash;
    assert_eq!(ViewDefinition::of::<CarelessCustomer>("customers").hash, today);

    // The build before, at work.
    let old = fleet.here(vec![shell::handler::<Before>(), shell::aggregator::<Before>()]);
    invite_past_the_fleet(&fleet, &["ada@example.com", "bob@example.com"]).await;
    let events = "select sum(pseq) from read.checkpoint where view = 'customer'";
    fleet.until_sql(events, "2").await;

    // A changed definition is deployed: it is built beside the one before, and compared with it.
    let services = || vec![shell::handler::<Careless>(), shell::aggregator::<Careless>()];
    let server = fleet.serve(services(), bff::Config::default()).await;
    assert_eq!((live(&before), live(&today)), ("1".to_owned(), "1".to_owned()));
    let diff = ["views", "diff", "customer", "1", "--against", &before];
    let told = succeeds(&fleet, &diff).await;
    let header = format!(
        "customer: 0 rows only in generation 1 of {today}, 0 only in 1 of {before}, 2 differ\n  email differs in 2\n"
    );
    assert!(told.starts_with(&header) && told.contains("ADA@EXAMPLE.COM"), "{told}");
    drop(old);
    succeeds(&fleet, &["views", "drop", "customer", "--version", &before]).await;
    assert_eq!(live(&before), "");
    let schemas = format!(
        "select count(*) from information_schema.schemata where schema_name like 'view_customer_{before}_%'"
    );
    assert_eq!(fleet.sql(&schemas), "0");
    fails(&fleet, &["views", "drop", "customer", "--version", &today], "this build's own").await;

    // Another generation is looked at, read, and given up again, while changes go on.
    let ada = server
        .ask("{ customers(where: { email: { startsWith: \"ada\" } }) { edges { node { id } } } }")
        .await;
    let ada = ada.body["data"]["customers"]["edges"][0]["node"]["id"].clone();
    succeeds(&fleet, &["rebuild", "customer", "--cut-over", "ask"]).await;
    assert_eq!(live(&today), "1", "nobody has said yes");
    change_email(&server, &ada, "ada@example.org").await;
    succeeds(&fleet, &["views", "cut-over", "customer", "2"]).await;
    assert_eq!(live(&today), "2");
    succeeds(&fleet, &["rollback", "customer"]).await;
    assert_eq!(live(&today), "1");
    succeeds(&fleet, &["views", "drop", "customer", "2"]).await;

    // An event that cannot be folded: it waits, with what comes after it, and others do not.
    change_email(&server, &ada, "ada+work@example.org").await;
    change_email(&server, &ada, "ada@example.net").await;
    let email = format!("select email from view_customer_{today}_1.customer where id = {ada}")
        .replace('"', "'");
    let parked = "select count(*) from read.parked_event";
    fleet.until_sql(parked, "2").await;
    assert_eq!(fleet.sql(&email), "ada@example.org");
    let eve = server.invite("eve@example.com").await;
    let letters = succeeds(&fleet, &["dead-letters", "list"]).await;
    assert!(letters.contains("no address has a plus sign"), "{letters}");
    // It would only be set aside again.
    let retry = ["dead-letters", "retry", "--view", "customer", "--reason", "too early"];
    let early = done(&fleet, &retry).await;
    assert!(!early.status.success());
    fleet.until_sql(parked, "2").await;

    // The mended build is deployed; what waited is shown in order.
    drop(server);
    let server = fleet.whole().await;
    let retry = ["dead-letters", "retry", "--view", "customer", "--reason", "plus signs are fine"];
    succeeds(&fleet, &retry).await;
    assert_eq!((fleet.sql(parked), fleet.sql(&email)), ("0".into(), "ada@example.net".into()));
    server.invite("fay@example.com").await;

    // Why a row is what it is.
    let id = ada.as_str().unwrap_or_default();
    let explained = succeeds(&fleet, &["explain", "customer", id]).await;
    assert!(explained.contains("made of 4 events"), "{explained}");
    let email = explained.lines().find(|it| it.trim_start().starts_with("email"));
    let email = email.unwrap_or_else(|| panic!("no e-mail address: {explained}"));
    assert!(
        email.contains("ada@example.net") && email.contains("CustomerEmailChanged (version 4)"),
        "{email}"
    );
    assert!(
        !succeeds(&fleet, &["explain", "customer", eve["id"].as_str().unwrap_or_default()])
            .await
            .is_empty()
    );

    // And all agrees.
    succeeds(&fleet, &["audit"]).await;
}
