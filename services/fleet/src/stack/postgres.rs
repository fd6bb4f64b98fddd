//! A private Postgres cluster.
use super::{
    Server, StackError,
    cache::remove,
    leftovers, probe,
    program::{self, Program},
    tools,
};
use rustix::process::{Pid, Signal};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// The one role, a superuser.
pub(super) const USER: &str = "flotilla";

pub(super) struct Postgres {
    pub(super) tools: tools::Postgres,
    /// Its own folder; belongs to the user it runs as.
    pub(super) folder: PathBuf,
    /// Where its socket is.
    pub(super) sockets: PathBuf,
    pub(super) log: PathBuf,
    pub(super) port: u16,
}

/// Durable as in production, otherwise fit for a small machine and many short-lived databases.
const SETTINGS: [&str; 11] = [
    "fsync=on",
    "synchronous_commit=on",
    "listen_addresses=127.0.0.1",
    "max_connections=300",
    "shared_buffers=64MB",
    "jit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "timezone=UTC",
    "log_line_prefix=%m [%p] %d ",
    "unix_socket_permissions=0777",
];

/// The major version that made the cluster in this folder, if there is one.
pub(super) fn cluster_version(folder: &Path) -> Option<u32> {
    fs::read_to_string(folder.join("data/PG_VERSION")).ok()?.trim().parse().ok()
}

impl Postgres {
    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn make_cluster(&self, cancel: &CancellationToken) -> Result<(), StackError> {
        // All or nothing: the folder gets its name when it is complete.
        let new = self.folder.join("new");
        remove(&new)?;
        let mut command = self.tools.command("KILL", "initdb")?;
        command.arg("--pgdata").arg(&new).args([
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]);
        // The system writes it to the disk soon enough; waiting for that takes longer than all the rest.
        command
            .args(["--no-sync", "--no-instructions", "--username", USER])
            .current_dir(&self.folder);
        program::run(command, "initdb", &self.log, Duration::from_mins(2), cancel)?;
        fs::rename(&new, self.data())
            .map_err(StackError::io(format!("make {}", self.data().display())))
    }

    /// Postgres takes the number in its lock file for a living server when *any* process has it by now. We hold the lock
    /// of the data folder and have ended all leftovers, so such a number is a stranger's.
    fn forget_stranger(&self) -> Result<(), StackError> {
        let file = self.data().join("postmaster.pid");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let pid = text.lines().next().and_then(|it| Pid::from_raw(it.trim().parse().ok()?));
        if pid.is_some_and(leftovers::is_alive) {
            fs::remove_file(&file).map_err(StackError::io(format!("delete {}", file.display())))?;
        }
        Ok(())
    }
}

impl Program for Postgres {
    fn server(&self) -> Server {
        Server::Postgres
    }

    fn prepare(&self, cancel: &CancellationToken) -> Result<(), StackError> {
        if !self.data().exists() {
            return self.make_cluster(cancel);
        }
        leftovers::end_in(&self.folder)?;
        self.forget_stranger()
    }

    fn command(&self) -> Result<Command, StackError> {
        // Ends at once and in order, its own children included, when we are gone.
        let mut command = self.tools.command("QUIT", "postgres")?;
        command.arg("-D").arg(self.data()).arg("-k").arg(&self.sockets);
        command.arg("-p").arg(self.port.to_string()).current_dir(&self.folder);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        Ok(command)
    }

    fn answers(&self) -> bool {
        probe::postgres(self.port, USER)
    }

    fn address(&self) -> String {
        // The socket is faster than TCP; whoever reads `host` only gets the same server.
        let sockets = encoded(&self.sockets);
        format!("postgres://{USER}@127.0.0.1:{}/postgres?host={sockets}", self.port)
    }

    fn log(&self) -> &Path {
        &self.log
    }

    /// The fast way: sessions are ended, the data is written.
    fn stop_signal(&self) -> Signal {
        Signal::INT
    }
}

/// A path as a value in a URL.
fn encoded(path: &Path) -> String {
    use std::{fmt::Write as _, os::unix::ffi::OsStrExt as _};
    path.as_os_str().as_bytes().iter().fold(String::new(), |mut url, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(byte) {
            url.push(char::from(*byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
        url
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_fits_in_a_url() {
        assert_eq!(encoded(Path::new("/srv/my data/ü")), "/srv/my%20data/%C3%BC");
    }
}
