//! `flotilla healthcheck`: for whoever starts containers and cannot ask over HTTP itself.
use anyhow::{Context as _, ensure};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

/// The options of `healthcheck`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Ends with 0 if the service there is ready.")]
pub(super) struct Options {
    /// Where the service answers, if it does not serve GraphQL
    #[arg(long, env = "FLOTILLA_HEALTH", value_name = "HOST:PORT")]
    health: Option<SocketAddr>,
    /// Where the service serves GraphQL
    #[arg(long, env = "FLOTILLA_HTTP", value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
}

/// Asks a service of this machine whether it is ready.
pub(super) async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let address = reachable(options.health.unwrap_or(options.http));
    let url = format!("http://{address}/ready");
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let answer = client.get(&url).send().await.with_context(|| format!("ask {url}"))?;
    let (status, said) = (answer.status(), answer.text().await.unwrap_or_default());
    ensure!(status.is_success(), "{address} is not ready: {said}");
    Ok(ExitCode::SUCCESS)
}

/// Where one listens on all addresses, one is found at any.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(it) if it.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(it) if it.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, address.port())
}

const PATIENCE: Duration = Duration::from_secs(3);
