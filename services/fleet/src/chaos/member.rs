//! A service of the fleet in a process of its own.
use super::plan::Victim;
use crate::stack::{Process, Stopwatch, free_port, mortal};
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

/// A service, whether its process runs or not. Dropping it kills the process.
pub(super) struct Member {
    pub(super) who: Victim,
    /// Where its health is, and GraphQL if it is a BFF.
    pub(super) address: SocketAddr,
    options: Vec<String>,
    program: PathBuf,
    log: PathBuf,
    process: Option<Arc<Process>>,
    http: reqwest::Client,
}

impl Member {
    /// One that does not run yet; `options` say where the servers are.
    pub(super) fn new(
        who: Victim,
        program: &Path,
        options: &[String],
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let (service, at) = match who {
            Victim::Handler(_) => ("customers-handler", "--health"),
            Victim::Aggregator(_) => ("customers-aggregator", "--health"),
            _ => ("bff", "--http"),
        };
        let mut all = vec!["run".to_owned(), service.to_owned()];
        all.extend_from_slice(options);
        all.extend([at.to_owned(), address.to_string()]);
        let http = reqwest::Client::builder().timeout(REQUEST).build()?;
        let log = logs.join(format!("{}.log", who.to_string().replace(' ', "-")));
        let program = program.to_owned();
        Ok(Self { who, address, options: all, program, log, process: None, http })
    }

    /// Starts its process; it is not ready yet.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let mut command = mortal("KILL", &self.program)?;
        command.args(&self.options);
        let started = Process::spawn(command, &self.log, |_| {});
        self.process = Some(Arc::new(started.with_context(|| format!("start {}", self.who))?));
        Ok(())
    }

    pub(super) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks it to end, and waits until it has: how it did, and how long it took.
    pub(super) async fn stop(&mut self) -> (Option<ExitStatus>, Duration) {
        let watch = Stopwatch::start();
        let Some(process) = self.process.take() else { return (None, watch.took()) };
        let end = move || {
            process.stop(Signal::TERM, PATIENCE).then(|| process.wait(Duration::ZERO)).flatten()
        };
        (spawn_blocking(end).await.unwrap_or_default(), watch.took())
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// How its process ended, if it did without being told to; it is started again by the next `start`.
    pub(super) fn ended_by_itself(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_ref()?.wait(Duration::ZERO)?;
        self.process = None;
        Some(status)
    }

    pub(super) fn runs(&self) -> bool {
        self.process.is_some()
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    pub(super) async fn is_ready(&self) -> bool {
        let asked = self.http.get(format!("http://{}/ready", self.address)).send().await;
        asked.is_ok_and(|it| it.status() == 200)
    }

    /// The partitions of commands that it owns, if it says so.
    pub(super) async fn parts(&self) -> Vec<i32> {
        let asked = self.http.get(format!("http://{}/status", self.address)).send().await;
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
