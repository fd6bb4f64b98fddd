//! The deployable: a client of the fleet, and the server in front of it.
use crate::{Config, commands::CONTEXTS, http, operator::Gate, schema, sdl};
use anyhow::Context as _;
use axum::http::StatusCode;
use customers::{Customers, views};
use shell::{
    Client, Service, Shell, client::Query, position::Position, reads::ReadError, status::Reporter,
    view::views_of,
};
use std::{thread::available_parallelism, time::Duration};
use tokio::net::TcpListener;

const NAME: &str = "bff";
/// How often it is found out whether queries can be answered.
const PULSE: Duration = Duration::from_secs(1);
/// The same, before they could be for the first time.
const EAGER_PULSE: Duration = Duration::from_millis(50);

/// The deployable that serves GraphQL, and with it the health of its process. Several of them work side by side.
#[must_use]
pub fn service(config: Config) -> Service {
    let threads = available_parallelism().map_or(1, usize::from).min(8);
    let start = |shell| run(config, shell);
    Service::new(NAME, "serves GraphQL: sends commands, reads views", start).on_threads(threads)
}

async fn run(config: Config, shell: Shell) -> anyhow::Result<()> {
    let address = config.http;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        anyhow::anyhow!("cannot listen on {address}: {error}: choose another --http")
    })?;
    let assets = http::Assets::load(config.assets.as_deref())?;
    let client = shell.client(&CONTEXTS, views_of::<Customers>())?;
    let schema = schema(&config, client.clone());
    let (clock, shutdown) = (shell.clock.clone(), shell.shutdown.clone());
    let router = http::router(schema, sdl(), assets, &config, clock, shutdown)
        .merge(http::exports(client.clone(), &config))
        .merge(http::fleet(&shell, &CONTEXTS, Gate::of(&config)))
        .merge(shell::http::router(&shell))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "nothing is here: GraphQL is at /graphql, and a page for it at /\n",
            )
        });
    tracing::info!(%address, "serving GraphQL");
    let reporter = shell.status.reporter(NAME);
    let watched = watch(&shell, &client, &reporter);
    let served =
        http::serve(listener, router, &config, shell.clock.clone(), shell.shutdown.clone());
    tokio::select! {
        served = served => served.context("the server failed"),
        () = watched => Ok(()),
    }
}

/// Ready is who can answer queries: mutations say by themselves when they cannot be sent.
async fn watch(shell: &Shell, client: &Client, reporter: &Reporter) {
    reporter.joined();
    let mut pulse = EAGER_PULSE;
    loop {
        let (query, new) = (Query::first(1), Position::new());
        match client.read::<views::Customer>(query, &new, Duration::ZERO).await {
            Ok(_) => {
                reporter.caught_up();
                reporter.trouble(None);
                pulse = PULSE;
            }
            Err(error @ (ReadError::Rebuilding { .. } | ReadError::Unavailable(_))) => {
                reporter.trouble(Some(error.to_string()));
            }
            // Of a reader without a past nothing can be missing.
            Err(ReadError::Pending { .. } | ReadError::Failed(_) | ReadError::Unserved(_)) => {}
        }
        shell.clock.sleep(pulse).await;
    }
}
