//! A BFF to talk to, and services in this process.
#![expect(clippy::unwrap_used, reason = "only tests call this")]
pub(crate) use crate::client::{Answer, answer};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use shell::{Service, Shell};
use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

/// Where a BFF, or the health of a process, can be asked. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    client: reqwest::Client,
    /// Those behind it, if they live in this process.
    _services: Option<Arc<Services>>,
}

impl Server {
    pub(crate) fn new(address: SocketAddr, services: Option<Services>) -> Self {
        Self { address, client: reqwest::Client::new(), _services: services.map(Arc::new) }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// Waits until its process is ready.
    pub(crate) async fn ready(&self) {
        let is_ready = async || (self.readiness().await?.0 == 200).then_some(());
        until_some("the services are ready", is_ready).await;
    }

    /// What it says about being ready; `None` if it says nothing.
    pub(crate) async fn readiness(&self) -> Option<(StatusCode, String)> {
        let response = self.request(Method::GET, "/ready").send().await.ok()?;
        Some((response.status(), response.text().await.ok()?))
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let response = self.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    }

    /// How many partitions of commands the handler in this process owns.
    pub(crate) async fn parts(&self) -> usize {
        let Ok(response) = self.request(Method::GET, "/status").send().await else { return 0 };
        let status: Value = response.json().await.unwrap_or_default();
        let parts = &status["services"]["customers-handler"]["partitions"];
        parts.as_array().map_or(0, Vec::len)
    }
}

/// Services in this process; dropping it stops them in order.
pub(crate) struct Services {
    shell: Shell,
    running: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Services {
    pub(crate) fn start(shell: Shell, services: Vec<Service>) -> Self {
        ::shell::start_logging();
        let running = {
            let shell = shell.clone();
            std::thread::spawn(move || ::shell::supervise(&shell, services))
        };
        Self { shell, running: Some(running) }
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.shell.shutdown.cancel();
        let result = self.running.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            result.unwrap().unwrap().unwrap();
        }
    }
}

/// Looks again and again until there is something.
pub(crate) async fn until_some<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        let mut pulse = tokio::time::interval(Duration::from_millis(20));
        loop {
            pulse.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    let limit = tokio::time::timeout(PATIENCE, found).await;
    limit.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
