//! A deployable is a value in a list: alone in its process, or with others (architecture.md section 10).
use crate::{
    aggregator::{self, Aggregator, Keeper},
    clock::Clock,
    codec::Codec,
    config::Config,
    handler::{self, Handler},
    ids,
    kafka::Kafka,
    names::Names,
    port::{World, store::GenerationRow},
    postgres::Postgres,
    registry::HttpRegistry,
    status::Status,
    view::ViewDefinition,
};
use anyhow::Context as _;
use functions::{Context, Decider, Parts, View};
use futures::future::LocalBoxFuture;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What a service is given to live in. Cheap to clone.
#[derive(Clone)]
pub struct Shell {
    /// What it was told.
    pub config: Arc<Config>,
    /// Where it reports its state.
    pub status: Status,
    /// What time it is.
    pub clock: Clock,
    /// Frames and opens records.
    pub codec: Codec,
    /// The log.
    pub kafka: Kafka,
    /// The store.
    pub postgres: Postgres,
    /// Cancelled when it is time to finish.
    pub shutdown: CancellationToken,
}

impl Shell {
    /// What services live in, from the configuration. Nothing is connected yet.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(config: Config, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let registry = HttpRegistry::new(config.schema_registry_url.as_str())?;
        let clock = Clock::system();
        Ok(Self {
            status: Status::new(ids::new_id(), clock.clone()),
            clock,
            codec: Codec::new(registry),
            kafka: Kafka::new(&config),
            postgres: Postgres::new(&config),
            config: Arc::new(config),
            shutdown,
        })
    }

    fn world(&self) -> World<Kafka, Postgres> {
        let (log, store) = (self.kafka.clone(), self.postgres.clone());
        World { log, store, codec: self.codec.clone(), clock: self.clock.clone() }
    }

    /// What topics, groups and databases are called.
    #[must_use]
    pub fn names(&self) -> Names {
        Names::new(self.config.namespace.as_str())
    }
}

type Start = Box<dyn FnOnce(Shell) -> LocalBoxFuture<'static, anyhow::Result<()>> + Send>;

/// One deployable of the fleet.
pub struct Service {
    name: String,
    about: &'static str,
    threads: usize,
    start: Start,
}

impl Service {
    /// A service that runs on one thread of its own until it is told to stop. An error ends the process.
    pub fn new<F>(
        name: impl Into<String>,
        about: &'static str,
        start: impl FnOnce(Shell) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + 'static,
    {
        let start: Start = Box::new(move |shell| Box::pin(start(shell)));
        Self { name: name.into(), about, threads: 1, start }
    }

    /// With so many threads for what it spawns.
    #[must_use]
    pub fn on_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// What `flotilla run` calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it tells how it does; what only serves the others does not.
    pub(crate) fn reports(&self) -> bool {
        !self.about.is_empty()
    }

    /// What it does, in a line.
    #[must_use]
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// Runs it on the current thread.
    ///
    /// # Errors
    /// Whatever ended it before its time.
    pub fn run(self, shell: Shell) -> anyhow::Result<()> {
        let mut builder = if self.threads == 1 {
            tokio::runtime::Builder::new_current_thread()
        } else {
            tokio::runtime::Builder::new_multi_thread()
        };
        let runtime = builder.worker_threads(self.threads).enable_all().build()?;
        let result = runtime.block_on((self.start)(shell));
        // A blocking call to a server that does not answer must not hold up the end of the process.
        runtime.shutdown_timeout(std::time::Duration::from_millis(500));
        result.with_context(|| self.name)
    }
}

/// The deployable that decides the commands of a context.
#[must_use]
pub fn handler<C: Context>() -> Service {
    let name = format!("{}-handler", C::NAME);
    let report_as = name.clone();
    Service::new(
        name,
        "decides commands, writes events down, publishes them",
        move |shell| async move {
            let names = shell.names();
            shell.status.works_for(C::NAME);
            wait_for_topics(&shell, &[C::NAME]).await?;
            let config = &shell.config;
            let settings = handler::Settings {
                context: C::NAME,
                command_topic: names.commands(C::NAME),
                event_topic: names.events(C::NAME),
                reply_topic: names.replies(),
                group: names.handler_group(C::NAME),
                partitions: config.partitions,
                batch_max: usize::try_from(config.batch)?,
                cache_bytes: usize::try_from(config.cache_mb)? << 20,
                event_bytes_max: config.message_bytes(),
            };
            let report = shell.status.reporter(report_as);
            report.caught_up();
            let handler = Handler::new::<C>(settings, shell.world(), report)?;
            handler.run(shell.shutdown).await;
            Ok(())
        },
    )
}

/// The deployable that keeps the views of a context, each on a thread of its own.
#[must_use]
pub fn aggregator<C: Context>() -> Service {
    let name = format!("{}-aggregator", C::NAME);
    Service::new(name, "folds events into views", |shell| async move {
        shell.status.works_for(C::NAME);
        wait_for_topics(&shell, &[C::NAME]).await?;
        let mut loops = Loops { context: C::NAME, shell, threads: Vec::new() };
        C::parts(&mut loops);
        let threads = loops.threads;
        tokio::task::spawn_blocking(|| {
            threads.into_iter().try_for_each(|it| match it?.join() {
                Ok(result) => result,
                Err(_) => anyhow::bail!("a view's thread panicked"),
            })
        })
        .await?
    })
}

type Thread = std::thread::JoinHandle<anyhow::Result<()>>;

struct Loops {
    context: &'static str,
    shell: Shell,
    threads: Vec<anyhow::Result<Thread>>,
}

impl Parts for Loops {
    fn decider<D: Decider>(&mut self) -> &mut Self {
        self
    }

    fn view<V: View>(&mut self) -> &mut Self {
        let (shell, context) = (self.shell.clone(), self.context);
        let name = format!("{context}-aggregator/{}", V::TABLE);
        let service = Service::new(name, "", move |shell| keep::<V>(shell, context));
        let thread = std::thread::Builder::new().name(V::TABLE.to_owned());
        let shutdown = self.shell.shutdown.clone();
        let thread = thread.spawn(move || {
            // One that ends early, or panics, takes the process with it.
            let _stop = shutdown.drop_guard();
            service.run(shell)
        });
        self.threads.push(thread.context("cannot start a thread"));
        self
    }
}

async fn keep<V: View>(shell: Shell, context: &'static str) -> anyhow::Result<()> {
    let config = &shell.config;
    let settings = aggregator::Settings {
        namespace: config.namespace.as_str().to_owned(),
        partitions: config.partitions,
        batch_max: usize::try_from(config.batch)?,
        cache_rows: usize::try_from(config.cache_mb)? << 10,
        builders: std::thread::available_parallelism().map_or(1, usize::from).min(BUILDERS_MAX),
    };
    let view = ViewDefinition::of::<V>(context);
    let keeper = Keeper {
        view: view.clone(),
        settings: settings.clone(),
        store: shell.postgres.clone(),
        clock: shell.clock.clone(),
        status: shell.status.clone(),
    };
    let start = |row: GenerationRow, report, token| {
        let (settings, view) = (settings.clone(), view.clone());
        let name = format!("{}.{}", view.table, row.of.generation);
        let service = Service::new(name.clone(), "", move |shell| async move {
            let world = shell.world();
            Aggregator::<V, _, _>::open(settings, view, row, world, report)?.run(token).await;
            Ok(())
        });
        on_a_thread(name, service, shell.clone())
    };
    keeper.run(&shell.shutdown, start).await
}

/// Runs a service on a thread of its own, beginning now.
fn on_a_thread(
    name: String,
    service: Service,
    shell: Shell,
) -> impl Future<Output = anyhow::Result<()>> {
    let (send, ended) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name(name.clone());
    let thread = thread.spawn(move || drop(send.send(service.run(shell))));
    async move {
        thread.context("cannot start a thread")?;
        ended.await.unwrap_or_else(|_| Err(anyhow::anyhow!("the thread of {name} panicked")))
    }
}

/// Loops that build one generation in one process: each keeps a connection to Kafka and one to Postgres.
const BUILDERS_MAX: usize = 4;

/// Topics are created, or found to be as they must be; a broker that is away is waited for.
///
/// # Errors
/// If a topic is not as it must be.
pub async fn wait_for_topics(shell: &Shell, contexts: &[&str]) -> anyhow::Result<()> {
    let mut attempts = 0u32;
    loop {
        match shell.kafka.ensure_topics(&shell.config, contexts).await {
            Ok(()) => return Ok(()),
            Err(crate::kafka::TopicError::Away(why)) => {
                if attempts.is_multiple_of(10) {
                    tracing::warn!(%why, "waiting for kafka");
                }
            }
            Err(error) => return Err(error.into()),
        }
        attempts += 1;
        tokio::select! {
            biased;
            () = shell.shutdown.cancelled() => return Ok(()),
            () = shell.clock.sleep(std::time::Duration::from_millis(500)) => {}
        }
    }
}
