//! One stack for all tests of a process.
use super::{
    Addresses, Discovery, External, Ports, Progress, Server, Stack, StackError, StackOptions,
    discover, folder, leftovers, program,
};
use rustix::process::Pid;
use std::{env, fs, io, io::Write as _, path::Path, sync::OnceLock, time::Duration};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// The servers that the tests of this process share: those of `KAFKA_BROKERS`, `SCHEMA_REGISTRY_URL` and `DATABASE_URL` as
/// far as they are set, the others started at the first call. They end with the process. Tests keep apart by names of their own.
///
/// # Errors
/// Why they did not start; the same for everybody who asks.
pub async fn shared() -> Result<Addresses, StackError> {
    static SHARED: OnceLock<Result<Stack, StackError>> = OnceLock::new();
    let get = || match SHARED.get_or_init(start) {
        Ok(stack) => Ok(stack.addresses().clone()),
        Err(error) => Err(error.clone()),
    };
    spawn_blocking(get).await.unwrap_or(Err(StackError::Stopped))
}

const PREFIX: &str = "flotilla-test-";

fn start() -> Result<Stack, StackError> {
    let folders = env::temp_dir();
    forget_others(&folders);
    let set = |name| env::var(name).ok().filter(|it| !it.is_empty());
    let options = StackOptions {
        data: folders.join(format!("{PREFIX}{}", std::process::id())),
        ports: Ports::Auto,
        external: External {
            kafka: set("KAFKA_BROKERS"),
            registry: set("SCHEMA_REGISTRY_URL"),
            postgres: set("DATABASE_URL"),
        },
        cache: None,
        detours: Vec::new(),
        secure: None,
    };
    Stack::start_blocking(&options, &SlowSteps, &CancellationToken::new())
}

/// Tells of what takes minutes, the first time: past the capture of test output, which would look like a hang.
struct SlowSteps;

impl Progress for SlowSteps {
    fn began(&self, step: &str, waits_for: &str) {
        if Server::ALL.iter().all(|server| program::step(*server) != step) {
            let _ = writeln!(io::stderr(), "{step}: waiting for {waits_for}");
        }
    }

    fn goes_on(&self, _step: &str, _detail: &str) {}

    fn done(&self, _step: &str, _result: &str, _took: Duration) {}
}

/// The last test of a process cannot know that it is, so the folders stay: until the next process finds them unused.
fn forget_others(folders: &Path) {
    for entry in fs::read_dir(folders).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_string_lossy().strip_prefix(PREFIX).and_then(|it| it.parse().ok());
        let gone = owner.and_then(Pid::from_raw).is_some_and(|it| !leftovers::is_alive(it));
        if gone && discover(&entry.path()) == Discovery::Stopped {
            let _ = folder::reset(&entry.path());
        }
    }
}
