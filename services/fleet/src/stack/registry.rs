//! The schema registry: Apicurio with its data in a file.
use super::{
    Kit, Server, StackError,
    java::{self, Classes},
    probe,
    program::Program,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tokio_util::sync::CancellationToken;

const HEAP_MB: u32 = 256;

pub(super) struct Registry {
    pub(super) kit: Kit,
    pub(super) folder: PathBuf,
    pub(super) log: PathBuf,
    pub(super) port: u16,
    pub(super) classes: Classes,
}

impl Registry {
    fn jar(&self) -> Result<PathBuf, StackError> {
        let folder = self.kit.registry();
        let doing = format!("find the registry in {}", folder.display());
        let files = fs::read_dir(&folder).map_err(StackError::io(&doing))?;
        let mut files = files.flatten().map(|it| it.path());
        let is_it = |it: &PathBuf| it.to_string_lossy().ends_with("-runner.jar");
        files.find(is_it).ok_or_else(|| StackError::io(doing)("there is no runner.jar"))
    }
}

impl Program for Registry {
    fn server(&self) -> Server {
        Server::Registry
    }

    fn prepare(&self, _cancel: &CancellationToken) -> Result<(), StackError> {
        let said = StackError::io(format!("make {}", self.folder.display()));
        fs::create_dir_all(&self.folder).map_err(said)
    }

    fn command(&self) -> Result<Command, StackError> {
        let mut command = java::command(HEAP_MB, &self.classes)?;
        command.arg("-jar").arg(self.jar()?).current_dir(&self.folder);
        // Ids that were handed out must survive even a kill: messages carry them. So nothing is written later.
        let data = format!("jdbc:h2:file:{}/data;WRITE_DELAY=0", self.folder.display());
        command.env("REGISTRY_DATASOURCE_URL", &data).env("QUARKUS_DATASOURCE_JDBC_URL", &data);
        command.env("QUARKUS_HTTP_HOST", "127.0.0.1");
        command.env("QUARKUS_HTTP_PORT", self.port.to_string());
        command.env("QUARKUS_BANNER_ENABLED", "false");
        Ok(command)
    }

    fn answers(&self) -> bool {
        probe::registry(self.port)
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}/apis/ccompat/v7", self.port)
    }

    fn log(&self) -> &Path {
        &self.log
    }
}
