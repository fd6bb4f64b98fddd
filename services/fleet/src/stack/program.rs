//! What the three servers have in common: how one is made ready, started, asked and ended.
use super::{Progress, Server, StackError, error::Log, process::Process, timing::Deadline};
use rustix::process::Signal;
use std::{fs, path::Path, process::Command, process::ExitStatus, time::Duration};
use tokio_util::sync::CancellationToken;

/// Kafka has a log to recover after a hard end, so this is generous; a server that *ends* is noticed at once.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often a server that starts is asked.
const PULSE: Duration = Duration::from_millis(15);
/// A log that is larger at a start is put aside, once.
const LOG_BYTES: u64 = 20 * 1024 * 1024;

/// A server that can be started.
pub(super) trait Program: Send + Sync {
    /// Which one it is.
    fn server(&self) -> Server;
    /// Makes its folder ready, the first time.
    fn prepare(&self, cancel: &CancellationToken) -> Result<(), StackError>;
    /// What runs it.
    fn command(&self) -> Result<Command, StackError>;
    /// Whether it answers a real question.
    fn answers(&self) -> bool;
    /// Where others reach it.
    fn address(&self) -> String;
    /// Where everything it says goes.
    fn log(&self) -> &Path;
    /// Asks it to end in order.
    fn stop_signal(&self) -> Signal {
        Signal::TERM
    }
}

/// Starts a server and waits until it answers.
pub(super) fn start(
    program: &dyn Program,
    progress: &dyn Progress,
    cancel: &CancellationToken,
    at_end: impl FnOnce(ExitStatus) + Send + 'static,
) -> Result<Process, StackError> {
    let (server, deadline) = (program.server(), Deadline::after(PATIENCE));
    progress.began(&step(server), "an answer");
    program.prepare(cancel)?;
    rotate(program.log())?;
    let process = Process::spawn(program.command()?, program.log(), at_end)?;
    await_answer(&process, &step(server), program.log(), deadline, cancel, || program.answers())?;
    progress.done(&step(server), &program.address(), deadline.took());
    Ok(process)
}

/// Waits until `answers`; ends the process when it does not in time.
pub(super) fn await_answer(
    process: &Process,
    what: &str,
    log: &Path,
    deadline: Deadline,
    cancel: &CancellationToken,
    answers: impl Fn() -> bool,
) -> Result<(), StackError> {
    loop {
        if let Some(status) = process.wait(PULSE) {
            return Err(ended(what, status, log));
        }
        if answers() {
            return Ok(());
        }
        if cancel.is_cancelled() {
            process.kill();
            return Err(StackError::Stopped);
        }
        if deadline.passed() {
            process.kill();
            let (what, waited) = (what.to_owned(), deadline.took());
            return Err(StackError::Late { what, waited, log: Log::of(log) });
        }
    }
}

/// Runs a program that prepares something, to its end.
pub(super) fn run(
    command: Command,
    what: &str,
    log: &Path,
    longest: Duration,
    cancel: &CancellationToken,
) -> Result<(), StackError> {
    let process = Process::spawn(command, log, |_| {})?;
    let deadline = Deadline::after(longest);
    loop {
        match process.wait(Duration::from_millis(100)) {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(ended(what, status, log)),
            None if cancel.is_cancelled() => {
                process.kill();
                return Err(StackError::Stopped);
            }
            None if deadline.passed() => {
                process.kill();
                let what = what.to_owned();
                return Err(StackError::Late { what, waited: longest, log: Log::of(log) });
            }
            None => {}
        }
    }
}

/// A server as the name of a step, and at the beginning of a message.
pub(super) fn step(server: Server) -> String {
    server.to_string().trim_start_matches("the ").to_owned()
}

/// The error for a program that ended although it should not have.
pub(super) fn ended(what: &str, status: ExitStatus, log: &Path) -> StackError {
    StackError::Ended { what: what.to_owned(), status: status.to_string(), log: Log::of(log) }
}

fn rotate(log: &Path) -> Result<(), StackError> {
    if fs::metadata(log).is_ok_and(|it| it.len() > LOG_BYTES) {
        let doing = format!("put {} aside", log.display());
        fs::rename(log, log.with_extension("log.before")).map_err(StackError::io(doing))?;
    }
    Ok(())
}
