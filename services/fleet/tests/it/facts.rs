//! Facts and history on the real servers: through a handler's death, and on the command line.
use crate::{
    fleet::{Fleet, whole},
    server::{Server, until_some},
    servers::one_after_another,
};
use serde_json::{Value, json};
use std::process::{Command, Output, Stdio};

/// Whoever decided is killed, and its successor knows all that it answered: a fact meanwhile is late, never old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn a_fact_outlives_the_handler_that_knew_it() {
    let _turn = one_after_another();
    let fleet = Fleet::new().await;
    let services = vec![shell::aggregator::<customers::Customers>()];
    let (server, handler) = tokio::join!(
        fleet.serve(services, bff::Config::default()),
        fleet.ready_process(&["customers-handler"]),
    );
    let id = server.invite("ada@example.com").await["id"].clone();
    let verified = server.mutate("verifyCustomer", json!({ "customerId": id })).await;
    assert_eq!(verified.body.get("errors"), None, "{}", verified.body);
    handler.kill();
    assert_eq!(fact(&server, &id).await, None, "nobody is there to answer");
    let answer = until_some("the write side answers", async || fact(&server, &id).await);
    let (told, _next) = tokio::join!(answer, fleet.ready_process(&["customers-handler"]));
    assert_eq!(told, json!({ "status": "VERIFIED", "version": 2 }));
}

/// The answer, or nothing while there is none.
async fn fact(server: &Server, id: &Value) -> Option<Value> {
    let it = server.ask(&format!("{{ customerState(id: {id}) {{ status version }} }}")).await;
    if it.body.get("errors").is_some() {
        assert_eq!(it.code(), "PENDING", "{}", it.body);
        return None;
    }
    Some(it.body["data"]["customerState"].clone())
}

async fn flotilla(fleet: &Fleet, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flotilla"));
    command.args(arguments).args(fleet.options()).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output()).await.expect("it ran").expect("output")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn the_command_line_tells_what_happened() {
    whole(async |fleet, server| {
        let id = server.invite("ada@example.com").await["id"].as_str().expect("an id").to_owned();
        server.mutate("verifyCustomer", json!({ "customerId": id })).await;
        let run = async |arguments: &[&str]| {
            let out = flotilla(&fleet, arguments).await;
            assert!(out.status.success(), "{arguments:?}: {}", text(&out.stderr));
            text(&out.stdout)
        };
        let events = run(&["history", "customers", &id, "--newest-first", "--json"]).await;
        let events: Vec<Value> =
            events.lines().map(|it| serde_json::from_str(it).expect("JSON")).collect();
        let records: Vec<_> = events.iter().map(|it| it["record"].as_str()).collect();
        assert_eq!(records, [Some("CustomerVerified"), Some("CustomerInvited")]);
        assert!(run(&["history", "customers", &id]).await.contains("\"email\":\"ada@example.com\""));
        let then = run(&["history", "customers", &id, "--as-of-version", "1", "--json"]).await;
        let then: Value = serde_json::from_str(&then).expect("JSON");
        assert_eq!(then["state"], json!({ "state": "Invited", "email": "ada@example.com" }));
        let difference = run(&["history", "customers", &id, "--diff", "1", "2"]).await;
        assert!(difference.contains("Invited") && difference.contains("Verified"), "{difference}");
        let streams = run(&["streams", "customers", "--where", "state=Verified"]).await;
        assert!(streams.contains(&id), "{streams}");
        assert_eq!(run(&["streams", "customers", "--where", "state=Removed"]).await, "");
        until_some("the row is there", async || {
            let out = flotilla(&fleet, &["explain", "customer", &id]).await;
            let said = text(&out.stdout);
            (out.status.success() && said.contains("CustomerVerified (version 2)")).then_some(())
        })
        .await;
        fleet.sql("do $$ declare t text; begin for t in select format('%I.%I', schemaname, tablename) from pg_tables where tablename = 'customer' loop execute 'update ' || t || ' set email = ''eve@x.org'''; end loop; end $$");
        let wrong = flotilla(&fleet, &["explain", "customer", &id]).await;
        assert!(!wrong.status.success());
        let said = text(&wrong.stdout);
        assert!(said.contains("email is eve@x.org in the view, and its events make ada@example.com"), "{said}");

        let nobody = uuid::Uuid::nil().to_string();
        for (arguments, why) in [
            (vec!["history", "custommers", &id], "there is no context"),
            (vec!["history", "customers", &nobody], "has no events"),
            (vec!["history", "customers", "x"], "invalid value"),
            (vec!["history", "customers", &id, "--as-of-version", "9"], "no version 9"),
            (vec!["history", "customers", &id, "--as-of", "2000-01-01T00:00:00Z"], "no events by then"),
            (vec!["history", "customers", &id, "--as-of", "yesterday"], "invalid value"),
            (vec!["history", "customers", &id, "--diff", "1", "7"], "no version 7"),
            (vec!["history", "customers", &id, "--limit", "0"], "invalid value"),
            (vec!["streams", "customers", "--where", "state"], "write it like"),
            (vec!["explain", "nothing", &id], "there is no view"),
            (vec!["explain", "customer", "x"], "is no id of customer"),
        ] {
            let out = flotilla(&fleet, &arguments).await;
            assert!(!out.status.success(), "{arguments:?}");
            let said = text(&out.stderr);
            assert!(said.contains(why), "{arguments:?}: {said}");
        }
    })
    .await;
}
