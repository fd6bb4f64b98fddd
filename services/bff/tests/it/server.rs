//! A server to talk to.
pub(crate) use crate::client::{Answer, answer};
use async_graphql::Executor;
use axum::Router;
use bff::{Config, http};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use shell::clock::Clock;
use std::{io, net::SocketAddr};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A server of its own for a test; ends with it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<io::Result<()>>,
    client: reqwest::Client,
}

impl Server {
    pub(crate) async fn start(executor: impl Executor, config: Config) -> Self {
        Self::start_with(executor, config, Router::new()).await
    }

    /// With other routes beside.
    pub(crate) async fn start_with(executor: impl Executor, config: Config, more: Router) -> Self {
        let assets = http::Assets::load(config.assets.as_deref()).expect("assets");
        let (clock, shutdown) = (Clock::system(), CancellationToken::new());
        let router = http::router(executor, bff::sdl(), assets, &config, clock, shutdown.clone())
            .merge(more);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let ends = shutdown.clone();
        let served = tokio::spawn(async move {
            http::serve(listener, router, &config, Clock::system(), ends).await
        });
        Self { address, shutdown, served, client: reqwest::Client::new() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.served.abort();
    }
}

impl Answer {
    /// Where the first error says that a value is wrong.
    pub(crate) fn path(&self) -> &Value {
        &self.body["errors"][0]["extensions"]["path"]
    }
}
