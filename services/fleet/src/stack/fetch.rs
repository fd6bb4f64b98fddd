//! Fetching the parts with Maven.
use super::{Progress, StackError, cache, error::Log, process::Process, timing, tools};
use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const STEP: &str = "packages";
const LONGEST: Duration = Duration::from_mins(20);
/// The files of the page, which the packages have in folders of their own.
const PAGE: [&str; 4] = [
    "react.production.min.js",
    "react-dom.production.min.js",
    "graphiql.min.js",
    "graphiql.min.css",
];

/// Fetches all that the pom file names into `part`.
pub(super) fn into(
    part: &Path,
    log: &Path,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<(), StackError> {
    let watch = timing::Stopwatch::start();
    progress.began(
        STEP,
        "Maven to fetch Kafka, the schema registry and the GraphiQL page, 200 MB, once",
    );
    maven(part, log, None, progress, cancel)?;
    if let Err(broken) = check(part) {
        // Maven keeps its own copies and does not look at them again: fetch past them, once.
        progress.goes_on(STEP, &format!("{broken}; fetching all of it again"));
        let fresh = part.join("repository");
        maven(part, log, Some(&fresh), progress, cancel)?;
        cache::remove(&fresh)?;
        check(part)?;
    }
    progress.done(STEP, "fetched", watch.took());
    Ok(())
}

fn maven(
    part: &Path,
    log: &Path,
    repository: Option<&Path>,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<(), StackError> {
    let pom = part.join("pom.xml");
    fs::write(&pom, cache::POM).map_err(StackError::io(format!("write {}", pom.display())))?;
    File::create(log).map_err(StackError::io(format!("write {}", log.display())))?;

    let mut command = tools::mortal("KILL", tools::maven()?)?;
    // No colours, no dialogue, checksums must be right, and no waiting for ever on a network that swallows packets.
    command.args(["--batch-mode", "--strict-checksums", "-Dstyle.color=never"]);
    command.args([
        "-Dmaven.wagon.http.readTimeout=60000",
        "-Dmaven.wagon.httpconnectionManager.ttlSeconds=30",
    ]);
    command.args([
        "-Daether.connector.connectTimeout=20000",
        "-Daether.connector.requestTimeout=60000",
    ]);
    command.arg("-f").arg(&pom).arg(format!("-Dinto={}", part.display()));
    if let Some(repository) = repository {
        command.arg(format!("-Dmaven.repo.local={}", repository.display()));
    }
    command.arg("generate-resources").current_dir(part);
    let process = Process::spawn(command, log, |_| {})?;

    let deadline = timing::Deadline::after(LONGEST);
    let mut read = 0;
    loop {
        if let Some(status) = process.wait(Duration::from_millis(250)) {
            return if status.success() {
                Ok(())
            } else {
                let what = "Maven, which was to fetch the packages,".to_owned();
                Err(StackError::Ended { what, status: status.to_string(), log: Log::of(log) })
            };
        }
        if let Some(name) = downloading(log, &mut read) {
            progress.goes_on(STEP, &name);
        }
        if cancel.is_cancelled() || deadline.passed() {
            process.kill();
            return Err(if cancel.is_cancelled() {
                StackError::Stopped
            } else {
                StackError::Late { what: "Maven".to_owned(), waited: LONGEST, log: Log::of(log) }
            });
        }
    }
}

/// What Maven said last that it downloads, since the last look.
fn downloading(log: &Path, read: &mut u64) -> Option<String> {
    let mut file = File::open(log).ok()?;
    file.seek(SeekFrom::Start(*read)).ok()?;
    let mut news = Vec::new();
    *read += file.read_to_end(&mut news).ok()? as u64;
    let news = String::from_utf8_lossy(&news);
    let line = news.lines().rev().find(|line| line.contains("Downloading from"))?;
    Some(line.rsplit('/').next()?.trim().to_owned())
}

/// Every archive is whole, and the files of the page are there.
fn check(part: &Path) -> Result<(), StackError> {
    let broken = |file: &Path, reason: &str| StackError::Broken {
        file: file.into(),
        reason: reason.to_owned(),
        cache: part.into(),
    };
    let all = files(part)?;
    for jar in all.iter().filter(|it| it.extension().is_some_and(|it| it == "jar")) {
        if !ends_like_an_archive(jar) {
            return Err(broken(jar, "the archive is cut short"));
        }
    }
    for name in PAGE {
        let flat = part.join("web").join(name);
        let found = all.iter().find(|it| it.file_name().is_some_and(|it| it == name));
        let found = found.ok_or_else(|| broken(&flat, "no package has it"))?;
        if *found != flat {
            fs::rename(found, &flat).map_err(StackError::io(format!("make {}", flat.display())))?;
        }
    }
    cache::remove(&part.join("web/META-INF"))
}

/// A zip archive ends with its directory's place and size, which tells a cut one.
fn ends_like_an_archive(path: &Path) -> bool {
    const LONGEST_END: u64 = 22 + 65_535;
    let end = File::open(path).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_END)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(end)
    });
    end.is_ok_and(|end| end.windows(4).any(|it| it == b"PK\x05\x06"))
}

/// All files below a folder.
pub(super) fn files(root: &Path) -> Result<Vec<PathBuf>, StackError> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let said = || StackError::io(format!("list {}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(said())? {
            let path = entry.map_err(said())?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    Ok(files)
}
