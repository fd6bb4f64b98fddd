//! Services in processes of their own, as in production: `flotilla run`.
use crate::{memory, stack::Stopwatch};
use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use shell::clock::Clock;
use std::{
    env,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A process; dropping it kills it.
pub(super) struct Process {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Process {
    /// Starts services. GraphQL, or else only their health, is at `address`.
    pub(super) fn start(
        services: &[&str],
        options: &[String],
        address: SocketAddr,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let log = logs.join(format!("{}-{}.log", services.join("+"), address.port()));
        let at = if services.contains(&"bff") { "--http" } else { "--health" };
        let program = env::current_exe().context("find this program")?;
        // Whoever kills the benchmark leaves nobody behind either.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .arg("run")
            .args(services)
            .args(options)
            .args([at, &address.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).with_context(|| format!("make {}", log.display()))?)
            .spawn()
            .context("start a service: is setpriv there?")?;
        Ok(Self { child, address, log })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it is ready; how long that took.
    pub(super) async fn ready(&mut self, clock: &Clock) -> anyhow::Result<Duration> {
        let watch = Stopwatch::start();
        let url = format!("http://{}/ready", self.address);
        loop {
            if let Ok(response) = reqwest::get(&url).await
                && response.status() == 200
            {
                return Ok(watch.took());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("a service ended, {status}: {}", self.last_words());
            }
            if watch.took() > PATIENCE {
                bail!("a service is not ready after {PATIENCE:?}: {}", self.last_words());
            }
            clock.sleep(PULSE).await;
        }
    }

    /// Asks it to end, and waits until it has.
    pub(super) async fn stop(mut self, clock: &Clock) -> anyhow::Result<()> {
        self.signal(Signal::TERM);
        let watch = Stopwatch::start();
        while self.child.try_wait()?.is_none() {
            if watch.took() > PATIENCE {
                bail!("a service does not end: {}", self.last_words());
            }
            clock.sleep(PULSE).await;
        }
        Ok(())
    }

    /// Ends it at once.
    pub(super) fn kill(mut self) {
        self.end();
    }

    /// The most memory that it ever had; `None` where the system does not tell.
    #[expect(clippy::cast_precision_loss, reason = "so much there will never be")]
    pub(super) fn memory_peak_mb(&self) -> Option<f64> {
        Some(memory::peak_kb(&self.child.id().to_string())? as f64 / 1024.0)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, signal);
        }
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn last_words(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let last = &lines[lines.len().saturating_sub(5)..];
        format!("{} ends with\n{}", self.log.display(), last.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

const PULSE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_mins(1);
