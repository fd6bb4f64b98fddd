//! The write side of a context as files, and back again.
//!
//! A backup is a folder: a file for each table in Postgres' text format, and a manifest that says what is in them. It is
//! of one instant, taken while the fleet runs. What is derived is not in it: snapshots, views, the topics.
mod manifest;
mod outcomes;

pub use manifest::{File, Manifest, ManifestError, Place};

use crate::{
    Shell,
    kafka::TopicError,
    port::{log::LogError, store::StoreError},
    postgres::{MigrateError, Renewal, Table},
};
use manifest::{MANIFEST, Reading, Writing};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// A backup that was not made, or not restored: nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something in the folder.
    #[error("{0} is not empty: name a folder that does not exist yet")]
    NotEmpty(PathBuf),
    /// A file cannot be written or read.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// See [`ManifestError`].
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It would become two histories.
    #[error(
        "the write side of {context} is not empty ({what}): restore into a fleet that has decided nothing yet, say with another --namespace"
    )]
    Occupied {
        /// The context.
        context: String,
        /// What is there.
        what: String,
    },
    /// Readers of the topic would see two histories.
    #[error(
        "the topic {topic} has {records} records: restore into a Kafka without events of this context (delete the topic, or use another --namespace)"
    )]
    TopicNotEmpty {
        /// The topic.
        topic: String,
        /// How many.
        records: i64,
    },
    /// Streams would move to other partitions.
    #[error(
        "the backup has {backup} partitions, and the fleet {fleet}: name them with --partitions {backup}"
    )]
    OtherPartitions {
        /// Of the backup.
        backup: i32,
        /// As configured.
        fleet: i32,
    },
    /// It is of a newer build.
    #[error(
        "this build has no table {table} with the columns {columns}: restore with the build that made the backup, or a newer one"
    )]
    UnknownTable {
        /// The table.
        table: String,
        /// Its columns.
        columns: String,
    },
    /// A row is missing, or refused.
    #[error("{table} took {found} of {expected} rows")]
    OtherCount {
        /// The table.
        table: String,
        /// As the manifest says.
        expected: u64,
        /// As the store says.
        found: u64,
    },
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See [`LogError`].
    #[error(transparent)]
    Log(#[from] LogError),
    /// See [`TopicError`].
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// See [`MigrateError`].
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

/// Is told how many bytes of which table were copied.
pub type Tell<'a> = &'a mut dyn FnMut(&str, u64);

/// Copies the write side of a context into a new folder. It appears under its name when it is complete.
///
/// # Errors
/// If the folder is not empty, a server does not answer, or a file cannot be written.
pub async fn backup(
    shell: &Shell,
    context: &str,
    folder: &Path,
    tell: Tell<'_>,
) -> Result<Manifest, BackupError> {
    if fs::read_dir(folder).is_ok_and(|mut it| it.next().is_some()) || folder.is_file() {
        return Err(BackupError::NotEmpty(folder.to_owned()));
    }
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(format!(".incomplete-{}", std::process::id()));
    let unfinished = folder.with_file_name(name);
    let made = fill(shell, context, &unfinished, tell).await;
    let made = made.and_then(|manifest| {
        let renamed = fs::rename(&unfinished, folder);
        renamed.map_err(|error| BackupError::File { path: folder.to_owned(), error })?;
        sync(folder.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok(manifest)
    });
    if made.is_err() {
        // Of no use to anybody; the error says why.
        let _ = fs::remove_dir_all(&unfinished);
    }
    made
}

async fn fill(
    shell: &Shell,
    context: &str,
    folder: &Path,
    tell: Tell<'_>,
) -> Result<Manifest, BackupError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| BackupError::File { path, error }
    };
    fs::create_dir_all(folder).map_err(at(folder))?;
    let snapshot = shell.postgres.snapshot(context).await?;
    let ledger = snapshot.ledger().await?;
    let mut files = Vec::new();
    for table in snapshot.tables().await? {
        let path = folder.join(Manifest::file_of(&table.name));
        let mut writing = Writing::create(&path).map_err(at(&path))?;
        let copied = snapshot.copy_out(&table, |bytes| {
            writing.write(bytes)?;
            tell(&table.name, writing.bytes());
            Ok(())
        });
        copied.await?;
        files.push(writing.finish(table).map_err(at(&path))?);
    }
    let manifest = Manifest::new(context, snapshot.now().await?, &ledger, files);
    let path = folder.join(MANIFEST);
    manifest.write(&path).map_err(at(&path))?;
    sync(folder)?;
    Ok(manifest)
}

fn sync(folder: &Path) -> Result<(), BackupError> {
    let synced = fs::File::open(folder).and_then(|it| it.sync_all());
    synced.map_err(|error| BackupError::File { path: folder.to_owned(), error })
}

/// How a write side goes on after it was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The backup may not have all that was decided: positions that were given out count no more (protocol.md W13).
    Another,
    /// Nothing was decided after the backup, which somebody knows: positions stay valid.
    Same,
}

/// Fills the empty write side of a context from a backup, which is checked before. Its handler publishes all events
/// then.
///
/// # Errors
/// If the backup is not what its manifest says, or the fleet is not empty; nothing was changed then.
pub async fn restore(
    shell: &Shell,
    context: &str,
    folder: &Path,
    life: Life,
    tell: Tell<'_>,
) -> Result<Manifest, BackupError> {
    let manifest = Manifest::read(folder, context)?;
    for it in &manifest.tables {
        manifest::verify(folder, it, &mut |bytes| tell(&it.table.name, bytes))?;
    }
    let fleet = shell.config.partitions;
    if manifest.partitions != 0 && manifest.partitions != fleet {
        return Err(BackupError::OtherPartitions { backup: manifest.partitions, fleet });
    }
    shell.postgres.migrate(context).await?;
    shell.kafka.ensure_topics(&shell.config, &[context]).await?;
    let (events, commands) = (shell.names().events(context), shell.names().commands(context));
    let there = shell.kafka.ends(&events, fleet).await?;
    let records: i64 = there.values().map(|(low, high)| high - low).sum();
    if records > 0 {
        return Err(BackupError::TopicNotEmpty { topic: events.to_string(), records });
    }
    let ends = shell.kafka.ends(&commands, fleet).await?;
    let ends: BTreeMap<i32, i64> = ends.into_iter().map(|(part, (_, high))| (part, high)).collect();
    let mut to = shell.postgres.restoration(context).await?;
    let there = to.tables().await?;
    for it in &manifest.tables {
        let known = there.iter().find(|known| known.name == it.table.name);
        let has_all = |known: &Table| it.table.columns.iter().all(|it| known.columns.contains(it));
        if !known.is_some_and(has_all) {
            let (table, columns) = (it.table.name.clone(), it.table.columns.join(", "));
            return Err(BackupError::UnknownTable { table, columns });
        }
    }
    if let Some(what) = to.occupied_by(&there).await? {
        return Err(BackupError::Occupied { context: context.to_owned(), what });
    }
    let incarnation = (life == Life::Another).then(|| shell.clock.now().timestamp_millis());
    let incarnation = incarnation.map(|it| it.max(manifest.incarnation() + 1));
    for it in &manifest.tables {
        let found = copy(folder, it, context, incarnation, &mut to, tell).await?;
        if found != it.rows {
            let (table, expected) = (it.table.name.clone(), it.rows);
            return Err(BackupError::OtherCount { table, expected, found });
        }
    }
    to.commit(Renewal { incarnation, ends: &ends }).await?;
    Ok(manifest)
}

async fn copy(
    folder: &Path,
    file: &File,
    context: &str,
    incarnation: Option<i64>,
    to: &mut crate::postgres::Restoration,
    tell: Tell<'_>,
) -> Result<u64, BackupError> {
    let path = folder.join(&file.file);
    let failed = |error| BackupError::File { path: path.clone(), error };
    let mut reading = Reading::open(&path).map_err(failed)?;
    let body = file.table.columns.iter().position(|it| it == "body");
    let renewal = incarnation.zip(body).filter(|_| file.table.name == "write.outcome");
    let copied = to.copy_in(&file.table, |bytes| {
        reading.lines(bytes)?;
        tell(&file.table.name, reading.bytes());
        if let Some((incarnation, body)) = renewal {
            *bytes = outcomes::renewed(bytes, body, context, incarnation);
        }
        Ok(())
    });
    Ok(copied.await?)
}
