//! The cache of what is fetched: whole, or not there.
//!
//! One folder for each content of the pom file. It is filled under another name, checked, given a list of its files with
//! their sizes, and only then renamed; the list is compared at every start. A lock file keeps others out meanwhile.
use super::{Progress, StackError, archives, fetch, timing::Deadline};
use sha2::{Digest as _, Sha256};
use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// What the stack and the page consist of, by coordinates.
pub(super) const POM: &str = include_str!("../../stack/pom.xml");
/// The list of files, written last.
const LIST: &str = "files";
/// Kafka and the registry are 200 MB; Maven keeps its own copy, and the class archives take another 100 MB.
const NEEDED_MB: u64 = 700;
/// As long as somebody else may take to fetch it.
const OTHERS: Duration = Duration::from_mins(30);

/// The fetched parts, complete.
#[derive(Debug, Clone)]
pub struct Kit {
    root: PathBuf,
}

impl Kit {
    /// The folder with Kafka's jars.
    pub(super) fn kafka(&self) -> PathBuf {
        self.root.join("kafka")
    }

    /// The folder with the registry.
    pub(super) fn registry(&self) -> PathBuf {
        self.root.join("registry")
    }

    /// The folder with the files of the `GraphiQL` page: `react.production.min.js`, `react-dom.production.min.js`,
    /// `graphiql.min.js` and `graphiql.min.css`.
    #[must_use]
    pub fn web(&self) -> PathBuf {
        self.root.join("web")
    }

    /// The folder for what is derived from the parts on this machine.
    pub(super) fn derived(&self) -> PathBuf {
        self.root.join("derived")
    }
}

/// The folder of all caches: `FLOTILLA_CACHE`, else the user's cache folder.
fn default_folder() -> Result<PathBuf, StackError> {
    let set = |name| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    set("FLOTILLA_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("flotilla")))
        .or_else(|| Some(set("HOME")?.join(".cache/flotilla")))
        .ok_or_else(|| StackError::Io {
            doing: "choose a cache folder".to_owned(),
            cause: "set FLOTILLA_CACHE: neither it, XDG_CACHE_HOME nor HOME is set".to_owned(),
        })
}

/// Fetches the packages unless they are there, whole; `None` is the user's cache folder. Blocks: minutes, the first time.
///
/// # Errors
/// Maven is missing or failed, or what it fetched is not whole.
pub fn fetch_packages(
    cache: Option<&Path>,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<Kit, StackError> {
    let (cache, kit) = place(cache)?;
    if !is_whole(&kit.root) {
        let _lock = lock(&cache, progress, cancel)?;
        // Somebody else may have done it meanwhile.
        if !is_whole(&kit.root) {
            refill(&cache, &kit, progress, cancel)?;
        }
    }
    Ok(kit)
}

/// Fetches the packages, and derives from them what makes the servers start faster on this machine. Blocks.
///
/// # Errors
/// What is missing, cannot be fetched, or is not whole.
pub fn prepare(
    cache: Option<&Path>,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<Kit, StackError> {
    let kit = fetch_packages(cache, progress, cancel)?;
    if !archives::are_there(&kit)? {
        let (cache, _) = place(cache)?;
        let _lock = lock(&cache, progress, cancel)?;
        archives::make(&kit, progress, cancel)?;
    }
    Ok(kit)
}

/// The folder of all caches, and the one of this pom file in it.
fn place(cache: Option<&Path>) -> Result<(PathBuf, Kit), StackError> {
    let cache = cache.map_or_else(default_folder, |it| Ok(it.to_owned()))?;
    let doing = format!("use the cache folder {}", cache.display());
    let cache = std::path::absolute(&cache).map_err(StackError::io(&doing))?;
    // A colon ends an entry of Java's class path.
    if cache.to_str().is_none_or(|it| it.contains([':', '*'])) {
        return Err(StackError::io(doing)("its path has a colon, a star or unreadable letters"));
    }
    let kit = Kit { root: cache.join(key()) };
    Ok((cache, kit))
}

/// Names the cache of this pom file.
fn key() -> String {
    Sha256::digest(POM).iter().take(6).fold(String::new(), |mut key, byte| {
        let _ = write!(key, "{byte:02x}");
        key
    })
}

/// Keeps other processes from changing this cache, as long as the file lives.
fn lock(
    cache: &Path,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<File, StackError> {
    fs::create_dir_all(cache).map_err(StackError::io(format!("make {}", cache.display())))?;
    let path = cache.join(format!("{}.lock", key()));
    let said = || StackError::io(format!("lock {}", path.display()));
    let file = File::options().create(true).append(true).open(&path).map_err(said())?;
    let deadline = Deadline::after(OTHERS);
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::Error(error)) => return Err(said()(error)),
            Err(fs::TryLockError::WouldBlock) if cancel.is_cancelled() => {
                return Err(StackError::Stopped);
            }
            Err(fs::TryLockError::WouldBlock) if deadline.passed() => {
                return Err(StackError::io(format!("lock {}", path.display()))(
                    "another process has held it for half an hour",
                ));
            }
            Err(fs::TryLockError::WouldBlock) => {
                if !told {
                    progress.goes_on("packages", "another fleet is fetching them");
                }
                told = true;
                std::thread::park_timeout(Duration::from_millis(100));
            }
        }
    }
}

/// Fetches everything anew, beside what is there, and puts it in its place.
fn refill(
    cache: &Path,
    kit: &Kit,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<(), StackError> {
    super::folder::require_space(cache, NEEDED_MB, "FLOTILLA_CACHE")?;
    let part = kit.root.with_extension("part");
    // We have the lock: whatever is there was left by a fetch that was cut short.
    remove(&part)?;
    fs::create_dir_all(&part).map_err(StackError::io(format!("make {}", part.display())))?;
    fetch::into(&part, &cache.join("fetch.log"), progress, cancel)?;
    fs::write(part.join(LIST), list(&part)?)
        .map_err(StackError::io(format!("write {}", part.join(LIST).display())))?;
    remove(&kit.root)?;
    fs::rename(&part, &kit.root).map_err(StackError::io(format!("make {}", kit.root.display())))
}

/// Deletes a folder, if it is there.
pub(super) fn remove(folder: &Path) -> Result<(), StackError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StackError::io(format!("delete {}", folder.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Every fetched file with its size, one a line.
fn list(root: &Path) -> Result<String, StackError> {
    let mut lines = Vec::new();
    for path in fetch::files(root)? {
        let said = StackError::io(format!("look at {}", path.display()));
        let size = fs::metadata(&path).map_err(said)?.len();
        let name = path.strip_prefix(root).unwrap_or(&path);
        lines.push(format!("{size} {}\n", name.display()));
    }
    lines.sort();
    Ok(lines.concat())
}

/// Every file on the list is there, with its size.
fn is_whole(root: &Path) -> bool {
    let Ok(list) = fs::read_to_string(root.join(LIST)) else { return false };
    !list.is_empty()
        && list.lines().all(|line| {
            let Some((size, name)) = line.split_once(' ') else { return false };
            fs::metadata(root.join(name)).is_ok_and(|it| it.len().to_string() == size)
        })
}
