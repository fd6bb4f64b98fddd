//! A service of the fleet in a process of its own.
use crate::stack::{Addresses, Process, Stopwatch, free_port, mortal};
use anyhow::Context as _;
use rustix::process::Signal;
use shell::status::Report;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::Arc,
    time::Duration,
};
use tokio::task::spawn_blocking;

/// How long one that is asked to end may take.
const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST: Duration = Duration::from_secs(2);

/// The services of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Decides.
    Handler,
    /// Keeps the views.
    Aggregator,
    /// Serves GraphQL.
    Bff,
}

impl Service {
    pub(crate) const ALL: [Self; 3] = [Self::Handler, Self::Aggregator, Self::Bff];

    /// What `flotilla run` calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Handler => "customers-handler",
            Self::Aggregator => "customers-aggregator",
            Self::Bff => "bff",
        }
    }
}

/// The options that tell a service where the servers are.
pub(crate) fn options_for(addresses: &Addresses, partitions: i32) -> Vec<String> {
    let Addresses { kafka_brokers, schema_registry_url, database_url } = addresses;
    let partitions = partitions.to_string();
    let options = [
        ("--kafka-brokers", kafka_brokers),
        ("--schema-registry-url", schema_registry_url),
        ("--database-url", database_url),
        ("--partitions", &partitions),
    ];
    options.into_iter().flat_map(|(name, value)| [name.to_owned(), value.clone()]).collect()
}

/// A service, whether its process runs or not. Dropping it kills the process.
pub(crate) struct Member {
    /// What it is called in messages; its log's name.
    pub(crate) name: String,
    /// Where its health is, and GraphQL if it is a BFF.
    address: SocketAddr,
    options: Vec<String>,
    program: PathBuf,
    log: PathBuf,
    process: Option<Arc<Process>>,
    http: reqwest::Client,
}

impl Member {
    /// One that does not run yet; `options` say where the servers are.
    pub(crate) fn new(
        service: Service,
        name: String,
        program: &Path,
        options: &[String],
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let at = if service == Service::Bff { "--http" } else { "--health" };
        let mut all = vec!["run".to_owned(), service.name().to_owned()];
        all.extend_from_slice(options);
        all.extend([at.to_owned(), address.to_string()]);
        let http = reqwest::Client::builder().timeout(REQUEST).build()?;
        let log = logs.join(format!("{}.log", name.replace(' ', "-")));
        let program = program.to_owned();
        Ok(Self { name, address, options: all, program, log, process: None, http })
    }

    /// Starts its process; it is not ready yet.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let mut command = mortal("KILL", &self.program)?;
        command.args(&self.options);
        let started = Process::spawn(command, &self.log, |_| {});
        self.process = Some(Arc::new(started.with_context(|| format!("start {}", self.name))?));
        Ok(())
    }

    pub(crate) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks it to end, and waits until it has: how it did, and how long it took.
    pub(crate) async fn stop(&mut self) -> (Option<ExitStatus>, Duration) {
        let watch = Stopwatch::start();
        let Some(process) = self.process.take() else { return (None, watch.took()) };
        let end = move || {
            process.stop(Signal::TERM, PATIENCE).then(|| process.wait(Duration::ZERO)).flatten()
        };
        (spawn_blocking(end).await.unwrap_or_default(), watch.took())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// How its process ended, if it did without being told to; it is started again by the next `start`.
    pub(crate) fn ended_by_itself(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_ref()?.wait(Duration::ZERO)?;
        self.process = None;
        Some(status)
    }

    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let asked = self.http.get(self.url() + "/ready").send().await;
        asked.is_ok_and(|it| it.status() == 200)
    }

    /// Where clients find it, if it is a BFF.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The partitions of commands that it owns, if it says so.
    pub(crate) async fn parts(&self) -> Vec<i32> {
        let asked = self.http.get(self.url() + "/status").send().await;
        let Ok(answer) = asked else { return Vec::new() };
        let report: Report = answer.json().await.unwrap_or_default();
        let handler = report.services.get("customers-handler");
        let parts = handler.into_iter().flat_map(|it| &it.partitions);
        parts.filter(|it| it.epoch > 0 && it.trouble.is_none()).map(|it| it.partition).collect()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}
