//! How much memory a process ever had.
use std::fs;

/// The most memory that the process ever had, in KiB; `None` where the system does not tell. `self` is this process.
pub(crate) fn peak_kb(pid: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|it| it.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
