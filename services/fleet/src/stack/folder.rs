//! The data folder: one fleet at a time, and nothing in it that is not ours.
use super::{StackError, cache::remove, leftovers, tools::User};
use rustix::{fs::statvfs, process::Pid};
use sha2::{Digest as _, Sha256};
use std::{
    env,
    fmt::Write as _,
    fs::{self, File, Permissions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    },
    path::{Path, PathBuf},
};

/// Locked by the process that uses the folder, has its pid, and marks the folder as ours.
const LOCK: &str = "lock";
/// Everything a fleet writes into its folder.
const OURS: [&str; 7] = ["fleet.json", "kafka", "logs", "ports", "postgres", "registry", LOCK];
/// Where Postgres goes when its user may not enter the data folder.
const SHARED: &str = "/var/lib/flotilla";
/// The longest path of a Unix socket on Linux.
const SOCKET_PATH_BYTES: usize = 107;

/// A data folder that is ours alone as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    lock: File,
}

impl Folder {
    /// Makes the folder if need be, and keeps others out.
    pub(super) fn open(data: &Path) -> Result<Self, StackError> {
        let unfit = |reason: String| StackError::Unfit { data: data.into(), reason };
        fs::create_dir_all(data).map_err(|it| unfit(it.to_string()))?;
        let root = data.canonicalize().map_err(|it| unfit(it.to_string()))?;
        // These end a path in the settings of Kafka or of the registry.
        if root.to_str().is_none_or(|it| it.contains([',', ';', ':', '\n', '\r'])) {
            return Err(unfit(
                "its path has a comma, a semicolon, a colon or unreadable letters".to_owned(),
            ));
        }
        let is_ours = root.join(LOCK).exists();
        if !is_ours && fs::read_dir(&root).map_err(|it| unfit(it.to_string()))?.next().is_some() {
            return Err(StackError::NotOurs { data: root.as_path().into() });
        }
        let open = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(root.join(LOCK));
        let mut lock = open.map_err(|it| unfit(it.to_string()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StackError::InUse {
                    data: root.as_path().into(),
                    pid: user(&mut lock),
                });
            }
            Err(TryLockError::Error(error)) => return Err(unfit(error.to_string())),
        }
        let written = lock
            .set_len(0)
            .and_then(|()| lock.write_all(format!("{}\n", std::process::id()).as_bytes()));
        written.map_err(|it| unfit(it.to_string()))?;
        Ok(Self { root, lock })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A folder of its own for a server; not made yet.
    pub(super) fn server(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A folder in the data folder.
    pub(super) fn make(&self, name: &str) -> Result<PathBuf, StackError> {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder)
            .map_err(StackError::io(format!("make {}", folder.display())))?;
        Ok(folder)
    }

    /// Postgres's own folder, belonging to the user it runs as. It is elsewhere, and linked, when that user may not enter
    /// the data folder, as in a home of root.
    pub(super) fn postgres(&self, user: Option<&User>) -> Result<PathBuf, StackError> {
        let link = self.root.join("postgres");
        let said = || StackError::io(format!("make the folder of Postgres, {}", link.display()));
        if !link.exists() {
            match user {
                Some(user) if !may_enter(&self.root, user) => {
                    let elsewhere = Path::new(SHARED).join(short_hash(&self.root));
                    // Whoever had it is gone: the data folder that it belonged to is another one now.
                    leftovers::end_in(&elsewhere)?;
                    remove(&elsewhere)?;
                    fs::create_dir_all(&elsewhere).map_err(said())?;
                    let open = Permissions::from_mode(0o755);
                    fs::set_permissions(SHARED, open).map_err(said())?;
                    let _ = fs::remove_file(&link);
                    symlink(&elsewhere, &link).map_err(said())?;
                }
                _ => fs::create_dir_all(&link).map_err(said())?,
            }
        }
        let folder = link.canonicalize().map_err(said())?;
        if let Some(user) = user {
            chown(&folder, Some(user.uid), Some(user.gid)).map_err(said())?;
        }
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(said())?;
        Ok(folder)
    }

    /// A folder for Postgres's socket, whose path must be short.
    pub(super) fn sockets(
        &self,
        postgres: &Path,
        user: Option<&User>,
    ) -> Result<PathBuf, StackError> {
        if postgres.as_os_str().len() + "/.s.PGSQL.65535.lock".len() <= SOCKET_PATH_BYTES {
            return Ok(postgres.to_owned());
        }
        let short = env::temp_dir().join(format!("flotilla-{}", short_hash(&self.root)));
        let said = || StackError::io(format!("make {}", short.display()));
        fs::create_dir_all(&short).map_err(said())?;
        if let Some(user) = user {
            chown(&short, Some(user.uid), Some(user.gid)).map_err(said())?;
        }
        fs::set_permissions(&short, Permissions::from_mode(0o700)).map_err(said())?;
        Ok(short)
    }

    /// Ends what a former fleet left running here, and says how many servers that were.
    pub(super) fn end_leftovers(&self) -> Result<usize, StackError> {
        let postgres = self.root.join("postgres");
        Ok(leftovers::end_in(&self.root)? + leftovers::end_in(&postgres)?)
    }

    /// Deletes all that is ours.
    fn delete(self) -> Result<(), StackError> {
        for name in OURS {
            let path = self.root.join(name);
            let said = StackError::io(format!("delete {}", path.display()));
            let kind = fs::symlink_metadata(&path).map(|it| it.file_type());
            match kind {
                Err(_) => Ok(()),
                Ok(kind) if kind.is_symlink() => {
                    if let Ok(elsewhere) = path.canonicalize().as_deref()
                        && elsewhere.starts_with(SHARED)
                    {
                        remove(elsewhere)?;
                    }
                    fs::remove_file(&path)
                }
                Ok(kind) if kind.is_dir() => fs::remove_dir_all(&path),
                Ok(_) => fs::remove_file(&path),
            }
            .map_err(said)?;
        }
        // Only when nobody else has put anything there.
        let _ = fs::remove_dir(&self.root);
        drop(self.lock);
        Ok(())
    }
}

/// Deletes the data of a fleet that is not running, with what it may have left running. False: there was nothing.
///
/// # Errors
/// The folder is in use, or is not the data folder of a fleet.
pub fn reset(data: &Path) -> Result<bool, StackError> {
    if !data.exists() {
        return Ok(false);
    }
    let folder = Folder::open(data)?;
    folder.end_leftovers()?;
    folder.delete()?;
    Ok(true)
}

/// A process that uses a data folder.
pub(super) struct Holder {
    /// Its number, if it says so.
    pub(super) pid: Option<u32>,
}

/// The process that uses a folder now, if one does. A lock goes with its process, so what it says is true.
pub(super) fn in_use(data: &Path) -> Option<Holder> {
    let mut lock = File::options().read(true).open(data.join(LOCK)).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(Holder { pid: user(&mut lock) }),
        _ => None,
    }
}

fn user(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.read_to_string(&mut text).ok()?;
    let pid = text.trim().parse::<i32>().ok()?;
    Pid::from_raw(pid)?;
    u32::try_from(pid).ok()
}

/// Fails early, with numbers, rather than somewhere within a server.
pub(super) fn require_space(
    folder: &Path,
    needed_mb: u64,
    option: &'static str,
) -> Result<(), StackError> {
    let doing = format!("ask how full the disk of {} is", folder.display());
    let disk = statvfs(folder).map_err(StackError::io(doing))?;
    let free_mb = disk.f_bavail.saturating_mul(disk.f_frsize) / 1_000_000;
    if free_mb < needed_mb {
        return Err(StackError::Disk { folder: folder.into(), free_mb, needed_mb, option });
    }
    Ok(())
}

fn may_enter(folder: &Path, user: &User) -> bool {
    folder.ancestors().all(|it| {
        fs::metadata(it).is_ok_and(|it| {
            let bit = match () {
                () if it.uid() == user.uid => 0o100,
                () if it.gid() == user.gid => 0o010,
                () => 0o001,
            };
            it.mode() & bit != 0
        })
    })
}

fn short_hash(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_bytes());
    digest.iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
