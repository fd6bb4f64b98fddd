//! The deployable itself, with no server to talk to.
use bff::Config;
use clap::Parser;
use serde_json::{Value, json};
use shell::Shell;
use std::net::{SocketAddr, TcpListener};
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    shell: shell::Config,
}

fn shell(shutdown: &CancellationToken) -> Shell {
    // Nobody listens at port 1.
    let arguments = [
        "bff",
        "--kafka-brokers=127.0.0.1:1",
        "--schema-registry-url=http://127.0.0.1:1",
        "--database-url=postgres://postgres@127.0.0.1:1",
    ];
    Shell::new(Cli::parse_from(arguments).shell, shutdown.clone()).expect("a shell")
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

#[tokio::test]
async fn without_servers_it_lives_says_so_and_stops_when_told() {
    let (address, shutdown) = (free_address(), CancellationToken::new());
    let (shell, config) = (shell(&shutdown), Config { http: address, ..Config::default() });
    let running = std::thread::spawn(move || bff::service(config).run(shell));
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{address}{path}");
    let live = loop {
        // Until it listens.
        match client.get(url("/live")).send().await {
            Ok(it) => break it,
            Err(_) => assert!(!running.is_finished(), "it ended early"),
        }
    };
    assert_eq!(live.status().as_u16(), 200);
    let ready = client.get(url("/ready")).send().await.expect("an answer");
    assert_eq!(ready.status().as_u16(), 503);
    assert_eq!(client.get(url("/nowhere")).send().await.expect("an answer").status().as_u16(), 404);
    for document in [
        "{ customers { totalCount } }",
        "mutation { inviteCustomer(input: { email: \"a@example.com\" }) { commandId } }",
    ] {
        let sent = client.post(url("/graphql")).json(&json!({ "query": document })).send().await;
        let body: Value = sent.expect("an answer").json().await.expect("JSON");
        assert_eq!(body["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{body}");
    }
    let metrics = client.get(url("/metrics")).send().await.expect("an answer").text().await;
    assert!(metrics.is_ok_and(|it| it.contains("flotilla_graphql_errors_total")));
    shutdown.cancel();
    let ended = tokio::task::spawn_blocking(|| running.join()).await.expect("waited for");
    ended.expect("no panic").expect("in good order");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let http = taken.local_addr().expect("an address");
    let shell = shell(&CancellationToken::new());
    let config = Config { http, ..Config::default() };
    let run = tokio::task::spawn_blocking(move || bff::service(config).run(shell));
    let error = run.await.expect("waited for").expect_err("the address is taken");
    let told = format!("{error:#}");
    assert!(
        told.contains(&format!("cannot listen on {http}")) && told.contains("--http"),
        "{told}"
    );
}
