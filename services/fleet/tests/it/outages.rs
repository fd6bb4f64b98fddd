//! Servers that die under load, and come back: nothing that was accepted is lost, nothing happens twice.
use crate::{
    audit::audit,
    fleet::Fleet,
    load::Load,
    server::{answer, until_some},
    servers::{Folder, one_after_another},
};
use ::fleet::stack::{Server, Stack, Stopwatch};
use serde_json::json;
use std::sync::Arc;

const ALL: [&str; 3] = ["customers-handler", "customers-aggregator", "bff"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn servers_that_die_under_load_lose_nothing() {
    let _turn = one_after_another();
    let folder = Folder::new("outages");
    let stack = Stack::start(folder.options(), Arc::new(())).await.expect("a stack");
    a_registry_that_is_away(&stack).await;
    a_server_that_dies(&stack, Server::Kafka).await;
    a_server_that_dies(&stack, Server::Postgres).await;
    a_view_whose_last_commits_are_lost(&stack).await;
    stack.stop(Arc::new(())).await;
}

/// At the start nobody is ready without it; later nobody misses it.
async fn a_registry_that_is_away(stack: &Stack) {
    let fleet = Fleet::bare(stack.addresses());
    fleet.migrate().await;
    let ids = registered(stack).await;
    stack.kill(Server::Registry).await;
    let processes = [fleet.process(&ALL), fleet.process(&["customers-handler"])];
    for it in &processes {
        let server = it.server();
        // It lives, and says what it waits for.
        until_some("it says what it waits for", async || {
            let (status, said) = server.readiness().await?;
            assert_eq!(status, 503, "ready without a registry: {said}");
            said.contains("schema registry").then_some(())
        })
        .await;
    }
    stack.start_again(Server::Registry).await.expect("a registry");
    let watch = Stopwatch::start();
    for it in &processes {
        it.server().ready().await;
    }
    eprintln!("registry away at the start: ready {:?} after it came", watch.took());
    assert_eq!(registered(stack).await, ids, "schema ids survive");

    let server = processes[0].server();
    let load = Load::start(std::slice::from_ref(&server));
    load.goes_on(load.now()).await;
    stack.kill(Server::Registry).await;
    let killed = load.now();
    load.goes_on(killed).await;
    assert_eq!(load.failed(killed), Vec::<String>::new(), "the registry is needed");
    stack.start_again(Server::Registry).await.expect("a registry");
    audit(&fleet, &server, &load.stop().await).await;
}

async fn registered(stack: &Stack) -> Vec<(String, u32)> {
    let url = stack.addresses().schema_registry_url.as_str();
    let registry = shell::registry::HttpRegistry::new(url).expect("a client");
    ::fleet::schemas::register(&registry).await.expect("schemas")
}

async fn a_server_that_dies(stack: &Stack, dies: Server) {
    let fleet = Fleet::bare(stack.addresses());
    fleet.migrate().await;
    let processes = [fleet.process(&ALL), fleet.process(&ALL)];
    let servers = [processes[0].server(), processes[1].server()];
    for it in &servers {
        it.ready().await;
    }
    let load = Load::start(&servers);
    load.goes_on(load.now()).await;
    let killed = load.now();
    stack.kill(dies).await;
    // One that is started meanwhile waits.
    let late = fleet.process(&["customers-handler"]);
    until_some("an attempt fails", async || load.failed(killed).pop()).await;
    let (status, said) = until_some("it lives", async || late.server().readiness().await).await;
    assert_eq!(status, 503, "ready without {dies}: {said}");
    stack.start_again(dies).await.expect("the server");
    let back = load.now();
    let recovery = load.goes_on(back).await;
    eprintln!(
        "{dies} killed: mutations are answered {recovery:?} after it is back; attempts that failed: {}; the longest mutation took {:?}",
        load.failed(killed).len(),
        load.longest(killed)
    );
    for it in servers.iter().chain([&late.server()]) {
        it.ready().await;
    }
    load.goes_on(load.now()).await;
    let story = load.stop().await;
    audit(&fleet, &servers[0], &story).await;
}

/// Views commit without waiting for the disk: a crash takes back what readers saw. They see it again, even if
/// nothing new happens.
async fn a_view_whose_last_commits_are_lost(stack: &Stack) {
    let fleet = Fleet::bare(stack.addresses());
    fleet.migrate().await;
    let process = fleet.ready_process(&ALL).await;
    let server = process.server();
    let it = server.mutate("inviteCustomer", json!({ "email": "ada@example.com" })).await;
    stack.kill(Server::Postgres).await;
    assert_eq!(it.body["data"]["inviteCustomer"]["customer"]["version"], 1, "{}", it.body);
    let position = it.header("flotilla-position").expect("a position");
    stack.start_again(Server::Postgres).await.expect("the server");
    let watch = Stopwatch::start();
    until_some("the view is as it was", async || {
        let shown = answer(server.ask_after(position, "{ customers { totalCount } }")).await;
        (shown.body["data"]["customers"]["totalCount"] == 1).then_some(())
    })
    .await;
    eprintln!("Postgres killed after a commit: the row is back {:?} after it is", watch.took());
}
