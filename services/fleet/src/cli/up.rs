//! `flotilla up`.
use super::{
    DataFolder,
    console::{self, Steps},
    signals::Signals,
};
use crate::{
    stack::{Description, External, Ports, Stack, StackOptions, Stopwatch},
    up::{Fleet, services},
};
use anyhow::{Context as _, bail};
use std::{
    net::{SocketAddr, TcpListener, ToSocketAddrs as _},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How long the services may take to end in order.
const PATIENCE: Duration = Duration::from_secs(20);
const HTTP: &str = "127.0.0.1:8080";

/// The options of `up`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What tunes the services is taken from the environment, by the names that `flotilla run --help` shows: \
    FLOTILLA_PARTITIONS=3 flotilla up"
)]
pub(super) struct Options {
    #[command(flatten)]
    folder: DataFolder,
    /// Where to serve GraphQL, its page and the health of the fleet; without it 127.0.0.1:8080, or with --ports auto a free port
    #[arg(long, env = "FLOTILLA_HTTP", value_name = "HOST:PORT")]
    http: Option<String>,
    /// Fixed ports for the servers, or free ones that are remembered in the data folder
    #[arg(long, env = "FLOTILLA_PORTS", value_name = "WHICH", default_value = "fixed")]
    ports: PortsOption,
    /// Use this Kafka instead of starting one
    #[arg(long, env = "KAFKA_BROKERS", value_name = "HOST:PORT,…")]
    kafka_brokers: Option<String>,
    /// Use this schema registry (its Confluent API) instead of starting one
    #[arg(long, env = "SCHEMA_REGISTRY_URL", value_name = "URL")]
    schema_registry_url: Option<String>,
    /// Use this Postgres server instead of starting one
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PortsOption {
    Fixed,
    Auto,
}

/// Starts everything, says where it is, and stops it when asked to.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let watch = Stopwatch::start();
    let signals = Signals::listen()?;
    // Said before anything is started, if it can be known by then.
    let http = non_empty(options.http).map(|it| address(&it)).transpose()?;
    let ports = match options.ports {
        PortsOption::Fixed => Ports::Fixed,
        PortsOption::Auto => Ports::Auto,
    };
    let external = External {
        kafka: non_empty(options.kafka_brokers),
        registry: non_empty(options.schema_registry_url),
        postgres: non_empty(options.database_url),
    };
    let http = match (http, ports) {
        (None, Ports::Fixed) => Some(address(HTTP)?),
        (given, _) => given,
    };
    if let Some(http) = http {
        require_free(http)?;
    }
    let steps = Arc::new(Steps::new());
    let data = options.folder.data;
    let stack = StackOptions { data, ports, external: external.clone(), ..StackOptions::default() };
    let stack = tokio::select! {
        stack = Stack::start(stack, Arc::clone(&steps) as _) => stack?,
        () = signals.soft.cancelled() => bail!("stopped while it was starting"),
    };
    let http = match http {
        Some(http) if http.port() != 0 => http,
        _ => SocketAddr::from(([127, 0, 0, 1], stack.remembered_port("http")?)),
    };
    let outcome = serve(&stack, http, &external, &watch, &signals).await;

    // The services have ended; now what they stood on.
    tokio::select! {
        () = stack.stop(steps) => {}
        () = signals.hard.cancelled() => {
            console::note("stopped at once");
            // The servers get their death signals.
            std::process::exit(130);
        }
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Runs the services until a signal, or until something that must not end does.
async fn serve(
    stack: &Stack,
    http: SocketAddr,
    external: &External,
    watch: &Stopwatch,
    signals: &Signals,
) -> anyhow::Result<()> {
    let fleet = Fleet {
        addresses: stack.addresses().clone(),
        http,
        web: stack.kit().map(crate::stack::Kit::web),
    };
    let description = Description {
        pid: std::process::id(),
        http: format!("http://{http}"),
        kafka: fleet.addresses.kafka_brokers.clone(),
        registry: fleet.addresses.schema_registry_url.clone(),
        postgres: without_password(&fleet.addresses.database_url),
        data: stack.data().to_owned(),
        logs: stack.logs(),
    };
    // From here on `flotilla status` can ask what is not ready, and why.
    description.publish()?;
    let (ready, mut is_ready) = oneshot::channel();
    let shutdown = CancellationToken::new();
    let _also_on_error = shutdown.clone().drop_guard();
    console::note("  … services: waiting for each to be ready");
    let (handle, token) = (tokio::runtime::Handle::current(), shutdown.clone());
    // On a thread of its own: it waits for threads.
    let mut running =
        tokio::task::spawn_blocking(move || handle.block_on(services(fleet, ready, token)));
    let mut told = false;
    let outcome = loop {
        tokio::select! {
            end = &mut running => {
                return match end.context("the services ended unexpectedly")? {
                    Ok(()) => bail!("the services ended although nobody asked them to"),
                    Err(error) => Err(error),
                };
            }
            ready = &mut is_ready, if !told => {
                told = true;
                if ready.is_ok() {
                    tell(&description, external, watch);
                }
            }
            error = stack.exited() => break Err(anyhow::Error::new(error)),
            () = signals.soft.cancelled() => {
                console::note("stopping (once more to stop at once)");
                break Ok(());
            }
        }
    };
    shutdown.cancel();
    tokio::select! {
        end = tokio::time::timeout(PATIENCE, &mut running) => match end {
            Err(_) => console::note("the services did not stop in time; going on without them"),
            Ok(Ok(Err(error))) if outcome.is_ok() => return Err(error),
            Ok(_) => {}
        },
        () = signals.hard.cancelled() => {}
    }
    outcome
}

/// Says what runs where.
fn tell(it: &Description, external: &External, watch: &Stopwatch) {
    let base = &it.http;
    let whose = |given: &Option<String>| if given.is_some() { "  (yours)" } else { "" };
    console::line(&format!("\nThe fleet is up, after {:.1} s.\n", watch.took().as_secs_f64()));
    console::table(&[
        ("GraphQL", format!("{base}/graphql")),
        ("GraphiQL", format!("{base}/")),
        ("health", format!("{base}/ready   {base}/live")),
        ("metrics", format!("{base}/metrics")),
        ("Kafka", it.kafka.clone() + whose(&external.kafka)),
        ("schema registry", it.registry.clone() + whose(&external.registry)),
        ("Postgres", it.postgres.clone() + whose(&external.postgres)),
        ("data folder", shown(&it.data)),
        ("logs", shown(&it.logs)),
    ]);
    console::line("\nCtrl-C stops it; the data stays until `flotilla reset`.");
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn non_empty(value: Option<String>) -> Option<String> {
    value.filter(|it| !it.trim().is_empty())
}

fn address(text: &str) -> anyhow::Result<SocketAddr> {
    let advice = || format!("--http {text:?} is not an address like {HTTP}");
    let mut found = text.to_socket_addrs().with_context(advice)?;
    found.next().with_context(advice)
}

fn require_free(http: SocketAddr) -> anyhow::Result<()> {
    match TcpListener::bind(http) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {} is in use by {}: stop that, or serve elsewhere with --http",
            http.port(),
            crate::stack::port_holder(http.port())
        ),
        Err(error) => Err(error).with_context(|| format!("--http {http} cannot be listened on")),
    }
}

/// An address that may be shown to anybody.
fn without_password(url: &str) -> String {
    let hidden = || {
        let (scheme, rest) = url.split_once("://")?;
        let (user, host) = rest.split_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:***@{host}"))
    };
    hidden().unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let check = |url, expect| assert_eq!(without_password(url), expect);
        check("postgres://me:secret@db:5432/x", "postgres://me:***@db:5432/x");
        check("postgres://me@db:5432/x", "postgres://me@db:5432/x");
        check("postgres://db/x?host=/tmp", "postgres://db/x?host=/tmp");
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_an_example() {
        let error = address("8080").map(|_| ()).map_err(|it| format!("{it}"));
        assert_eq!(error, Err("--http \"8080\" is not an address like 127.0.0.1:8080".to_owned()));
    }
}
