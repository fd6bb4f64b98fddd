//! One run: a fleet, its clients, what goes wrong, and what it looks like when everything has come to rest.
use super::{
    clients::{Caller, Seen},
    cluster::Cluster,
    disturbance::{COMMANDS, CONTEXT, EVENTS, disturb},
    faults::Gremlin,
    plan::{Kind, Plan},
    random::Random,
    scheduler::{End, Scheduler},
    timeline::Timeline,
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
    let world = cluster.new_process("world".to_owned());
    scheduler.spawner.spawn(world, disturb(Rc::clone(&cluster)));
    let supervised = Rc::clone(&cluster);
    let random = Random::new(plan.seed, 4);
    scheduler.spawner.spawn(world, async move { supervised.supervise(random).await });
    let rested: Rc<Cell<Option<bool>>> = Rc::default();
    let main =
        come_to_rest(Rc::clone(&cluster), Rc::clone(&seen), plan.clients, Rc::clone(&rested));
    scheduler.spawner.spawn(world, main);
    let end = scheduler.run(|| rested.get().is_some());
    outcome(&scheduler, &cluster, &seen, end, rested.get())
}

/// Waits for the clients, ends the faults, and waits until nothing is pending any more.
async fn come_to_rest(
    cluster: Rc<Cluster>,
    seen: Rc<RefCell<Seen>>,
    clients: usize,
    rested: Rc<Cell<Option<bool>>>,
) {
    while seen.borrow().done < clients {
        cluster.kernel.sleep(PULSE).await;
        if cluster.kernel.now() > LOAD_MAX && !cluster.gremlin.is_calm() {
            cluster.gremlin.calm();
            cluster.heal();
        }
    }
    cluster.gremlin.calm();
    cluster.heal();
    let end = cluster.kernel.now() + REST_MAX;
    while let Some(_pending) = pending(&cluster.fleet) {
        if cluster.kernel.now() > end {
            return rested.set(Some(false));
        }
        cluster.kernel.sleep(PULSE).await;
    }
    rested.set(Some(true));
}

/// What is not done yet.
fn pending(fleet: &Fleet) -> Option<String> {
    let rows = fleet.store.ledger_rows(CONTEXT);
    for it in &rows {
        let end = fleet.log.end(COMMANDS, it.part);
        if it.next_offset < end {
            let left = end - it.next_offset;
            return Some(format!("{left} commands of partition {} are not decided", it.part));
        }
        if it.published < it.pseq {
            let left = it.pseq - it.published;
            return Some(format!("{left} events of partition {} are not published", it.part));
        }
        for table in [Customer::TABLE, InvitationsPerDay::TABLE] {
            let shown = fleet.store.shown(CONTEXT, table, EVENTS, it.part);
            if shown < it.pseq {
                let left = it.pseq - shown;
                return Some(format!("{left} events of partition {} are not in {table}", it.part));
            }
        }
        let numbers: BTreeSet<i64> =
            published(fleet, it.part).into_iter().map(|it| it.pseq).collect();
        if let Some(missing) = (1..=it.pseq).find(|pseq| !numbers.contains(pseq)) {
            return Some(format!("event {missing} of partition {} is not in the log", it.part));
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
        (End::Done, _) => stuck(pending(fleet).unwrap_or_else(|| "too late".to_owned())),
        (End::Deadlock, _) => stuck("everybody waits for somebody else".to_owned()),
        (End::Endless, _) => stuck("something turns in circles".to_owned()),
    }
    let calls = seen.calls;
    let answered = calls.iter().filter(|it| it.ended.is_some()).count();
    let is_read = |it: &&proof::Call| matches!(it.asked, proof::Asked::Read { .. });
    let reads = calls.iter().filter(|it| it.ended.is_some()).filter(is_read).count();
    let history = History { calls };
    anomalies.extend(proof::check(&history, &stored(fleet, cluster)));
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
        log: (0..parts).map(|part| (part, published(fleet, part))).collect(),
        customers: fleet.store.rows(CONTEXT, Customer::TABLE),
        days: fleet.store.rows(CONTEXT, InvitationsPerDay::TABLE),
        commit_order: fleet.store.commit_order(CONTEXT),
    }
}

const PULSE: Duration = Duration::from_millis(100);
/// Faults end after this, whatever the clients still wait for.
const LOAD_MAX: Duration = Duration::from_mins(3);
/// A check of the ends of topics comes every 10 s, a request to publish again every 5 s.
const REST_MAX: Duration = Duration::from_mins(3);
