//! Where files are read: a folder, some of whose files a test may replace.
use super::{Error, at};
use serde::Deserialize as _;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

/// A folder of files.
#[derive(Debug, Clone)]
pub struct Files {
    root: PathBuf,
    instead: BTreeMap<PathBuf, String>,
}

impl Files {
    /// The files in a folder.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), instead: BTreeMap::new() }
    }

    /// The repository's own.
    #[must_use]
    pub fn of_the_repository() -> Self {
        Self::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
    }

    /// The same with another text in one file, or with one file more.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        self.instead.insert(path.into(), text.into());
        self
    }

    /// A file's text.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<String, Error> {
        let path = path.as_ref();
        match self.instead.get(path) {
            Some(text) => Ok(text.clone()),
            None => fs::read_to_string(self.root.join(path))
                .map_err(|error| at(path)(format!("cannot be read: {error}"))),
        }
    }

    /// The names of the folders in a folder, sorted.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn folders(&self, path: impl AsRef<Path>) -> Result<Vec<String>, Error> {
        let path = path.as_ref();
        let said = |error: std::io::Error| at(path)(format!("cannot be read: {error}"));
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(path)).map_err(said)? {
            let entry = entry.map_err(said)?;
            if entry.path().is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn is_folder(&self, path: &Path) -> bool {
        self.root.join(path).is_dir() || self.instead.keys().any(|it| it.parent() == Some(path))
    }

    /// The documents of a YAML file.
    ///
    /// # Errors
    /// If it cannot be read, or is no YAML.
    pub fn documents(&self, path: impl AsRef<Path>) -> Result<Vec<Value>, Error> {
        let path = path.as_ref();
        documents(&self.read(path)?).map_err(at(path))
    }
}

/// The documents of a YAML text; empty ones are none.
pub(super) fn documents(text: &str) -> Result<Vec<Value>, String> {
    let mut documents = Vec::new();
    for it in serde_norway::Deserializer::from_str(text) {
        // By way of YAML's own value, which refuses a key that comes twice.
        let it = serde_norway::Value::deserialize(it);
        let it = it.and_then(serde_norway::from_value::<Value>);
        let it = it.map_err(|error| format!("is no YAML: {error}"))?;
        if !it.is_null() {
            documents.push(it);
        }
    }
    Ok(documents)
}

/// A path relative to a folder, without `..` where it can be.
pub(super) fn join(folder: &Path, path: &str) -> PathBuf {
    let mut joined = folder.to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(joined.pop()),
            Component::CurDir => {}
            other => joined.push(other),
        }
    }
    joined
}
