//! What is derived is made again; and what the command says about it.
use super::{at_rest, audited, customers, differences, table};
use crate::{
    fleet::{Fleet, free_address},
    server::until_some,
    servers::delete_records,
    topics::goes_on,
};
use ::customers::Customers;
use serde_json::{Value, json};
use shell::{
    audit::{Kind, Scope, repair},
    ids,
};
use std::{collections::BTreeSet, process::Command};

#[tokio::test]
async fn what_is_derived_is_repaired_while_the_fleet_runs() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    customers(&fleet, &server, 12).await;
    let shell = fleet.shell();
    let stream = fleet.sql("select stream from write.event group by stream having count(*) = 1 order by stream limit 1");
    let email = fleet.sql(&format!("select value from write.claim where stream = '{stream}'"));
    // A claim too few, one too many; a wrong snapshot; a topic that has lost its beginning.
    fleet.sql(&format!("delete from write.claim where stream = '{stream}'"));
    fleet.sql(&format!(
        "insert into write.claim values ('email', 'nobody@example.com', '{}', 0, 1)",
        ids::new_id()
    ));
    fleet.sql(&format!("insert into write.snapshot select stream, 'Customer.1', version, '\"Removed\"', at from write.event where stream = '{stream}'"));
    let topic = fleet.names().events("customers");
    delete_records(&fleet.addresses, &topic, 0, 3);
    let epochs = "select sum(epoch) from write.ledger";
    let before: i64 = fleet.sql(epochs).parse().unwrap();
    let (report, found) = audited::<Customers>(&fleet, &Scope::default()).await;
    let kinds: BTreeSet<Kind> = found.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [Kind::Topic, Kind::Claim, Kind::Snapshot].into(), "{found:#?}");
    let mut done = Vec::new();
    let views = repair::<Customers>(&shell, &report.remedies, &mut |it| done.push(it.clone()))
        .await
        .unwrap();
    assert!(views.is_empty() && done.iter().all(|it| it.done.is_ok()), "{done:#?}");
    assert_eq!(done.len(), 4, "{done:#?}");
    let is_clean = async || differences(&fleet).await.is_empty().then_some(());
    until_some("all agrees again", is_clean).await;
    // Whoever knew the wrong state has to look again; and unique values are unique.
    assert!(fleet.sql(epochs).parse::<i64>().unwrap() > before);
    goes_on(&server, "after").await;
    let taken = server.mutate("inviteCustomer", json!({ "email": email })).await;
    assert_eq!(
        taken.body["data"]["inviteCustomer"]["outcome"], "ALREADY_INVITED",
        "{}",
        taken.body
    );
    let free = server.invite("nobody@example.com").await;
    assert_eq!(free["status"], "INVITED");
    let verified = server.mutate("verifyCustomer", json!({ "customerId": stream })).await;
    assert_eq!(
        verified.body["data"]["verifyCustomer"]["customer"]["status"], "VERIFIED",
        "{}",
        verified.body
    );
    at_rest(&fleet).await;
    assert_eq!(differences(&fleet).await, []);
}

#[tokio::test]
async fn a_view_or_an_event_that_is_wrong_is_not_touched_by_a_repair() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    customers(&fleet, &server, 8).await;
    drop(server);
    let customer = table(&fleet, "customer");
    fleet.sql(&format!("update {customer} set email = 'wrong@example.com'"));
    // Two streams that hold one value: by the events themselves.
    let two = "(select stream from write.event group by stream having count(*) = 1 order by stream limit 2)";
    fleet.sql(&format!("update write.event set data = (select data from write.event where stream in {two} order by stream limit 1) where stream in {two}"));
    let before =
        fleet.sql("select md5(string_agg(e::text, '' order by part, pseq)) from write.event e");
    let (report, found) = audited::<Customers>(&fleet, &Scope::default()).await;
    assert!(found.iter().any(|it| it.kind == Kind::Claim), "{found:#?}");
    let mut done = Vec::new();
    let views =
        repair::<Customers>(&fleet.shell(), &report.remedies, &mut |it| done.push(it.clone()))
            .await
            .unwrap();
    assert_eq!(views, ["customer"].into());
    let why = done.iter().filter_map(|it| it.done.clone().err()).collect::<Vec<_>>().join("\n");
    assert!(why.contains("several streams"), "{done:#?}");
    let after =
        fleet.sql("select md5(string_agg(e::text, '' order by part, pseq)) from write.event e");
    assert_eq!(before, after);
}

/// What the command says, and how it ends.
pub(crate) fn flotilla(fleet: &Fleet, arguments: &[&str]) -> (Option<i32>, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_flotilla"))
        .args(arguments)
        .args(fleet.options())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

#[tokio::test]
async fn the_command_says_by_its_exit_code_how_it_went() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    customers(&fleet, &server, 8).await;
    let (code, said, _) = flotilla(&fleet, &["audit"]);
    assert_eq!((code, said.contains("customers: all agrees.")), (Some(0), true), "{said}");
    let (code, said, _) = flotilla(&fleet, &["audit", "customer", "--json"]);
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &json["clean"]), (Some(0), &json!(true)), "{said}");
    assert!(json["memory_peak_kb"].as_u64().is_some_and(|it| it > 0), "{said}");
    fleet.sql(&format!("update {} set email = 'wrong@example.com'", table(&fleet, "customer")));
    let (code, said, _) = flotilla(&fleet, &["audit", "customers", "--limit", "2", "--repair"]);
    assert_eq!(code, Some(1), "{said}");
    for words in ["wrong@example.com", "and 6 more", "view customer: generation 2 is being built"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let (code, said, _) = flotilla(&fleet, &["audit", "invitations_per_day"]);
    assert_eq!(code, Some(0), "{said}");
    let is_clean = async || (flotilla(&fleet, &["audit"]).0 == Some(0)).then_some(());
    until_some("the view was built again", is_clean).await;
    assert_eq!(flotilla(&fleet, &["audit", "customer", "--generation", "1"]).0, Some(1));
    for (arguments, words) in [
        (["audit", "nothing"].as_slice(), "customers and customer, invitations_per_day"),
        (&["audit", "customer", "--generation", "77"], "no generation 77"),
        (&["audit", "customers", "--generation", "1"], "is of a view"),
    ] {
        let (code, _, said) = flotilla(&fleet, arguments);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
    let mut away = Fleet::bare(&fleet.addresses);
    away.addresses.database_url = format!("postgres://nobody@{}/postgres", free_address());
    let (code, _, said) = flotilla(&away, &["audit"]);
    assert_eq!((code, said.contains("could not be done")), (Some(2), true), "{said}");
}
