//! `fleet.json`: where everything of a running fleet is, for scripts.
use super::{StackError, folder};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const FILE: &str = "fleet.json";

/// Where everything of a running fleet is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The process.
    pub pid: u32,
    /// Base address of HTTP: `/graphql`, `/` for the `GraphiQL` page, `/live`, `/ready`, `/metrics`.
    pub http: String,
    /// `host:port` of Kafka, several separated by commas.
    pub kafka: String,
    /// Address of the schema registry.
    pub registry: String,
    /// Address of the Postgres server.
    pub postgres: String,
    /// The data folder.
    pub data: PathBuf,
    /// The folder of the servers' logs.
    pub logs: PathBuf,
}

impl Description {
    /// Says where everything is; whether it is ready, its `/ready` tells. The file appears complete or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn publish(&self) -> Result<(), StackError> {
        let file = self.data.join(FILE);
        let said = || StackError::io(format!("write {}", file.display()));
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other);
        let new = file.with_extension("json.new");
        text.and_then(|text| fs::write(&new, text + "\n"))
            .and_then(|()| fs::rename(&new, &file))
            .map_err(said())
    }

    /// Says that the fleet is no longer there to be used.
    pub(super) fn withdraw(data: &Path) {
        let _ = fs::remove_file(data.join(FILE));
    }
}

/// What is known about the fleet of a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discovery {
    /// No process uses the folder.
    Stopped,
    /// A process uses the folder, but its services do not run yet, or not any more.
    Between {
        /// The process, if it says so.
        pid: Option<u32>,
    },
    /// Its services run, or are just being started.
    Known(Description),
}

/// Looks whether a fleet runs in a data folder. Does not trust a file that a killed fleet has left.
#[must_use]
pub fn discover(data: &Path) -> Discovery {
    let Some(folder::Holder { pid }) = folder::in_use(data) else { return Discovery::Stopped };
    let read = || serde_json::from_slice::<Description>(&fs::read(data.join(FILE)).ok()?).ok();
    match read() {
        Some(description) if Some(description.pid) == pid => Discovery::Known(description),
        _ => Discovery::Between { pid },
    }
}
