//! Each service signs in to Postgres as a role of its own, which may do its work and no more; and a service waits for
//! `flotilla migrate` with no more rights than it has.
use crate::{
    fleet::Fleet,
    server::{answer, until_some},
    topics::stream_in,
};
use ::fleet::stack::{query, shared};
use serde_json::json;
use std::process::{Command, Stdio};

const TOKEN: &str = "a-long-token-of-operators";

/// What a role may not do.
#[track_caller]
fn is_denied(fleet: &Fleet, role: &str, statement: &str) {
    let url = fleet.signed_in_as(role).addresses.database_url;
    let answer = query(&url, &fleet.names().database("customers"), statement);
    let error = answer.map(drop).map_or_else(|it| it.to_string(), |()| "nothing".to_owned());
    assert!(error.contains("permission denied"), "{role}: {statement}: {error}");
}

fn flotilla(fleet: &Fleet, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flotilla"));
    command.args(arguments).args(fleet.options()).stdin(Stdio::null());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_does_its_work_with_its_own_rights() {
    let addresses = shared().await.expect("servers");
    let fleet = Fleet::bare(&addresses);
    let database = fleet.names().database("customers");
    let role = |suffix: &str| format!("{database}_{suffix}");
    let (handler, aggregator, bff) = (role("handler"), role("aggregator"), role("bff"));
    let roles = format!(
        "create role {handler} login; create role {aggregator} login;
        create role {reader}; create role {operator}; create role {bff} login in role {reader}, {operator}",
        reader = role("reader"),
        operator = role("operator"),
    );
    query(&addresses.database_url, "postgres", &roles).expect("roles");

    // Who waits needs no more than it has, and there is nothing yet.
    let mut waits = flotilla(&fleet.signed_in_as(&bff), &["migrate", "--wait"]);
    let mut waits = waits.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let short = ["migrate", "--wait", "--patience-seconds", "1"];
    let late = flotilla(&fleet.signed_in_as(&handler), &short).output().expect("it ends");
    let said = String::from_utf8_lossy(&late.stderr);
    assert!(!late.status.success() && said.contains("waited 1s for `flotilla migrate`"), "{said}");
    assert!(waits.try_wait().expect("a process").is_none(), "it did not wait");
    let made = flotilla(&fleet, &["migrate"]).output().expect("it ends");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let ended = async || waits.try_wait().expect("a process");
    assert!(until_some("who waits goes on", ended).await.success());

    let start = |role: &str, services: &[&str]| fleet.signed_in_as(role).process(services);
    let handler_process = start(&handler, &["customers-handler"]);
    let _aggregator = start(&aggregator, &["customers-aggregator"]);
    let front = fleet.signed_in_as(&bff);
    let front = front.process_with(&["bff"], &["--graphql-operator-token", TOKEN]);
    let server = front.server();
    server.ready().await;

    let ada = server.invite("ada@example.com").await;
    let input = json!({ "customerId": ada["id"], "email": "ada@example.org" });
    let changed = server.mutate("changeCustomerEmail", input).await;
    assert_eq!(changed.body.get("errors"), None, "{}", changed.body);
    for asked in [
        format!("{{ customerState(id: {}) {{ version }} }}", ada["id"]),
        format!("{{ customerHistory(id: {}) {{ edges {{ node {{ version }} }} }} }}", ada["id"]),
        format!("{{ explain(view: \"customer\", id: {}) {{ events }} }}", ada["id"]),
        "{ customers(where: { email: { startsWith: \"ada\" } }) { totalCount } }".to_owned(),
    ] {
        let it = server.ask(&asked).await;
        assert_eq!(it.body.get("errors"), None, "{asked}: {}", it.body);
    }
    // Another generation, ordered by whoever keeps the views.
    let rebuilt = flotilla(&fleet.signed_in_as(&aggregator), &["rebuild", "customer", "--diff"]);
    let rebuilt = { rebuilt }.output().expect("it ends");
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    let shown = server.ask("{ customers { totalCount } }").await;
    assert_eq!(shown.body["data"]["customers"]["totalCount"], 1, "{}", shown.body);
    // Dead letters, by operators.
    let stream = stream_in(1);
    handler_process.kill();
    fleet.sql(&format!(
        "insert into write.event
            select 1, l.pseq + 1, '{stream}', 1, e.type, e.schema, '\\x02', e.meta, e.at
            from write.ledger l, (select * from write.event limit 1) e where l.part = 1;
        update write.ledger set pseq = pseq + 1 where part = 1"
    ));
    let _handler = start(&handler, &["customers-handler"]);
    let listed = "select topic || '/' || pseq from read.parked_event where view = 'customer'";
    let parked = async || Some(fleet.sql(listed)).filter(|it| !it.is_empty());
    let parked = until_some("the damaged event is parked", parked).await;
    let pseq = parked.rsplit('/').next().unwrap_or_default();
    let discard = format!(
        "mutation {{ discardDeadLetter(input: {{ id: \"customers/customer/1:{pseq}\", actor: \"ada\", reason: \"damaged\" }}) {{ streams }} }}"
    );
    let request = server.post(&json!({ "query": discard })).header("Flotilla-Operator", TOKEN);
    let it = answer(request).await;
    assert_eq!(it.body.get("errors"), None, "{}", it.body);
    fleet.until_sql("select count(*) from read.parked_event where view = 'customer'", "0").await;
    assert_eq!(fleet.sql("select action from write.operation"), "discard");

    is_denied(&fleet, &handler, "update write.event set version = 7");
    is_denied(&fleet, &handler, "delete from write.outcome");
    is_denied(&fleet, &handler, "delete from read.checkpoint");
    is_denied(&fleet, &aggregator, "insert into write.claim select * from write.claim");
    is_denied(&fleet, &aggregator, "delete from write.event");
    is_denied(&fleet, &bff, "delete from read.checkpoint");
    is_denied(&fleet, &bff, "delete from write.claim");
    is_denied(&fleet, &bff, "update write.ledger set pseq = 7");
    is_denied(&fleet, &bff, "create schema mine");
}
