//! What is derived from the parts once on each machine: Kafka's feature file and the archives of classes.
use super::{
    Kit, Progress, StackError,
    cache::remove,
    java::{self, Classes},
    kafka::{FEATURES, Kafka},
    ports,
    process::Process,
    program::{Program, await_answer, step},
    registry::Registry,
    timing::{Deadline, Stopwatch},
};
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const STEP: &str = "class archives";
/// Starting and writing the archive takes 10 s on a small machine.
const LONGEST: Duration = Duration::from_mins(2);

/// The archive of a server's classes for this Java; without one, none.
pub(super) fn classes(kit: &Kit, server: &str) -> Result<Classes, StackError> {
    let archive = archive(kit, server)?;
    let usable = fs::metadata(&archive).is_ok_and(|it| it.len() > 0);
    Ok(if usable { Classes::Use(archive) } else { Classes::Unarchived })
}

fn archive(kit: &Kit, server: &str) -> Result<PathBuf, StackError> {
    Ok(kit.derived().join(format!("{server}-{}.jsa", java::fingerprint(&kit.derived())?)))
}

/// Whether nothing needs to be made.
pub(super) fn are_there(kit: &Kit) -> Result<bool, StackError> {
    Ok(kit.derived().join(FEATURES).exists()
        && archive(kit, "kafka")?.exists()
        && archive(kit, "registry")?.exists())
}

/// Makes what is not there yet. The caller has the lock of the cache.
pub(super) fn make(
    kit: &Kit,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<(), StackError> {
    if are_there(kit)? {
        return Ok(());
    }
    let watch = Stopwatch::start();
    progress.began(
        STEP,
        "Kafka and the schema registry to run once, so that they start twice as fast from now on",
    );
    let trial = kit.derived().join("trial");
    remove(&trial)?;
    fs::create_dir_all(&trial).map_err(StackError::io(format!("make {}", trial.display())))?;
    let free = || ports::free_port();

    let (kafka, registry) = (archive(kit, "kafka")?, archive(kit, "registry")?);
    let kafka_trial = Kafka {
        kit: kit.clone(),
        folder: trial.join("kafka"),
        log: trial.join("kafka.log"),
        port: free()?,
        controller_port: free()?,
        detours: Vec::new(),
        secure: None,
        classes: Classes::Write(trial.join("kafka.jsa")),
    };
    let registry_trial = Registry {
        kit: kit.clone(),
        folder: trial.join("registry"),
        log: trial.join("registry.log"),
        port: free()?,
        classes: Classes::Write(trial.join("registry.jsa")),
    };
    let features = kafka_trial.features(cancel)?;
    let copied = fs::copy(&features, trial.join(FEATURES));
    copied.map_err(StackError::io(format!("copy {}", features.display())))?;
    put(&trial.join(FEATURES), &kit.derived().join(FEATURES))?;
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| record(&kafka_trial, &trial.join("kafka.jsa"), &kafka, cancel));
        let other = record(&registry_trial, &trial.join("registry.jsa"), &registry, cancel);
        (one.join().unwrap_or(Err(StackError::Stopped)), other)
    });
    one.and(other)?;
    remove(&trial)?;
    progress.done(STEP, "made", watch.took());
    Ok(())
}

/// Runs a server until it answers, and keeps the classes that it loaded.
fn record(
    program: &dyn Program,
    made: &Path,
    archive: &Path,
    cancel: &CancellationToken,
) -> Result<(), StackError> {
    program.prepare(cancel)?;
    let process = Process::spawn(program.command()?, program.log(), |_| {})?;
    let deadline = Deadline::after(LONGEST);
    let what = step(program.server());
    await_answer(&process, &what, program.log(), deadline, cancel, || program.answers())?;
    process.stop(Signal::TERM, LONGEST);
    if !made.exists() {
        // Some builds of Java cannot: an empty file says so, and nobody tries again.
        fs::write(made, []).map_err(StackError::io(format!("write {}", made.display())))?;
    }
    put(made, archive)
}

/// Gives a finished file its name.
fn put(made: &Path, name: &Path) -> Result<(), StackError> {
    fs::rename(made, name).map_err(StackError::io(format!("make {}", name.display())))
}
