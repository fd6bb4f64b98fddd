//! Why the stack is not up: what happened, to what, and what to do.
use super::Server;
use std::{
    fmt::{self, Write as _},
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

/// Why the stack did not start, or is no longer whole. The text says what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// A program that is needed is not installed.
    #[error(
        "{program} is missing: {purpose} needs it; install it with: apt-get install --yes {package}"
    )]
    Missing {
        /// What was looked for.
        program: String,
        /// Who needs it.
        purpose: &'static str,
        /// The distribution's package that has it.
        package: &'static str,
    },
    /// Another process uses the data folder.
    #[error("the data folder {data} is in use by {}: stop that fleet, or give this one another folder with --data", holder(*.pid))]
    InUse {
        /// The folder.
        data: Shown,
        /// Who uses it, if it says so.
        pid: Option<u32>,
    },
    /// The folder has something else in it.
    #[error(
        "{data} is not empty and not the data folder of a fleet: nothing in it was touched; give an empty folder with --data"
    )]
    NotOurs {
        /// The folder.
        data: Shown,
    },
    /// The folder cannot be used.
    #[error("the data folder {data} cannot be used: {reason}")]
    Unfit {
        /// The folder.
        data: Shown,
        /// Why, and what to do.
        reason: String,
    },
    /// A port is taken.
    #[error("port {port}, which {server} is to listen on, is in use by {holder}: stop that, let the fleet choose with --ports auto, or point it at a server of your own with {}", .server.elsewhere())]
    Port {
        /// Who was to listen there.
        server: Server,
        /// Where.
        port: u16,
        /// The process that does, as far as this user may know.
        holder: String,
    },
    /// The disk is full, or nearly.
    #[error(
        "only {free_mb} MB are free on the disk of {folder}, and {needed_mb} MB are needed: free some, or choose another disk with {option}"
    )]
    Disk {
        /// What is on that disk.
        folder: Shown,
        /// Megabytes free.
        free_mb: u64,
        /// Megabytes needed.
        needed_mb: u64,
        /// How to choose another disk.
        option: &'static str,
    },
    /// A server, or a program that prepares one, ended although it should not have.
    #[error("{what} ended ({status}){log}")]
    Ended {
        /// What ended.
        what: String,
        /// How.
        status: String,
        /// Its log and its last words.
        log: Log,
    },
    /// A server, or a program that prepares one, took too long.
    #[error("{what} gave no answer within {} s{log}", .waited.as_secs())]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// Its log and its last words.
        log: Log,
    },
    /// What was fetched is not whole.
    #[error("{file} is not whole: {reason}; delete {cache} and start again")]
    Broken {
        /// The file.
        file: Shown,
        /// What is wrong with it.
        reason: String,
        /// The folder to delete.
        cache: Shown,
    },
    /// A file or a program could not be used.
    #[error("cannot {doing}: {cause}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system says.
        cause: String,
    },
    /// It was stopped while it started.
    #[error("stopped while it was starting")]
    Stopped,
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("the fleet with pid {pid}"))
}

impl StackError {
    /// For `map_err`: what was tried, and what the system says.
    pub(super) fn io<E: fmt::Display>(doing: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |cause| Self::Io { doing: doing.to_string(), cause: cause.to_string() }
    }
}

/// A path in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(pub PathBuf);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl From<&Path> for Shown {
    fn from(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

/// A log file and its last lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Where it is.
    pub file: PathBuf,
    /// Its last lines.
    pub tail: Vec<String>,
    /// What they mean, when that is known.
    pub hint: Option<&'static str>,
}

/// So much of a log is shown, and looked at for known causes.
const TAIL_LINES: usize = 12;
const TAIL_BYTES: u64 = 16 * 1024;

/// Known last words, and what they mean.
const HINTS: [(&str, &str); 6] = [
    ("No space left on device", "the disk is full"),
    ("UnsupportedClassVersionError", "this Java is too old: install openjdk-17-jre-headless"),
    ("Address already in use", "another process took its port: try --ports auto"),
    ("OutOfMemoryError", "it had too little memory"),
    ("Could not transfer artifact", "the packages could not be fetched: is there a network?"),
    ("Unknown host", "the packages could not be fetched: is there a network?"),
];

impl Log {
    /// What a log says last.
    pub(super) fn of(file: &Path) -> Self {
        let bytes = end_of(file).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let known = |line: &&str| HINTS.iter().find(|(words, _)| line.contains(words));
        let cause = lines.iter().rposition(|line| known(line).is_some());
        let hint = cause.and_then(|it| known(&lines[it])).map(|(_, hint)| *hint);
        // The line that tells the cause is shown even if a long statement or a stack trace follows it.
        let first = lines.len().saturating_sub(TAIL_LINES);
        let cause = cause.filter(|it| *it < first).map(|it| &lines[it]);
        let short = |line: &&str| line.chars().take(300).collect();
        let tail = cause.into_iter().chain(&lines[first..]).map(short).collect();
        Self { file: file.to_owned(), tail, hint }
    }
}

fn end_of(file: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(hint) = self.hint {
            write!(f, ": {hint}")?;
        }
        write!(f, "; its log is {}", self.file.display())?;
        if self.tail.is_empty() {
            return f.write_str(", which is empty");
        }
        f.write_str(" and ends with")?;
        self.tail.iter().try_for_each(|line| {
            f.write_str("\n    ")?;
            line.chars().try_for_each(|c| f.write_char(if c.is_control() { ' ' } else { c }))
        })
    }
}
