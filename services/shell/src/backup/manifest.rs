//! What a backup says about itself, and whether that is so.
use crate::{codec::hex, port::store::LedgerRow, postgres::Table};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::{self, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
};

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const FORMAT: u32 = 1;
const KIND: &str = "flotilla backup";

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Says that the folder is a backup at all.
    pub kind: String,
    /// How the folder is to be read.
    pub format: u32,
    /// Whose write side it is.
    pub context: String,
    /// The instant that it is of.
    pub taken_at: DateTime<Utc>,
    /// Partitions of the context's topics.
    pub partitions: i32,
    /// Where each partition stood.
    pub ledger: Vec<Place>,
    /// The files.
    pub tables: Vec<File>,
}

/// Where a partition stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// Which life of the write side it was.
    pub incarnation: i64,
    /// The number of its last event.
    pub pseq: i64,
    /// The number of events that the topic had.
    pub published: i64,
    /// The offset of the first command that was not decided.
    pub next_offset: i64,
}

/// A table of the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Which, and its columns.
    #[serde(flatten)]
    pub table: Table,
    /// The name of the file in the folder.
    pub file: String,
    /// How many rows.
    pub rows: u64,
    /// How long the file is.
    pub bytes: u64,
    /// The hash of its bytes.
    pub sha256: String,
}

/// A folder that is no backup, or none that can be restored.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It has no manifest.
    #[error("{folder} is no backup: {MANIFEST} cannot be read there ({error})")]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The manifest is something else.
    #[error("{folder} is no backup: its {MANIFEST} is another one ({why})")]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It was made by another version.
    #[error(
        "the backup has format {found}, and this build reads {FORMAT}: restore it with the build that made it"
    )]
    OtherFormat {
        /// Its format.
        found: u32,
    },
    /// It is another context's.
    #[error("the backup is of {found}, not of {wanted}")]
    OtherContext {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// A file is not what was written.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How it differs from what the manifest says.
        why: String,
    },
}

impl Manifest {
    pub(super) fn new(
        context: &str,
        taken_at: DateTime<Utc>,
        ledger: &[LedgerRow],
        tables: Vec<File>,
    ) -> Self {
        let place = |it: &LedgerRow| Place {
            partition: it.part,
            incarnation: it.incarnation,
            pseq: it.pseq,
            published: it.published,
            next_offset: it.next_offset,
        };
        Self {
            kind: KIND.to_owned(),
            format: FORMAT,
            context: context.to_owned(),
            taken_at,
            partitions: ledger.iter().map(|it| it.part + 1).max().unwrap_or_default(),
            ledger: ledger.iter().map(place).collect(),
            tables,
        }
    }

    pub(super) fn file_of(table: &str) -> String {
        format!("{table}.copy")
    }

    /// The life of the write side.
    #[must_use]
    pub fn incarnation(&self) -> i64 {
        self.ledger.iter().map(|it| it.incarnation).max().unwrap_or_default()
    }

    /// How many events there are.
    #[must_use]
    pub fn events(&self) -> i64 {
        self.ledger.iter().map(|it| it.pseq).sum()
    }

    /// How long all files are together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|it| it.bytes).sum()
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = fs::File::create(path)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()
    }

    /// The manifest of a folder.
    ///
    /// # Errors
    /// If it is none that this build can restore into this context.
    pub fn read(folder: &Path, context: &str) -> Result<Self, ManifestError> {
        let text = fs::read_to_string(folder.join(MANIFEST));
        let text = text.map_err(|error| ManifestError::Missing { folder: folder.into(), error })?;
        let foreign = |why: String| ManifestError::Foreign { folder: folder.into(), why };
        // Before the rest, which another format may not have.
        let head: Head = serde_json::from_str(&text).map_err(|error| foreign(error.to_string()))?;
        if head.kind != KIND {
            return Err(foreign(format!("its kind is {:?}", head.kind)));
        }
        if head.format != FORMAT {
            return Err(ManifestError::OtherFormat { found: head.format });
        }
        let it: Self = serde_json::from_str(&text).map_err(|error| foreign(error.to_string()))?;
        if it.context != context {
            return Err(ManifestError::OtherContext { found: it.context, wanted: context.into() });
        }
        if let Some(odd) = it.tables.iter().find(|it| it.file != Self::file_of(&it.table.name)) {
            return Err(foreign(format!("{} is no file of {}", odd.file, odd.table.name)));
        }
        for needed in
            ["write.event", "write.ledger", "write.outcome", "write.claim", "write.schema"]
        {
            if it.tables.iter().filter(|it| it.table.name == needed).count() != 1 {
                return Err(foreign(format!("{needed} is not there once")));
            }
        }
        Ok(it)
    }
}

#[derive(Deserialize)]
struct Head {
    kind: String,
    format: u32,
}

/// A file that is being written, and what the manifest will say about it.
pub(super) struct Writing {
    file: io::BufWriter<fs::File>,
    name: String,
    hash: Sha256,
    bytes: u64,
    rows: u64,
}

impl Writing {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = io::BufWriter::with_capacity(1 << 18, fs::File::create_new(path)?);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { file, name, hash: Sha256::new(), bytes: 0, rows: 0 })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.rows += rows(bytes);
        self.file.write_all(bytes)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn finish(mut self, table: Table) -> io::Result<File> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        let Self { name: file, hash, bytes, rows, .. } = self;
        Ok(File { table, file, rows, bytes, sha256: hex(&hash.finalize()) })
    }
}

/// Every row ends with one, and none has one in its middle: there it is escaped.
fn rows(bytes: &[u8]) -> u64 {
    bytes.split(|it| *it == b'\n').count() as u64 - 1
}

/// Whether a file is what was written.
pub(super) fn verify(
    folder: &Path,
    file: &File,
    tell: &mut dyn FnMut(u64),
) -> Result<(), ManifestError> {
    let path = folder.join(&file.file);
    let damaged = |why: String| ManifestError::Damaged { path: path.clone(), why };
    let mut reading = Reading::open(&path).map_err(|error| damaged(error.to_string()))?;
    let (mut hash, mut count, mut bytes) = (Sha256::new(), 0, Vec::new());
    loop {
        bytes.clear();
        reading.lines(&mut bytes).map_err(|error| damaged(error.to_string()))?;
        if bytes.is_empty() {
            break;
        }
        hash.update(&bytes);
        count += rows(&bytes);
        tell(reading.bytes());
    }
    if reading.bytes() != file.bytes {
        return Err(damaged(format!("it has {} bytes, not {}", reading.bytes(), file.bytes)));
    }
    if count != file.rows {
        return Err(damaged(format!("it has {count} rows, not {}", file.rows)));
    }
    let found = hex(&hash.finalize());
    if found != file.sha256 {
        return Err(damaged(format!("its SHA-256 is {found}, not {}", file.sha256)));
    }
    Ok(())
}

/// A file that is being read.
pub(super) struct Reading {
    file: BufReader<fs::File>,
    bytes: u64,
}

impl Reading {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufReader::with_capacity(1 << 18, fs::File::open(path)?), bytes: 0 })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds the next lines, some hundred kilobytes of them; none at the end.
    pub(super) fn lines(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        let before = into.len();
        self.file.by_ref().take(PIECE).read_to_end(into)?;
        if into.last().is_some_and(|it| *it != b'\n') {
            io::BufRead::read_until(&mut self.file, b'\n', into)?;
        }
        self.bytes += (into.len() - before) as u64;
        Ok(())
    }
}

const PIECE: u64 = 1 << 18;
