//! One run: a fleet, its clients, what goes wrong, and what it looks like when everything has come to rest.
use super::{
    clients::{Caller, Seen},
    cluster::Cluster,
    disturbance::{COMMANDS, CONTEXT, EVENTS, disturb},
    faults::Gremlin,
    follower::{Follower, difference},
    plan::{Kind, Plan},
    random::Random,
    reader::Reader,
    scheduler::{End, Scheduler},
    timeline::{Timeline, with_logs},
};
use crate::proof::{self, Anomaly, History, Published, Stored};
use customers::views::{Customer, InvitationsPerDay};
use functions::View as _;
use shared_events::headers::EventHeaders;
use shell::{
    defect,
    memory::{Fleet, FleetOptions},
};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fmt,
    rc::Rc,
    time::Duration,
};

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What should never be; empty if every promise was kept.
    pub anomalies: Vec<Anomaly>,
    /// How often each kind of fault struck.
    pub faults: BTreeMap<Kind, u32>,
    /// The numbers of the faults that struck.
    pub numbers: BTreeSet<u32>,
    /// Commands that were answered.
    pub answered: usize,
    /// Queries that were answered.
    pub reads: usize,
    /// Virtual time that passed.
    pub took: Duration,
    /// How often a task went on, and a fingerprint of the order: equal for equal plans.
    pub trace: (u64, u64),
}

impl Outcome {
    /// Of a run that did not come to its end.
    pub(super) fn panicked(why: String) -> Self {
        Self {
            anomalies: vec![Anomaly { promise: "nothing panics", seen: why }],
            faults: BTreeMap::new(),
            numbers: BTreeSet::new(),
            answered: 0,
            reads: 0,
            took: Duration::ZERO,
            trace: (0, 0),
        }
    }
}

/// Runs a plan. The same plan gives the same outcome, whatever else the machine does.
#[must_use]
pub fn run(plan: &Plan, timeline: &Timeline) -> Outcome {
    let _made = defect::make(plan.defect);
    let mut scheduler = Scheduler::new(Random::new(plan.seed, 3));
    let gremlin = Gremlin::new(plan, scheduler.kernel.clone(), timeline.clone());
    let options = FleetOptions {
        partitions: plan.partitions,
        batch_max: plan.batch_max,
        cache_bytes: plan.cache_bytes,
        message_bytes: 100_000,
        in_flight_max: 1000,
    };
    let cluster = Rc::new(Cluster::new(options, &gremlin, &scheduler.spawner));
    let seen: Rc<RefCell<Seen>> = Rc::default();
    let plan = Rc::new(plan.clone());
    for number in 0..plan.clients {
        let who = cluster.new_process(format!("client {number}"));
        let caller = Caller::new(number, &plan, &cluster, &seen);
        scheduler.spawner.spawn(who, caller.run());
    }
    let who = cluster.new_process("follower".to_owned());
    scheduler.spawner.spawn(who, Follower::new(Random::new(plan.seed, 90), &cluster, &seen).run());
    let world = cluster.new_process("world".to_owned());
    scheduler.spawner.spawn(world, disturb(Rc::clone(&cluster)));
    let supervised = Rc::clone(&cluster);
    let random = Random::new(plan.seed, 4);
    scheduler.spawner.spawn(world, async move { supervised.supervise(random).await });
    let rested: Rc<Cell<Option<bool>>> = Rc::default();
    let main =
        come_to_rest(Rc::clone(&cluster), Rc::clone(&seen), Rc::clone(&plan), Rc::clone(&rested));
    scheduler.spawner.spawn(world, main);
    let logging = gremlin.clone();
    let now = move || (logging.kernel.now(), logging.name_of(logging.kernel.acting()));
    let end = with_logs(timeline, now, || scheduler.run(|| rested.get().is_some()));
    outcome(&scheduler, &cluster, &seen, end, rested.get())
}

/// Waits for the clients, ends the faults, and waits until nothing is pending any more.
async fn come_to_rest(
    cluster: Rc<Cluster>,
    seen: Rc<RefCell<Seen>>,
    plan: Rc<Plan>,
    rested: Rc<Cell<Option<bool>>>,
) {
    let mut next_look = LOOK_INTERVAL;
    while seen.borrow().done < plan.clients {
        cluster.kernel.sleep(PULSE).await;
        if cluster.kernel.now() >= next_look {
            next_look = cluster.kernel.now() + LOOK_INTERVAL;
            let found = too_early(&cluster);
            seen.borrow_mut().anomalies.extend(found);
        }
        if cluster.kernel.now() > LOAD_MAX && !cluster.gremlin.is_calm() {
            cluster.gremlin.calm();
            cluster.heal();
        }
    }
    cluster.gremlin.calm();
    cluster.heal();
    if rest(&cluster).await {
        Caller::new(plan.clients, &plan, &cluster, &seen).probe().await;
        let rests = rest(&cluster).await;
        if rests {
            is_followed(&cluster, &seen).await;
        }
        return rested.set(Some(rests));
    }
    rested.set(Some(false));
}

/// Waits until who follows what changes has all of it.
async fn is_followed(cluster: &Cluster, seen: &RefCell<Seen>) {
    let end = cluster.kernel.now() + FOLLOWED_MAX;
    loop {
        let differs = difference(cluster, &seen.borrow().copy);
        let Some(differs) = differs else { return };
        if cluster.kernel.now() > end {
            let promise = "a follower has the last state of every row";
            seen.borrow_mut().anomalies.push(Anomaly { promise, seen: differs });
            return;
        }
        cluster.kernel.sleep(PULSE).await;
    }
}

/// Waits until nothing is pending any more; false if that never comes.
async fn rest(cluster: &Cluster) -> bool {
    let end = cluster.kernel.now() + REST_MAX;
    let mut reader = Reader::new(cluster);
    while let Some(pending) = pending(&cluster.fleet) {
        if cluster.kernel.now() > end {
            return false;
        }
        if let Pending::Log { part, pseq } = pending {
            reader.misses(cluster, part, pseq).await;
        }
        cluster.kernel.sleep(PULSE).await;
    }
    true
}

/// Events that count as published and are not in the log, although it has lost nothing.
fn too_early(cluster: &Cluster) -> Option<Anomaly> {
    let struck = cluster.gremlin.struck();
    if [Kind::EventsTruncated, Kind::EventsRecreated].iter().any(|it| struck.contains_key(it)) {
        return None;
    }
    cluster.fleet.store.ledger_rows(CONTEXT).into_iter().find_map(|it| {
        let events = published(&cluster.fleet, it.part);
        let numbers: BTreeSet<i64> = events.into_iter().map(|it| it.pseq).collect();
        let pseq = (1..=it.published).find(|pseq| !numbers.contains(pseq))?;
        let seen =
            format!("event {pseq} of partition {} is not, and {} count", it.part, it.published);
        Some(Anomaly { promise: "what counts as published is in the log", seen })
    })
}

/// What is not done yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Decision { part: i32, commands: i64 },
    Publication { part: i32, events: i64 },
    View { part: i32, events: i64, table: &'static str },
    Log { part: i32, pseq: i64 },
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decision { part, commands } => {
                write!(f, "{commands} commands of partition {part} are not decided")
            }
            Self::Publication { part, events } => {
                write!(f, "{events} events of partition {part} are not published")
            }
            Self::View { part, events, table } => {
                write!(f, "{events} events of partition {part} are not in {table}")
            }
            Self::Log { part, pseq } => {
                write!(f, "event {pseq} of partition {part} is not in the log")
            }
        }
    }
}

fn pending(fleet: &Fleet) -> Option<Pending> {
    for it in &fleet.store.ledger_rows(CONTEXT) {
        let part = it.part;
        // Every event makes a row of both: where there is none, no generation is read yet.
        let is_unread = |table: &&str| fleet.store.rows(CONTEXT, table).is_empty();
        let unread = [Customer::TABLE, InvitationsPerDay::TABLE].into_iter().find(is_unread);
        if let Some(table) = unread.filter(|_| it.pseq > 0) {
            return Some(Pending::View { part, events: it.pseq, table });
        }
        let commands = fleet.log.end(COMMANDS, part) - it.next_offset;
        if commands > 0 {
            return Some(Pending::Decision { part, commands });
        }
        if it.published < it.pseq {
            return Some(Pending::Publication { part, events: it.pseq - it.published });
        }
        for table in [Customer::TABLE, InvitationsPerDay::TABLE] {
            let events = it.pseq - fleet.store.shown(CONTEXT, table, EVENTS, part);
            if events > 0 {
                return Some(Pending::View { part, events, table });
            }
        }
        let numbers: BTreeSet<i64> = published(fleet, part).into_iter().map(|it| it.pseq).collect();
        if let Some(pseq) = (1..=it.pseq).find(|pseq| !numbers.contains(pseq)) {
            return Some(Pending::Log { part, pseq });
        }
    }
    None
}

fn published(fleet: &Fleet, part: i32) -> Vec<Published> {
    let records = fleet.log.records(EVENTS, part).into_iter();
    let event = records.filter_map(|record| {
        let headers = EventHeaders::read(&record.headers).ok()?;
        let (pseq, stream, version) = (headers.pseq, headers.stream, headers.version);
        // Behind the frame of the schema registry.
        let data = record.payload?.get(5..)?.to_vec();
        Some(Published { pseq, stream, version, data })
    });
    event.collect()
}

fn outcome(
    scheduler: &Scheduler,
    cluster: &Cluster,
    seen: &RefCell<Seen>,
    end: End,
    rested: Option<bool>,
) -> Outcome {
    let fleet = &cluster.fleet;
    let seen = std::mem::take(&mut *seen.borrow_mut());
    let mut anomalies = seen.anomalies;
    let mut stuck = |seen: String| {
        anomalies
            .push(Anomaly { promise: "what is pending is done once nothing goes wrong", seen });
    };
    match (end, rested) {
        (End::Done, Some(true)) => {}
        (End::Done, _) => {
            stuck(pending(fleet).map_or_else(|| "too late".to_owned(), |it| it.to_string()));
        }
        (End::Deadlock, _) => stuck("everybody waits for somebody else".to_owned()),
        (End::Endless, _) => {
            let who = cluster.gremlin.name_of(scheduler.busiest().unwrap_or_default());
            stuck(format!("{who} turns in circles at {:?}", scheduler.kernel.now()));
        }
    }
    let calls = seen.calls;
    let answered = calls.iter().filter(|it| it.ended.is_some()).count();
    let is_read = |it: &&proof::Call| !matches!(it.asked, proof::Asked::Command { .. });
    let reads = calls.iter().filter(|it| it.ended.is_some()).filter(is_read).count();
    let history = History { calls };
    anomalies.extend(proof::check(&history, &stored(fleet, cluster)));
    if let proof::Search::Unexplained(anomaly) = proof::search(&history) {
        anomalies.push(anomaly);
    }
    Outcome {
        anomalies,
        faults: cluster.gremlin.struck(),
        numbers: cluster.gremlin.numbers(),
        answered: answered - reads,
        reads,
        took: scheduler.kernel.now(),
        trace: scheduler.trace(),
    }
}

fn stored(fleet: &Fleet, cluster: &Cluster) -> Stored {
    let parts = cluster.gremlin.draw(|_, plan| plan.partitions);
    Stored {
        ledger: fleet.store.ledger_rows(CONTEXT),
        events: fleet.store.events(CONTEXT),
        outcomes: fleet.store.outcomes(CONTEXT),
        claims: fleet.store.claims(CONTEXT),
        dead_letters: fleet.store.dead_letters(CONTEXT),
        schemas: Vec::new(),
        log: (0..parts).map(|part| (part, published(fleet, part))).collect(),
        customers: fleet.store.rows(CONTEXT, Customer::TABLE),
        days: fleet.store.rows(CONTEXT, InvitationsPerDay::TABLE),
        commit_order: fleet.store.commit_order(CONTEXT),
    }
}

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const PULSE: Duration = Duration::from_millis(100);
/// Faults end after this, whatever the clients still wait for.
const LOAD_MAX: Duration = Duration::from_mins(3);
const FOLLOWED_MAX: Duration = Duration::from_mins(1);
/// A check of the ends of topics comes every 10 s, a request to publish again every 5 s.
const REST_MAX: Duration = Duration::from_mins(3);
