//! The programs of the distribution that the stack is made with.
use super::StackError;
use rustix::process::geteuid;
use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where the packages of Debian put the programs of each version of Postgres.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";
/// The version that everything is tested with.
const POSTGRES_VERSION: u32 = 15;

/// A program of the search path.
fn find(
    program: &str,
    purpose: &'static str,
    package: &'static str,
) -> Result<PathBuf, StackError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(program)).find(|it| it.is_file());
    found.ok_or_else(|| StackError::Missing { program: program.to_owned(), purpose, package })
}

/// Java, which Kafka and the registry run on.
pub(super) fn java() -> Result<PathBuf, StackError> {
    let home = env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    match home.filter(|it| it.is_file()) {
        Some(java) => Ok(java),
        None => find("java", "Kafka and the schema registry", "openjdk-17-jre-headless"),
    }
}

/// Maven, which fetches them.
pub(super) fn maven() -> Result<PathBuf, StackError> {
    find("mvn", "fetching Kafka and the schema registry", "maven")
}

/// The client of Postgres.
pub(super) fn psql() -> Result<PathBuf, StackError> {
    find("psql", "asking the databases", "postgresql-client")
}

/// A command that gets `death` as soon as the thread that starts it is gone, even by `kill -9`.
pub(crate) fn mortal(death: &str, program: impl AsRef<OsStr>) -> Result<Command, StackError> {
    let setpriv = find("setpriv", "ending the servers together with the fleet", "util-linux")?;
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", death]).arg(program);
    Ok(command)
}

/// The programs of Postgres, and the user they run as.
pub(super) struct Postgres {
    /// Where its programs are.
    pub(super) programs: PathBuf,
    /// Postgres refuses to run as root: it is then this user.
    pub(super) user: Option<User>,
}

/// A user of the system.
pub(super) struct User {
    pub(super) name: &'static str,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Postgres {
    /// Finds the programs that can run a cluster of the given major version; without one, the version we prefer.
    pub(super) fn find(cluster: Option<u32>) -> Result<Self, StackError> {
        let missing = |program: String| StackError::Missing {
            program,
            purpose: "the databases",
            package: "postgresql-15",
        };
        let installed = installed();
        let programs = match cluster {
            Some(version) => {
                installed.into_iter().find(|(it, _)| *it == version).ok_or_else(|| {
                    missing(format!("Postgres {version}, which made this data folder,"))
                })
            }
            None => installed
                .into_iter()
                .max_by_key(|(version, _)| (*version == POSTGRES_VERSION, *version))
                .ok_or_else(|| missing("Postgres".to_owned())),
        };
        let user = if geteuid().is_root() {
            Some(postgres_user().ok_or_else(|| missing("the user postgres".to_owned()))?)
        } else {
            None
        };
        Ok(Self { programs: programs?.1, user })
    }

    /// A command of Postgres, as the user it runs as.
    pub(super) fn command(&self, death: &str, program: &str) -> Result<Command, StackError> {
        let mut command = match &self.user {
            None => return mortal(death, self.programs.join(program)),
            Some(user) => mortal(death, format!("--reuid={}", user.uid))?,
        };
        if let Some(user) = &self.user {
            command.arg(format!("--regid={}", user.gid)).arg("--clear-groups");
            command.env("HOME", "/").env("USER", user.name).env("LOGNAME", user.name);
        }
        command.arg(self.programs.join(program));
        Ok(command)
    }
}

fn installed() -> Vec<(u32, PathBuf)> {
    let debian = fs::read_dir(POSTGRES_VERSIONS).into_iter().flatten().flatten();
    let debian = debian.map(|it| it.path().join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let path: Vec<_> = env::split_paths(&path).collect();
    path.into_iter().chain(debian).filter_map(|folder| Some((version(&folder)?, folder))).collect()
}

/// The major version of the server in a folder, if there is one.
fn version(programs: &Path) -> Option<u32> {
    let server = programs.join("postgres");
    if !server.is_file() || !programs.join("initdb").is_file() {
        return None;
    }
    let said = Command::new(server).arg("--version").output().ok()?;
    // As in "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
    let said = String::from_utf8(said.stdout).ok()?;
    said.split_once("(PostgreSQL) ")?.1.split(['.', ' ', 'd', 'b', 'r']).next()?.trim().parse().ok()
}

fn postgres_user() -> Option<User> {
    const NAME: &str = "postgres";
    let users = fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let is_it = *fields.first()? == NAME;
        let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        is_it.then_some(User { name: NAME, uid, gid })
    })
}
