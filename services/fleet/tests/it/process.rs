//! Services of the fleet in processes of their own, which can be frozen and killed.
#![expect(clippy::unwrap_used, reason = "only tests call this")]
use crate::server::Server;
use ::fleet::stack::Stopwatch;
use std::{
    env,
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A process; dropping it kills it.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Process {
    /// Starts `flotilla run`. GraphQL, or else only its health, is at `address`.
    pub(crate) fn start(services: &[&str], options: &[String], address: SocketAddr) -> Self {
        let log = env::temp_dir().join(format!(
            "flotilla-it-{}-{}.log",
            std::process::id(),
            address.port()
        ));
        let at = if services.contains(&"bff") { "--http" } else { "--health" };
        // A test that is killed leaves nobody behind either.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_flotilla"), "run"])
            .args(services)
            .args(options)
            .args([at, &address.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, address, log }
    }

    pub(crate) fn server(&self) -> Server {
        Server::new(self.address, None)
    }

    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(mut self) -> Duration {
        let watch = Stopwatch::start();
        self.signal("-TERM");
        let status = crate::server::until_some("it stops", async || self.child.try_wait().unwrap());
        assert!(status.await.success(), "{}", self.said());
        watch.took()
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.said();
            let lines: Vec<&str> = said.lines().collect();
            let last = lines.len().saturating_sub(40);
            eprintln!("{} said last:\n{}", self.log.display(), lines[last..].join("\n"));
        }
        self.end();
        let _ = fs::remove_file(&self.log);
    }
}
