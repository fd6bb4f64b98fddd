//! A server to talk to.
use async_graphql::Executor;
use bff::{Config, http};
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
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

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Server {
    pub(crate) async fn start(executor: impl Executor, config: Config) -> Self {
        let assets = http::Assets::load(config.assets.as_deref()).expect("assets");
        let router = http::router(executor, bff::sdl(), assets, &config, Clock::system());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let ends = shutdown.clone();
        let served = tokio::spawn(async move {
            http::serve(listener, router, &config, Clock::system(), ends).await
        });
        Self { address, shutdown, served, client: reqwest::Client::new() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// A POST with a JSON body, whose answer has the newer media type.
    pub(crate) fn post(&self, body: &Value) -> RequestBuilder {
        self.request(Method::POST, "/graphql").json(body)
    }

    /// The answer to a document without variables.
    pub(crate) async fn ask(&self, document: &str) -> Answer {
        answer(self.post(&json!({ "query": document }))).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.served.abort();
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or_else(|e| panic!("no JSON, {e}: {text}"));
    Answer { status, headers, body }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The code of the first error.
    pub(crate) fn code(&self) -> &str {
        self.body["errors"][0]["extensions"]["code"].as_str().unwrap_or("no code")
    }

    /// Where the first error says that a value is wrong.
    pub(crate) fn path(&self) -> &Value {
        &self.body["errors"][0]["extensions"]["path"]
    }

    pub(crate) fn message(&self) -> &str {
        self.body["errors"][0]["message"].as_str().unwrap_or("no message")
    }
}
