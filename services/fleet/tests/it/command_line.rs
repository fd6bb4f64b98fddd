//! The `flotilla` program as a person or a script uses it.
use crate::{
    server::{Server, answer},
    servers::{Folder, one_after_another, servers_in, until},
};
use ::fleet::stack::Stopwatch;
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Output, Stdio},
};

fn flotilla(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flotilla"));
    command.args(arguments).env("FLOTILLA_DATA", &folder.0).env("FLOTILLA_PORTS", "auto");
    for elsewhere in ["FLOTILLA_HTTP", "KAFKA_BROKERS", "SCHEMA_REGISTRY_URL", "DATABASE_URL"] {
        command.env_remove(elsewhere);
    }
    command.stdin(Stdio::null());
    command
}

/// A fleet that is killed if the test fails.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(clippy::unwrap_used, reason = "only tests call this")]
fn up(folder: &Folder) -> (Up, Value) {
    let up = flotilla(folder, &["up"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let up = Up(up);
    let status = flotilla(folder, &["status", "--wait", "60", "--json"]).output().unwrap();
    (up, serde_json::from_slice(&status.stdout).unwrap())
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[expect(clippy::unwrap_used, reason = "only tests call this")]
fn interrupt(mut up: Up) {
    Command::new("kill").args(["-INT", &up.0.id().to_string()]).status().unwrap();
    assert!(up.0.wait().unwrap().success());
}

#[expect(clippy::unwrap_used, reason = "only tests call this")]
fn server(status: &Value) -> Server {
    let address = status["http"].as_str().unwrap().strip_prefix("http://").unwrap();
    Server::new(address.parse().unwrap(), None)
}

/// Invites a customer; where that is seen.
#[expect(clippy::unwrap_used, reason = "only tests call this")]
async fn invite(status: &Value, email: &str) -> String {
    let it = server(status).mutate("inviteCustomer", json!({ "email": email })).await;
    assert_eq!(it.body["data"]["inviteCustomer"]["outcome"], "INVITED", "{}", it.body);
    it.header("flotilla-position").unwrap().to_owned()
}

/// How many customers there are, for whoever has been there.
async fn customers(status: &Value, position: &str) -> Value {
    let shown = answer(server(status).ask_after(position, "{ customers { totalCount } }")).await;
    shown.body["data"]["customers"]["totalCount"].clone()
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn data_outlives_a_fleet_however_it_ends_and_no_server_does() {
    let _turn = one_after_another();
    let folder = Folder::new("killed");
    let watch = Stopwatch::start();
    let (fleet, status) = up(&folder);
    let seen = invite(&status, "ada@example.com").await;
    eprintln!("`flotilla up` in a fresh folder: a mutation is accepted after {:?}", watch.took());
    assert_eq!(status["state"], "ready");
    assert_eq!(status["pid"], fleet.0.id());
    assert!(servers_in(&folder.0).len() > 2);
    let refused = flotilla(&folder, &["reset", "--yes"]).output().unwrap();
    assert!(said(&refused).contains(&format!("in use by the fleet with pid {}", fleet.0.id())));
    interrupt(fleet);
    assert_eq!(servers_in(&folder.0), Vec::<String>::new());
    assert!(!folder.0.join("fleet.json").exists());

    let watch = Stopwatch::start();
    let (fleet, again) = up(&folder);
    assert_eq!(customers(&again, &seen).await, 1);
    let seen = invite(&again, "bob@example.com").await;
    eprintln!("`flotilla up` again: a mutation is accepted after {:?}", watch.took());
    drop(fleet);
    until("the servers die with the fleet", || servers_in(&folder.0).is_empty()).await;
    let stopped = flotilla(&folder, &["status", "--json"]).output().unwrap();
    assert!(!stopped.status.success());
    assert_eq!(serde_json::from_slice::<Value>(&stopped.stdout).unwrap()["state"], "stopped");

    let watch = Stopwatch::start();
    let (fleet, again) = up(&folder);
    assert_eq!(again["kafka"], status["kafka"]);
    assert_eq!(customers(&again, &seen).await, 2);
    invite(&again, "cyd@example.com").await;
    eprintln!("`flotilla up` after kill -9: a mutation is accepted after {:?}", watch.took());
    interrupt(fleet);

    let asked = flotilla(&folder, &["reset"]).output().unwrap();
    assert!(said(&asked).contains("reset --yes"), "{}", said(&asked));
    assert!(flotilla(&folder, &["reset", "--yes"]).status().unwrap().success());
    assert!(!folder.0.exists());
}

#[test]
fn what_is_missing_is_named_with_its_package() {
    let folder = Folder::new("missing");
    let out = flotilla(&folder, &["up"]).env("PATH", "").env_remove("JAVA_HOME").output().unwrap();
    assert!(!out.status.success());
    assert!(said(&out).contains("is missing"), "{}", said(&out));
    assert!(said(&out).contains("apt-get install --yes"), "{}", said(&out));
}

#[test]
fn a_fetch_that_fails_is_told_with_the_last_words_of_maven() {
    let folder = Folder::new("offline");
    let programs = folder.0.join("programs");
    fs::create_dir_all(&programs).unwrap();
    let maven = programs.join("mvn");
    fs::write(&maven, "#!/bin/sh\necho 'Could not transfer artifact: it rains'\nexit 3\n").unwrap();
    fs::set_permissions(&maven, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let out = flotilla(&folder, &["fetch"])
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("FLOTILLA_CACHE", folder.0.join("cache"))
        .output()
        .unwrap();
    assert!(!out.status.success());
    let said = said(&out);
    assert!(said.contains("is there a network?") && said.contains("it rains"), "{said}");
    assert!(said.contains("fetch.log"), "{said}");
}
