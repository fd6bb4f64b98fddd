//! A child process that dies with us, and whose end is known at once.
use super::{StackError, timing::Deadline};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

/// A running child process, or the memory of one.
pub(crate) struct Process {
    pid: Pid,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    end: Mutex<Option<ExitStatus>>,
    ended: Condvar,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Starts `command` with everything it says going into `log`; `at_end` is called once, when it has ended.
    ///
    /// The parent-death signal follows the *thread* that starts a process, so each child has a thread of its own, which
    /// stays until the child has ended. The child leads its own process group: Ctrl-C in a terminal reaches only us.
    pub(crate) fn spawn(
        mut command: Command,
        log: &Path,
        at_end: impl FnOnce(ExitStatus) + Send + 'static,
    ) -> Result<Self, StackError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let out = File::options().create(true).append(true).open(log);
        let out = out.map_err(StackError::io(format!("write the log {}", log.display())))?;
        let err =
            out.try_clone().map_err(StackError::io(format!("write the log {}", log.display())))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);

        let state = Arc::new(State::default());
        let (started, start) = mpsc::channel();
        let theirs = Arc::clone(&state);
        let body = move || match command.spawn() {
            Ok(child) => {
                let _ = started.send(Ok(Pid::from_child(&child)));
                at_end(await_end(child, &theirs));
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        };
        let doing = format!("start {program}");
        thread::Builder::new().name(doing.clone()).spawn(body).map_err(StackError::io(&doing))?;
        let pid = start.recv().map_err(StackError::io(&doing))?.map_err(StackError::io(&doing))?;
        Ok(Self { pid, state })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until it has ended, at most for `longest`: also the pulse of everything that looks whether a server answers.
    pub(crate) fn wait(&self, longest: Duration) -> Option<ExitStatus> {
        let wait =
            self.state.ended.wait_timeout_while(self.state.lock(), longest, |it| it.is_none());
        *wait.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Sends a signal, unless it has ended: its number may be another process's by then.
    pub(crate) fn signal(&self, signal: Signal) {
        let end = self.state.lock();
        if end.is_none() {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Asks it to end with `signal`, waits for `patience`, then ends it. True: it went by itself.
    pub(crate) fn stop(&self, signal: Signal, patience: Duration) -> bool {
        self.signal(signal);
        if self.wait(patience).is_some() {
            return true;
        }
        self.kill();
        false
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
        let deadline = Deadline::after(Duration::from_secs(10));
        while self.wait(deadline.left()).is_none() && !deadline.passed() {}
    }
}

/// Waits for the end without giving the number of the process back, so that nobody signals a stranger meanwhile.
fn await_end(mut child: Child, state: &State) -> ExitStatus {
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let pid = WaitId::Pid(Pid::from_child(&child));
    while waitid(pid.clone(), ended).is_err_and(|it| it == rustix::io::Errno::INTR) {}
    let mut end = state.lock();
    let status = child.wait().unwrap_or_default();
    *end = Some(status);
    state.ended.notify_all();
    status
}
