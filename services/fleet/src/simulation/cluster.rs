//! The processes of a simulated fleet: started, watched, and started again when they end.
use super::{
    faults::Gremlin,
    random::Random,
    scheduler::{Kernel, Life, Spawner},
};
use chrono::{DateTime, TimeDelta, Utc};
use customers::Customers;
use futures::future::BoxFuture;
use shell::{
    Client,
    clock::{Clock, Time},
    memory::{Faults, Fleet, FleetOptions, Task},
    view::views_of,
};
use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Time of the simulation, as one process sees it.
#[derive(Clone)]
pub(super) struct VirtualTime {
    kernel: Kernel,
    ahead_seconds: Arc<AtomicI64>,
}

impl Time for VirtualTime {
    fn now(&self) -> DateTime<Utc> {
        let begun = DateTime::from_timestamp(1_800_014_400, 0).unwrap_or_default();
        let ahead = TimeDelta::seconds(self.ahead_seconds.load(Ordering::Relaxed));
        begun + self.kernel.now() + ahead
    }

    fn elapsed(&self) -> Duration {
        self.kernel.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.kernel.sleep(duration))
    }
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Handler,
    Aggregator,
    Bff,
}

/// A place for a process: what runs there is replaced when it ends.
pub(super) struct Place {
    pub(super) role: Role,
    name: String,
    ahead_seconds: Arc<AtomicI64>,
    running: RefCell<Running>,
}

impl Place {
    /// Puts the clock of what runs here so far ahead of the others.
    pub(super) fn jump(&self, seconds: i64) {
        self.ahead_seconds.store(seconds, Ordering::Relaxed);
    }
}

struct Running {
    who: u32,
    shutdown: CancellationToken,
    client: Option<Client>,
}

/// All of the fleet.
pub(super) struct Cluster {
    /// The servers, as nobody sees them to whom something goes wrong.
    pub(super) fleet: Fleet,
    pub(super) kernel: Kernel,
    pub(super) spawner: Spawner,
    pub(super) gremlin: Gremlin,
    pub(super) places: Vec<Place>,
    /// The clock of the servers.
    pub(super) ahead_seconds: Arc<AtomicI64>,
    faults: Arc<dyn Faults>,
    next_who: Cell<u32>,
}

impl Cluster {
    pub(super) fn new(options: FleetOptions, gremlin: &Gremlin, spawner: &Spawner) -> Self {
        let kernel = gremlin.kernel.clone();
        let ahead_seconds = Arc::<AtomicI64>::default();
        let time =
            VirtualTime { kernel: kernel.clone(), ahead_seconds: Arc::clone(&ahead_seconds) };
        let fleet = Fleet::new(options, Clock::new(time));
        fleet.log.set_lingering(true);
        let it = Self {
            fleet,
            kernel,
            spawner: spawner.clone(),
            gremlin: gremlin.clone(),
            places: Vec::new(),
            ahead_seconds,
            faults: Arc::new(gremlin.clone()),
            next_who: Cell::new(0),
        };
        let roles = [(Role::Handler, 3), (Role::Aggregator, 2), (Role::Bff, 2)];
        let places = roles.into_iter().flat_map(|(role, count)| {
            (1..=count).map(move |number| (role, format!("{role:?} {number}").to_lowercase()))
        });
        let places = places.map(|(role, name)| {
            let ahead_seconds = Arc::<AtomicI64>::default();
            let running = RefCell::new(it.start(role, &name, &ahead_seconds));
            Place { role, name, ahead_seconds, running }
        });
        let places = places.collect();
        Self { places, ..it }
    }

    /// Number of a process that is yet to be; it runs.
    pub(super) fn new_process(&self, name: String) -> u32 {
        let who = self.next_who.get() + 1;
        self.next_who.set(who);
        self.kernel.set_life(who, Life::Running);
        self.gremlin.name(who, name);
        who
    }

    fn start(&self, role: Role, name: &str, ahead_seconds: &Arc<AtomicI64>) -> Running {
        let who = self.new_process(format!("{name} ({})", self.next_who.get() + 1));
        let time =
            VirtualTime { kernel: self.kernel.clone(), ahead_seconds: Arc::clone(ahead_seconds) };
        let fleet = self.fleet.seen_from(who, &Clock::new(time), &self.faults);
        let (task, client) = match role {
            Role::Handler => (fleet.handler_task::<Customers>(), None),
            Role::Aggregator => (fleet.aggregator_task::<Customers>(), None),
            Role::Bff => {
                let (client, future) = fleet.client_task(views_of::<Customers>());
                (Task { shutdown: CancellationToken::new(), future }, Some(client))
            }
        };
        let Task { shutdown, future } = task;
        let kernel = self.kernel.clone();
        self.spawner.spawn(who, async move {
            future.await;
            kernel.set_life(who, Life::Dead);
        });
        self.gremlin.note(who, || "started".to_owned());
        Running { who, shutdown, client }
    }

    /// The process in a place, if it runs or will run on.
    pub(super) fn alive(&self, place: &Place) -> Option<u32> {
        let who = place.running.borrow().who;
        (self.kernel.life(who) != Life::Dead).then_some(who)
    }

    /// The process in a place, if it runs.
    pub(super) fn running(&self, place: &Place) -> Option<u32> {
        self.alive(place).filter(|it| self.kernel.life(*it) == Life::Running)
    }

    /// One of the BFFs that are there.
    pub(super) fn bff(&self, random: &mut Random) -> Option<(u32, Client)> {
        let alive: Vec<&Place> = self
            .places
            .iter()
            .filter(|it| it.role == Role::Bff && self.alive(it).is_some())
            .collect();
        let place = alive.get(random.index(alive.len()))?;
        let running = place.running.borrow();
        Some((running.who, running.client.clone()?))
    }

    pub(super) fn stop(&self, place: &Place) {
        let running = place.running.borrow();
        if place.role == Role::Bff {
            self.kernel.set_life(running.who, Life::Dead);
        }
        running.shutdown.cancel();
    }

    /// Starts again, for ever, what has ended.
    pub(super) async fn supervise(&self, mut random: Random) {
        loop {
            self.kernel.sleep(Duration::from_millis(50)).await;
            for place in &self.places {
                if self.alive(place).is_some() {
                    continue;
                }
                let who = place.running.borrow().who;
                self.gremlin.note(who, || "has ended".to_owned());
                // Its partitions are kept for it until its session is over.
                let (log, session) = (self.fleet.log.clone(), random.up_to(SESSION));
                self.kernel.later(session, Box::new(move || log.expire(who)));
                if random.below(3) == 0 && !self.gremlin.is_calm() {
                    self.kernel.sleep(random.up_to(PAUSE_MAX)).await;
                }
                let next = self.start(place.role, &place.name, &place.ahead_seconds);
                *place.running.borrow_mut() = next;
            }
        }
    }

    /// Nobody is frozen or thrown out of a group any more.
    pub(super) fn heal(&self) {
        for place in &self.places {
            let who = place.running.borrow().who;
            let (kernel, log) = (self.kernel.clone(), self.fleet.log.clone());
            let act = move || {
                if kernel.life(who) == Life::Frozen {
                    kernel.set_life(who, Life::Running);
                }
                log.readmit(who);
            };
            self.kernel.later(Duration::ZERO, Box::new(act));
        }
    }
}

/// As the development broker's.
pub(super) const SESSION: Duration = Duration::from_secs(6);
const PAUSE_MAX: Duration = Duration::from_secs(2);
