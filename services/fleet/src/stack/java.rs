//! The virtual machine, tuned to start fast and to stay small.
use super::{StackError, tools};
use sha2::{Digest as _, Sha256};
use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// An archive of loaded classes: with it, a server starts with half the work.
#[derive(Debug, Clone)]
pub(super) enum Classes {
    /// Load them one by one.
    Unarchived,
    /// Write the archive when the server ends.
    Write(PathBuf),
    /// Use it. The virtual machine ignores one that does not fit.
    Use(PathBuf),
}

/// A command that runs Java with at most so many megabytes of heap; it dies with us.
pub(super) fn command(heap_mb: u32, classes: &Classes) -> Result<Command, StackError> {
    let mut command = tools::mortal("KILL", tools::java()?)?;
    command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]);
    // A server without memory limps on otherwise; this way its end is noticed.
    command.arg("-XX:+ExitOnOutOfMemoryError").arg(format!("-Xmx{heap_mb}m"));
    match classes {
        Classes::Unarchived => {}
        Classes::Write(file) => {
            command.arg(format!("-XX:ArchiveClassesAtExit={}", file.display()));
        }
        Classes::Use(file) => {
            command.arg(format!("-XX:SharedArchiveFile={}", file.display())).arg("-Xlog:cds=off");
        }
    }
    Ok(command)
}

/// Names this installation of Java and the place of the jars: an archive fits no others.
pub(super) fn fingerprint(jars: &Path) -> Result<String, StackError> {
    let java = tools::java()?;
    let java = java.canonicalize().map_err(StackError::io(format!("find {}", java.display())))?;
    let modules = java.parent().and_then(Path::parent).map(|home| home.join("lib/modules"));
    let about = modules
        .and_then(|it| fs::metadata(it).ok())
        .map_or_else(String::new, |it| format!("{} {}", it.len(), it.mtime()));
    let digest = Sha256::digest(format!("{} {about} {}", java.display(), jars.display()));
    Ok(digest.iter().take(4).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
