//! A view is built again while it is read: compared, put in the place of what is read, and rolled back
//! (protocol.md V5).
use crate::{
    fleet::{Fleet, events, whole},
    server::{Server, until_some},
    views::Later,
};
use serde_json::json;
use std::{
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

fn flotilla(fleet: &Fleet, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flotilla"));
    command.args(arguments).args(fleet.options()).stdin(Stdio::null());
    command
}

/// What it does while everything else goes on.
#[expect(clippy::unwrap_used, reason = "only tests call this")]
pub(crate) async fn done(fleet: &Fleet, arguments: &[&str]) -> Output {
    let mut command = flotilla(fleet, arguments);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

pub(crate) async fn succeeds(fleet: &Fleet, arguments: &[&str]) -> String {
    let out = done(fleet, arguments).await;
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{arguments:?}: {said}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

pub(crate) async fn fails(fleet: &Fleet, arguments: &[&str], because: &str) {
    let out = done(fleet, arguments).await;
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && said.contains(because), "{arguments:?}: {said}");
}

fn live(fleet: &Fleet) -> String {
    fleet.sql("select generation from read.live where view = 'customer'")
}

/// Invites, and asks for what there is as new as that, until told to stop: nobody may see less than was there before,
/// and nothing may fail.
async fn watch(server: &Server, stop: &AtomicBool) -> usize {
    let (mut invited, mut seen) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let email = format!("watched-{invited}@example.com");
        let answer = server.mutate("inviteCustomer", json!({ "email": email })).await;
        assert_eq!(answer.body["data"]["inviteCustomer"]["outcome"], "INVITED", "{}", answer.body);
        invited += 1;
        let position = answer.header("flotilla-position").expect("a position").to_owned();
        let query = "{ customers(where: { email: { startsWith: \"watched\" } }) { totalCount } }";
        let shown = crate::server::answer(server.ask_after(&position, query)).await;
        let total = shown.body["data"]["customers"]["totalCount"].as_u64();
        let total = total.unwrap_or_else(|| panic!("an answer: {}", shown.body));
        assert!(total >= invited && total >= seen, "{total} of {invited} after {seen}");
        seen = total;
    }
    usize::try_from(invited).expect("a small number")
}

#[tokio::test]
async fn a_view_is_rebuilt_compared_and_rolled_back_while_it_is_read() {
    whole(async |fleet, server| {
        for n in 0..20 {
            server.invite(&format!("c{n}@example.com")).await;
        }
        let table = fleet.sql("select format('view_customer_%s_1.customer', hash) from read.live where view = 'customer'");
        fleet.until_sql(&format!("select count(*) from {table}"), "20").await;
        fleet.sql(&format!("update {table} set status = 'REMOVED' where email = 'c1@example.com'"));
        fleet.sql(&format!("delete from {table} where email = 'c2@example.com'"));

        let stop = AtomicBool::new(false);
        let operate = async {
            let told = succeeds(&fleet, &["rebuild", "customer", "--diff"]).await;
            assert!(told.contains("1 rows only in generation 2, 0 only in 1, 1 differ"), "{told}");
            assert!(told.contains("REMOVED") && told.contains("c2@example.com"), "{told}");
            assert_eq!(live(&fleet), "2");
            let status = "{ customers(where: { email: { in: [\"c1@example.com\", \"c2@example.com\"] } }) { edges { node { status } } } }";
            let shown = server.ask(status).await;
            let edges = shown.body["data"]["customers"]["edges"].as_array().cloned();
            assert_eq!(edges.map(|it| it.len()), Some(2), "{}", shown.body);

            fails(&fleet, &["views", "drop", "customer", "2"], "is the one that is read").await;
            succeeds(&fleet, &["rollback", "customer"]).await;
            assert_eq!(live(&fleet), "1");
            // What was rolled back is not read again by itself.
            let rolled_back = server.ask(status).await;
            let edges = rolled_back.body["data"]["customers"]["edges"].as_array().cloned();
            assert_eq!(edges.map(|it| it.len()), Some(1), "{}", rolled_back.body);
            succeeds(&fleet, &["views", "cut-over", "customer", "2"]).await;
            assert_eq!(live(&fleet), "2");
            succeeds(&fleet, &["views", "drop", "customer", "1"]).await;
            fails(&fleet, &["rollback", "customer"], "nothing else was read before").await;
            let listed = succeeds(&fleet, &["views", "--json"]).await;
            assert!(!listed.contains("\"generation\": 1,\n    \"is_complete\": true,\n    \"is_live\": false"), "{listed}");
            stop.store(true, Ordering::Relaxed);
        };
        let (invited, ()) = futures::join!(watch(&server, &stop), operate);
        assert!(invited > 3, "hardly anything happened meanwhile");
        assert_eq!(events(&fleet), 20 + invited);
    })
    .await;
}

#[tokio::test]
async fn a_build_goes_on_where_an_aggregator_was_killed() {
    let fleet = Fleet::new().await;
    let server =
        fleet.serve(vec![shell::handler::<customers::Customers>()], bff::Config::default());
    let aggregator = fleet.process_with(&["customers-aggregator"], &["--batch", "5"]);
    aggregator.server().ready().await;
    let server = server.await;
    for n in 0..40 {
        server.invite(&format!("c{n}@example.com")).await;
    }
    let built = "select coalesce(sum(pseq), 0) from read.checkpoint where view = 'customer' and generation = 2";
    let mut running =
        flotilla(&fleet, &["rebuild", "customer", "--throttle", "10"]).spawn().expect("a build");
    let is_half = async || (1..35).contains(&fleet.sql(built).parse::<i32>().ok()?).then_some(());
    until_some("a part of it is built", is_half).await;
    aggregator.kill();
    let before: i32 = fleet.sql(built).parse().expect("a number");
    assert_eq!(live(&fleet), "1", "half of it is never read");
    let aggregator = fleet.process_with(&["customers-aggregator"], &["--batch", "5"]);
    aggregator.server().ready().await;
    let ended = async || running.try_wait().expect("a state");
    assert!(until_some("it is built", ended).await.success());
    assert!(before > 0 && live(&fleet) == "2");
    let hash = fleet.sql("select hash from read.live where view = 'customer'");
    let differ = format!(
        "select count(*) from view_customer_{hash}_1.customer a full join view_customer_{hash}_2.customer b using (id)
         where a is distinct from b"
    );
    assert_eq!(fleet.sql(&differ), "0");
}

#[tokio::test]
async fn a_view_as_of_then_has_nothing_that_happened_later_and_is_not_read() {
    whole(async |fleet, server| {
        let ada = server.invite("ada@example.com").await;
        let then = fleet
            .sql("select to_char(max(at), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from write.event");
        server.mutate("verifyCustomer", json!({ "customerId": ada["id"] })).await;
        server.invite("bob@example.com").await;
        succeeds(&fleet, &["rebuild", "customer", "--as-of", &then]).await;
        let hash = fleet.sql("select hash from read.live where view = 'customer'");
        let rows = format!(
            "select string_agg(email || ' ' || status, ',') from view_customer_{hash}_2.customer"
        );
        assert_eq!(fleet.sql(&rows), "ada@example.com INVITED");
        let told = succeeds(&fleet, &["views", "diff", "customer", "2"]).await;
        assert!(told.contains("0 rows only in generation 2, 1 only in 1, 1 differ"), "{told}");
        fails(&fleet, &["views", "cut-over", "customer", "2"], "not to be read").await;
        assert_eq!(live(&fleet), "1");
    })
    .await;
}

#[tokio::test]
async fn two_aggregators_that_start_at_once_build_a_changed_view_once() {
    whole(async |fleet, server| {
        for n in 0..10 {
            server.invite(&format!("c{n}@example.com")).await;
        }
        let _one = fleet.here(vec![shell::aggregator::<Later>()]);
        let _other = fleet.here(vec![shell::aggregator::<Later>()]);
        let shown = "select count(*) from read.live l join read.generation g using (view, hash) where view = 'customer'";
        fleet.until_sql(shown, "2").await;
        let hashes = "select count(distinct hash) from read.generation where view = 'customer'";
        assert_eq!(fleet.sql(hashes), "2");
        let rows = "select sum(c.pseq) from read.checkpoint c join read.live l using (view, hash, generation)
            where c.view = 'customer' group by hash";
        fleet.until_sql(rows, "10\n10").await;
    })
    .await;
}

#[tokio::test]
async fn a_view_whose_rows_are_lost_is_made_again() {
    whole(async |fleet, server| {
        server.invite("ada@example.com").await;
        let of = fleet.sql(
            "select format('view_%s_%s_%s', view, hash, generation) from read.live where view = 'customer'",
        );
        fleet.sql(&format!("drop schema {of} cascade"));
        fails(&fleet, &["audit", "customer"], "`flotilla rebuild <view>` makes it again").await;
        succeeds(&fleet, &["rebuild", "customer"]).await;
        succeeds(&fleet, &["audit", "customer"]).await;
        let shown = server.ask("{ customers { totalCount } }").await;
        assert_eq!(shown.body["data"]["customers"]["totalCount"], 1, "{}", shown.body);
    })
    .await;
}
