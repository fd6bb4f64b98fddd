//! The running stack.
use super::{
    Description, Kit, Progress, Server, StackError, archives, cache,
    folder::{Folder, require_space},
    kafka::{Detour, Kafka, SecureWay},
    leftovers, ports,
    postgres::{self, Postgres},
    process::Process,
    program::{self, Program, step},
    registry::Registry,
    tools,
};
use rustix::process::{Signal, kill_process};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tokio::{sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

/// What a fresh data folder needs, and some to work with.
const NEEDED_MB: u64 = 500;
/// How long a server may take to end in order.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where the servers listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ports {
    /// Always at the same places: Kafka 19092 (its controller 19093), the registry 18081, Postgres 15432.
    #[default]
    Fixed,
    /// Wherever it is free; remembered in the data folder for the next start.
    Auto,
}

/// Servers to use instead of starting them, one by one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct External {
    /// `host:port` of Kafka, several separated by commas.
    pub kafka: Option<String>,
    /// Address of the schema registry's Confluent API.
    pub registry: Option<String>,
    /// Address of the Postgres server.
    pub postgres: Option<String>,
}

impl External {
    fn address(&self, server: Server) -> Option<&String> {
        match server {
            Server::Registry => self.registry.as_ref(),
            Server::Kafka => self.kafka.as_ref(),
            Server::Postgres => self.postgres.as_ref(),
        }
    }
}

/// How a stack is to be.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// Everything that lasts is in this folder. It is made if need be.
    pub data: PathBuf,
    /// Where the servers listen.
    pub ports: Ports,
    /// Servers to use instead.
    pub external: External,
    /// Where fetched packages are kept; the user's cache folder unless given.
    pub cache: Option<PathBuf>,
    /// More ways to our own Kafka.
    pub detours: Vec<Detour>,
    /// And one where one has to sign in.
    pub secure: Option<SecureWay>,
}

/// Where the three servers are, ours or others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// `host:port` of Kafka, several separated by commas.
    pub kafka_brokers: String,
    /// Address of the schema registry's Confluent API.
    pub schema_registry_url: String,
    /// Address of the Postgres server. Ours is reached through its socket, and by TCP where `host` is left out.
    pub database_url: String,
}

/// The three servers, as long as this lives: dropping it ends them at once, [`stop`](Self::stop) in order.
pub struct Stack {
    inner: Arc<Inner>,
}

struct Inner {
    folder: Folder,
    addresses: Addresses,
    kit: Option<Kit>,
    programs: BTreeMap<Server, Box<dyn Program>>,
    running: Mutex<BTreeMap<Server, Process>>,
    /// What ended although nobody wanted it to.
    exited: watch::Sender<Option<StackError>>,
}

impl Stack {
    /// Starts what is not given by address, all at the same time, and waits until each answers. The first time it fetches
    /// the packages, which takes minutes. Dropping the future ends what it has started.
    ///
    /// # Errors
    /// What is missing, in use, or did not start; nothing is left running then.
    pub async fn start(
        options: StackOptions,
        progress: Arc<dyn Progress>,
    ) -> Result<Self, StackError> {
        let cancel = CancellationToken::new();
        let _guard = cancel.clone().drop_guard();
        let start = move || Self::start_blocking(&options, &*progress, &cancel);
        spawn_blocking(start).await.unwrap_or(Err(StackError::Stopped))
    }

    /// [`start`](Self::start) for a thread that may block.
    pub(super) fn start_blocking(
        options: &StackOptions,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<Self, StackError> {
        let folder = Folder::open(&options.data)?;
        Description::withdraw(folder.root());
        let ended = folder.end_leftovers()?;
        if ended > 0 {
            progress.goes_on(
                "data folder",
                &format!("ended {ended} processes that a former fleet had left"),
            );
        }
        let wanted: Vec<_> =
            Server::ALL.into_iter().filter(|it| options.external.address(*it).is_none()).collect();
        if !wanted.is_empty() {
            require_space(folder.root(), NEEDED_MB, "--data")?;
        }
        let with_java = wanted.iter().any(|it| *it != Server::Postgres);
        // Everything that is missing is said before anything is fetched.
        if wanted.contains(&Server::Postgres) {
            tools::Postgres::find(None)?;
        }
        let kit = if with_java {
            Some(cache::prepare(options.cache.as_deref(), progress, cancel)?)
        } else {
            None
        };
        let mut programs = BTreeMap::<_, Box<dyn Program>>::new();
        for server in wanted {
            programs.insert(server, program_of(server, &folder, kit.as_ref(), options)?);
        }
        let address = |server| {
            let ours = || programs.get(&server).map(|it| it.address());
            options.external.address(server).cloned().or_else(ours).unwrap_or_default()
        };
        let addresses = Addresses {
            kafka_brokers: address(Server::Kafka),
            schema_registry_url: address(Server::Registry),
            database_url: address(Server::Postgres),
        };
        let running = Mutex::default();
        let exited = watch::Sender::default();
        let inner = Arc::new(Inner { folder, addresses, kit, programs, running, exited });
        inner.start_all(progress, cancel)?;
        Ok(Self { inner })
    }

    /// Where the three servers are.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.inner.addresses
    }

    /// The data folder, in full.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.inner.folder.root()
    }

    /// The folder of the servers' logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.data().join("logs")
    }

    /// The fetched packages, if any of ours needed them.
    #[must_use]
    pub fn kit(&self) -> Option<&Kit> {
        self.inner.kit.as_ref()
    }

    /// The servers that this stack runs itself, with the address and the log of each.
    #[must_use]
    pub fn servers(&self) -> Vec<(Server, String, PathBuf)> {
        let all = self.inner.programs.iter();
        all.map(|(server, it)| (*server, it.address(), it.log().to_owned())).collect()
    }

    /// A port for something else of this fleet: free, and the same at the next start if it still is.
    ///
    /// # Errors
    /// There is none.
    pub fn remembered_port(&self, name: &str) -> Result<u16, StackError> {
        ports::remembered(&self.inner.folder.make("ports")?.join(name))
    }

    /// Returns when a server has ended although nobody wanted it to: which, and why.
    pub async fn exited(&self) -> StackError {
        let mut exited = self.inner.exited.subscribe();
        let error = exited.wait_for(Option::is_some).await;
        error.ok().and_then(|it| it.clone()).unwrap_or(StackError::Stopped)
    }

    /// Ends the registry, Kafka and Postgres, in this order, and gives the folder back. What does not go is killed.
    pub async fn stop(self, progress: Arc<dyn Progress>) {
        let inner = Arc::clone(&self.inner);
        let _ = spawn_blocking(move || inner.stop_all(&*progress)).await;
    }

    /// Ends a server at once, with all its processes, as a power cut would.
    pub async fn kill(&self, server: Server) {
        let inner = Arc::clone(&self.inner);
        let _ = spawn_blocking(move || inner.kill(server)).await;
    }

    /// Ends a server by a signal, or at once if it does not go.
    pub(crate) async fn end_by(&self, server: Server, signal: Signal) {
        let inner = Arc::clone(&self.inner);
        let end = move || inner.take(server).map(|it| it.stop(signal, PATIENCE));
        let _ = spawn_blocking(end).await;
    }

    /// Starts a server again after [`kill`](Self::kill), at the same address with the same data.
    ///
    /// # Errors
    /// It did not start, or is none of ours.
    pub async fn start_again(&self, server: Server) -> Result<(), StackError> {
        let inner = Arc::clone(&self.inner);
        let cancel = CancellationToken::new();
        let _guard = cancel.clone().drop_guard();
        let start = move || inner.start(server, &(), &cancel);
        spawn_blocking(start).await.unwrap_or(Err(StackError::Stopped))
    }

    /// Freezes a server, with all its processes: it keeps its connections and answers nothing.
    pub fn pause(&self, server: Server) {
        self.inner.signal_family(server, Signal::STOP);
    }

    /// Thaws a server after [`pause`](Self::pause).
    pub fn resume(&self, server: Server) {
        self.inner.signal_family(server, Signal::CONT);
    }
}

fn program_of(
    server: Server,
    folder: &Folder,
    kit: Option<&Kit>,
    options: &StackOptions,
) -> Result<Box<dyn Program>, StackError> {
    let port = |name: &str, fixed| match options.ports {
        Ports::Fixed => ports::require(server, fixed),
        Ports::Auto => ports::remembered(&folder.make("ports")?.join(name)),
    };
    let log = folder.make("logs")?.join(format!("{}.log", server.slug()));
    let kit = || kit.cloned().ok_or(StackError::Stopped);
    Ok(match server {
        Server::Kafka => Box::new(Kafka {
            kit: kit()?,
            folder: folder.server("kafka"),
            log,
            port: port("kafka", 19092)?,
            controller_port: port("kafka-controller", 19093)?,
            detours: options.detours.clone(),
            secure: options.secure.clone(),
            classes: archives::classes(&kit()?, "kafka")?,
        }),
        Server::Registry => Box::new(Registry {
            kit: kit()?,
            folder: folder.server("registry"),
            log,
            port: port("registry", 18081)?,
            classes: archives::classes(&kit()?, "registry")?,
        }),
        Server::Postgres => {
            let tools =
                tools::Postgres::find(postgres::cluster_version(&folder.server("postgres")))?;
            let home = folder.postgres(tools.user.as_ref())?;
            let sockets = folder.sockets(&home, tools.user.as_ref())?;
            Box::new(Postgres { tools, folder: home, sockets, log, port: port("postgres", 15432)? })
        }
    })
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Server, Process>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts all of ours side by side. The first error ends the others.
    fn start_all(
        self: &Arc<Self>,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<(), StackError> {
        let together = cancel.child_token();
        let start = |server: Server| {
            self.start(server, progress, &together).inspect_err(|_| together.cancel())
        };
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                self.programs.keys().map(|server| scope.spawn(|| start(*server))).collect();
            threads.into_iter().map(|it| it.join().unwrap_or(Err(StackError::Stopped))).collect()
        });
        let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        // Those that were stopped because of the first error have nothing to say.
        let first = errors.iter().find(|it| !matches!(it, StackError::Stopped));
        first.or(errors.first()).cloned().map_or(Ok(()), Err)
    }

    fn start(
        self: &Arc<Self>,
        server: Server,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<(), StackError> {
        let program = self.programs.get(&server).ok_or_else(|| StackError::Io {
            doing: format!("start {server}"),
            cause: "it is not one of this stack's own servers".to_owned(),
        })?;
        let watcher = Arc::downgrade(self);
        let process = program::start(&**program, progress, cancel, move |status| {
            // Whoever ends a server takes it off the list first.
            if let Some(inner) = watcher.upgrade()
                && inner.lock().contains_key(&server)
            {
                inner.tell_end(server, status);
            }
        })?;
        let mut running = self.lock();
        // It may have ended since it answered, before it was on the list.
        if let Some(status) = process.wait(Duration::ZERO) {
            self.tell_end(server, status);
        }
        running.insert(server, process);
        Ok(())
    }

    fn tell_end(&self, server: Server, status: ExitStatus) {
        if let Some(program) = self.programs.get(&server) {
            self.exited.send_replace(Some(program::ended(&step(server), status, program.log())));
        }
    }

    fn take(&self, server: Server) -> Option<Process> {
        self.lock().remove(&server)
    }

    fn kill(&self, server: Server) {
        if let Some(process) = self.take(server) {
            end_family(&process);
        }
    }

    fn signal_family(&self, server: Server, signal: Signal) {
        if let Some(process) = self.lock().get(&server) {
            for pid in leftovers::family(process.pid()) {
                let _ = kill_process(pid, signal);
            }
        }
    }

    fn stop_all(&self, progress: &dyn Progress) {
        Description::withdraw(self.folder.root());
        for server in Server::ALL {
            let (Some(process), Some(program)) = (self.take(server), self.programs.get(&server))
            else {
                continue;
            };
            let watch = super::Stopwatch::start();
            progress.began(&step(server), "it to stop");
            let in_order = process.stop(program.stop_signal(), PATIENCE);
            let result = if in_order { "stopped" } else { "killed: it did not stop" };
            progress.done(&step(server), result, watch.took());
        }
    }
}

/// Ends a process and all that descend from it.
fn end_family(process: &Process) {
    let family = leftovers::family(process.pid());
    process.signal(Signal::KILL);
    for pid in family.into_iter().skip(1) {
        let _ = kill_process(pid, Signal::KILL);
    }
    process.kill();
}

impl Drop for Inner {
    fn drop(&mut self) {
        Description::withdraw(self.folder.root());
        for (_, process) in std::mem::take(&mut *self.lock()) {
            end_family(&process);
        }
    }
}
