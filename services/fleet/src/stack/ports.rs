//! Ports: which are free, and who has the others.
use super::{Server, StackError, leftovers};
use std::{
    collections::hash_map::RandomState,
    fs,
    hash::BuildHasher as _,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

/// Below the range that the system gives to outgoing connections: a client that tries to reach a server that is down
/// could otherwise be given that server's own port.
const AUTO: std::ops::Range<u16> = 11_000..31_000;

/// A port that nobody listens on now.
///
/// # Errors
/// None was found in several hundred tries.
pub fn free_port() -> Result<u16, StackError> {
    let random = RandomState::new();
    let width = u64::from(AUTO.end - AUTO.start);
    (0..500_u64)
        .filter_map(|n| u16::try_from(random.hash_one(n) % width).ok())
        .map(|offset| AUTO.start + offset)
        .find(|port| is_free(*port))
        .ok_or_else(|| StackError::Io {
            doing: format!("find a free port between {} and {}", AUTO.start, AUTO.end),
            cause: "500 tries found none".to_owned(),
        })
}

/// Whether one can listen on a port of the loopback address.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The port a server is to have, or an error that says who has it.
pub(super) fn require(server: Server, port: u16) -> Result<u16, StackError> {
    if is_free(port) {
        return Ok(port);
    }
    Err(StackError::Port { server, port, holder: holder(port) })
}

/// The remembered port if it is still free, else another, remembered in `file`.
pub(super) fn remembered(file: &Path) -> Result<u16, StackError> {
    let before = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
    if let Some(port) = before.filter(|port| is_free(*port)) {
        return Ok(port);
    }
    let port = free_port()?;
    fs::write(file, format!("{port}\n"))
        .map_err(StackError::io(format!("write {}", file.display())))?;
    Ok(port)
}

/// The process that listens on a port, as far as this user may know.
#[must_use]
pub fn holder(port: u16) -> String {
    let unknown = || "a process that this user may not look at".to_owned();
    let Some(inode) = listening_inode(port) else { return unknown() };
    let wanted = format!("socket:[{inode}]");
    let has_it = |pid: &rustix::process::Pid| {
        let files = fs::read_dir(leftovers::proc(*pid, "fd")).into_iter().flatten().flatten();
        files
            .filter_map(|it| fs::read_link(it.path()).ok())
            .any(|it| it.as_os_str() == wanted.as_str())
    };
    leftovers::pids().find(has_it).map_or_else(unknown, leftovers::name)
}

fn listening_inode(port: u16) -> Option<String> {
    const LISTENING: &str = "0A";
    let suffix = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        fs::read_to_string(table).ok()?.lines().find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let matches = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == LISTENING;
            matches.then(|| fields.get(9).map(|inode| (*inode).to_owned())).flatten()
        })
    })
}
