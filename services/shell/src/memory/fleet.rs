//! The whole write and read side of contexts in one process, without servers.
use super::{Faults, MemoryLog, MemoryRegistry, MemoryStore};
use crate::{
    aggregator::{self, Aggregator, Keeper},
    client::{self, Client, feeds, follow_replies, look_up_late_replies},
    clock::Clock,
    codec::Codec,
    handler::{self, Handler},
    names::Names,
    port::World,
    status::Status,
    view::{ViewDefinition, views_of},
};
use functions::{Context, Decider, Parts, View};
use futures::future::LocalBoxFuture;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Servers in memory, and the services that run on them. Everything runs on the current thread: call it within a
/// [`tokio::task::LocalSet`].
#[derive(Clone)]
pub struct Fleet {
    /// The log; can be told to misbehave.
    pub log: MemoryLog,
    /// The store; can be told to misbehave.
    pub store: MemoryStore,
    /// The schema registry; can be told to misbehave.
    pub registry: MemoryRegistry,
    /// What the services report.
    pub status: Status,
    clock: Clock,
    options: FleetOptions,
    /// How many clients there are, so that each has an id of its own.
    clients: Arc<AtomicU32>,
}

/// How a fleet in memory is laid out.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// Partitions of every topic.
    pub partitions: i32,
    /// The most records that one transaction takes in.
    pub batch_max: usize,
    /// Memory of a handler's cache.
    pub cache_bytes: usize,
    /// The largest command or event.
    pub message_bytes: usize,
    /// How many commands may wait for their answers.
    pub in_flight_max: usize,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            partitions: 3,
            batch_max: 100,
            cache_bytes: 1 << 20,
            message_bytes: 100_000,
            in_flight_max: 1000,
        }
    }
}

/// A service that runs; dropping it changes nothing.
pub struct Running {
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(task: Task) -> Self {
        let Task { shutdown, future } = task;
        Self { shutdown, task: tokio::task::spawn_local(future) }
    }

    /// A planned stop.
    pub async fn stop(self) {
        self.shutdown.cancel();
        let _ = self.task.await;
    }

    /// As `kill -9`: whatever it is doing is not finished.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// A service that is yet to be run, by whoever polls it.
pub struct Task {
    /// Asks it to stop in good order.
    pub shutdown: CancellationToken,
    /// Ends when it has stopped.
    pub future: LocalBoxFuture<'static, ()>,
}

impl Fleet {
    /// Empty servers.
    #[must_use]
    pub fn new(options: FleetOptions, clock: Clock) -> Self {
        Self {
            log: MemoryLog::new(clock.clone(), options.partitions),
            store: MemoryStore::new(clock.clone()),
            registry: MemoryRegistry::new(clock.clone()),
            status: Status::new(Uuid::nil(), clock.clone()),
            clock,
            options,
            clients: Arc::default(),
        }
    }

    /// The same servers as a process sees them: by its own clock, and with what goes wrong for it. `who` is its
    /// number, used by no other process before.
    #[must_use]
    pub fn seen_from(&self, who: u32, clock: &Clock, faults: &Arc<dyn Faults>) -> Self {
        Self {
            log: self.log.seen_from(who, clock.clone(), Arc::clone(faults)),
            store: self.store.seen_from(who, clock.clone(), Arc::clone(faults)),
            registry: self.registry.seen_from(who, clock.clone(), Arc::clone(faults)),
            status: Status::new(instance(who), clock.clone()),
            clock: clock.clone(),
            options: self.options.clone(),
            clients: Arc::clone(&self.clients),
        }
    }

    fn world(&self) -> World<MemoryLog, MemoryStore> {
        let (log, store) = (self.log.clone(), self.store.clone());
        World { log, store, codec: self.codec(), clock: self.clock.clone() }
    }

    fn codec(&self) -> Codec {
        Codec::new(self.registry.clone())
    }

    /// One handler of a context.
    #[must_use]
    pub fn handler<C: Context>(&self) -> Running {
        Running::start(self.handler_task::<C>())
    }

    /// One aggregator of a context: all its views.
    #[must_use]
    pub fn aggregator<C: Context>(&self) -> Running {
        Running::start(self.aggregator_task::<C>())
    }

    /// One handler of a context, not running yet.
    #[must_use]
    pub fn handler_task<C: Context>(&self) -> Task {
        let names = Names::new("");
        let settings = handler::Settings {
            context: C::NAME,
            command_topic: names.commands(C::NAME),
            event_topic: names.events(C::NAME),
            reply_topic: names.replies(),
            group: names.handler_group(C::NAME),
            partitions: self.options.partitions,
            batch_max: self.options.batch_max,
            cache_bytes: self.options.cache_bytes,
            event_bytes_max: self.options.message_bytes,
        };
        let report = self.status.reporter(format!("{}-handler", C::NAME));
        report.caught_up();
        let made = Handler::new::<C>(settings, self.world(), report);
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        let future = Box::pin(async move {
            if let Ok(handler) = made {
                handler.run(token).await;
            }
        });
        Task { shutdown, future }
    }

    /// One aggregator of a context, not running yet.
    #[must_use]
    pub fn aggregator_task<C: Context>(&self) -> Task {
        let shutdown = CancellationToken::new();
        let mut loops =
            Loops { fleet: self, context: C::NAME, shutdown: &shutdown, made: Vec::new() };
        C::parts(&mut loops);
        let all = futures::future::join_all(loops.made);
        Task { shutdown, future: Box::pin(async move { drop(all.await) }) }
    }

    /// A client of its own, as each BFF has one, of the views of a context.
    #[must_use]
    pub fn client<C: Context>(&self) -> Client {
        self.client_of(views_of::<C>())
    }

    /// A client of these views.
    #[must_use]
    pub fn client_of(&self, views: Vec<ViewDefinition>) -> Client {
        let (client, task) = self.client_task(views);
        tokio::task::spawn_local(task);
        client
    }

    /// A client of these views, and what it does besides answering: to be polled as long as it is used.
    #[must_use]
    pub fn client_task(&self, views: Vec<ViewDefinition>) -> (Client, LocalBoxFuture<'static, ()>) {
        let names = Names::new("");
        let settings = client::Settings {
            instance: instance(u32::MAX - self.clients.fetch_add(1, Ordering::Relaxed)),
            namespace: String::new(),
            partitions: self.options.partitions,
            reply_partition: 0,
            command_bytes_max: self.options.message_bytes,
            in_flight_max: self.options.in_flight_max,
        };
        let reads = Arc::new(self.store.clone());
        let (log, codec, clock) = (self.log.clone(), self.codec(), self.clock.clone());
        let letters = Arc::new(self.store.clone());
        let inner = client::Inner::new(settings, log, reads, letters, codec, clock, views);
        let client = Client(Arc::new(inner));
        let mut tail = self.log.tail(&names.replies(), 0);
        let (send, records) = tokio::sync::mpsc::channel(1000);
        let follow = async move { while send.send(tail.next().await).await.is_ok() {} };
        let take = follow_replies(client.clone(), records);
        let look_up = look_up_late_replies(client.clone(), CancellationToken::new());
        let feeds = feeds(client.clone());
        let task = async move {
            futures::join!(follow, take, look_up, feeds);
        };
        (client, Box::pin(task))
    }
}

/// An id for something in this process.
fn instance(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

struct Loops<'a> {
    fleet: &'a Fleet,
    context: &'static str,
    shutdown: &'a CancellationToken,
    made: Vec<LocalBoxFuture<'static, ()>>,
}

impl Parts for Loops<'_> {
    fn decider<D: Decider>(&mut self) -> &mut Self {
        self
    }

    fn view<V: View>(&mut self) -> &mut Self {
        let fleet = self.fleet.clone();
        let (context, shutdown) = (self.context, self.shutdown.clone());
        self.made.push(Box::pin(async move {
            let settings = aggregator::Settings {
                namespace: String::new(),
                partitions: fleet.options.partitions,
                batch_max: fleet.options.batch_max,
                cache_rows: 1000,
                builders: 1,
            };
            let view = ViewDefinition::of::<V>(context);
            let keeper = Keeper {
                view: view.clone(),
                settings: settings.clone(),
                store: fleet.store.clone(),
                clock: fleet.clock.clone(),
                status: fleet.status.clone(),
            };
            let start = |row, report, token| {
                let (settings, view, world) = (settings.clone(), view.clone(), fleet.world());
                async move {
                    let opened = Aggregator::<V, _, _>::open(settings, view, row, world, report);
                    opened?.run(token).await;
                    Ok(())
                }
            };
            // A log in memory is always there.
            let _ = keeper.run(&shutdown, start).await;
        }));
        self
    }
}
