//! Other processes as the system shows them, and servers that a former fleet left in our data folder.
//!
//! What is asked is the system itself, not a file with numbers: a process is a leftover when it is one of our programs
//! and works in the folder that we have locked for ourselves.
use super::{StackError, timing::Deadline};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::{fs, path::Path, path::PathBuf, time::Duration};

/// Ends every server that still works in `folder`, and returns how many there were.
pub(super) fn end_in(folder: &Path) -> Result<usize, StackError> {
    let Ok(folder) = folder.canonicalize() else { return Ok(0) };
    let found = servers_in(&folder);
    if found.is_empty() {
        return Ok(0);
    }
    // A soft signal first: Postgres and Kafka recover after a hard one as well, but take longer at their next start.
    for (signal, patience) in [(Signal::TERM, 3), (Signal::QUIT, 2), (Signal::KILL, 10)] {
        for pid in servers_in(&folder) {
            let _ = kill_process(pid, signal);
            let _ = kill_process(pid, Signal::CONT);
        }
        let deadline = Deadline::after(Duration::from_secs(patience));
        while !deadline.passed() {
            if servers_in(&folder).is_empty() {
                return Ok(found.len());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
    let pids: Vec<_> = servers_in(&folder).iter().map(|pid| pid.as_raw_nonzero()).collect();
    let reason =
        format!("the processes {pids:?} of a former fleet still use it and cannot be ended");
    Err(StackError::Unfit { data: folder.as_path().into(), reason })
}

fn servers_in(folder: &Path) -> Vec<Pid> {
    pids()
        .filter(|pid| is_server(*pid) && cwd(*pid).is_some_and(|it| it.starts_with(folder)))
        .collect()
}

fn is_server(pid: Pid) -> bool {
    let program = fs::read_link(proc(pid, "exe")).unwrap_or_default();
    let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The kernel appends " (deleted)" when the package was replaced meanwhile.
    matches!(program.trim_end_matches(" (deleted)"), "java" | "postgres")
}

fn cwd(pid: Pid) -> Option<PathBuf> {
    fs::read_link(proc(pid, "cwd")).ok()
}

/// The process and all that descend from it.
pub(super) fn family(ancestor: Pid) -> Vec<Pid> {
    let parents: Vec<_> = pids().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut family = vec![ancestor];
    let mut next = 0;
    while let Some(&one) = family.get(next) {
        family.extend(parents.iter().filter(|(_, parent)| *parent == one).map(|(pid, _)| *pid));
        next += 1;
    }
    family
}

fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(proc(pid, "stat")).ok()?;
    // The name of the program is in parentheses and may contain anything.
    Pid::from_raw(stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?)
}

/// Whether a process of that number exists.
pub(super) fn is_alive(pid: Pid) -> bool {
    test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

/// How a process is called, for a message.
pub(super) fn name(pid: Pid) -> String {
    let name = fs::read_to_string(proc(pid, "comm")).unwrap_or_default();
    format!("{} (pid {})", name.trim(), pid.as_raw_nonzero())
}

pub(super) fn pids() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|it| Pid::from_raw(it.file_name().to_str()?.parse().ok()?))
}

pub(super) fn proc(pid: Pid, what: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{what}", pid.as_raw_nonzero()))
}
