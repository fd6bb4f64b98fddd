//! What goes wrong between the calls: to processes, groups, topics and clocks.
use super::{
    cluster::{Cluster, Place, SESSION},
    plan::Kind,
    random::Random,
    scheduler::Life,
};
use customers::Customers;
use shell::{memory::ViewsCopy, view::views_of};
use std::{rc::Rc, sync::atomic::Ordering, time::Duration};

/// Strikes again and again until all is calm.
pub(super) async fn disturb(cluster: Rc<Cluster>) {
    let mut views: Option<ViewsCopy> = None;
    loop {
        let pause = cluster.gremlin.draw(|random, _| random.up_to(PAUSE_MAX));
        cluster.kernel.sleep(pause).await;
        if cluster.gremlin.is_calm() {
            return;
        }
        for kind in BETWEEN {
            let rates = |random: &mut Random, rate: Option<&u64>| {
                random.happens(rate.copied().unwrap_or_default())
            };
            if cluster.gremlin.draw(|random, plan| rates(random, plan.rates.get(&kind))) {
                strike(&cluster, kind, &mut views);
            }
        }
        if views.is_none() || cluster.gremlin.draw(|random, _| random.below(4) == 0) {
            views = Some(cluster.fleet.store.copy_views(CONTEXT));
        }
    }
}

fn strike(cluster: &Cluster, kind: Kind, views: &mut Option<ViewsCopy>) {
    let (index, time, number) = cluster.gremlin.draw(|random, _| {
        (random.index(cluster.places.len()), random.up_to(LONGEST), random.below(1200))
    });
    let place = &cluster.places[index];
    let topic = match kind {
        Kind::EventsTruncated | Kind::EventsRecreated => EVENTS,
        _ => COMMANDS,
    };
    match kind {
        Kind::Rebalance => {
            let group = groups(cluster, number);
            if cluster.gremlin.strikes(kind, 0, || group.clone()) {
                cluster.fleet.log.rotate(&group);
            }
        }
        Kind::EventsTruncated => {
            let part = i32::try_from(number).unwrap_or_default() % cluster.partitions();
            let count = 1 + index;
            if cluster.gremlin.strikes(kind, 0, || format!("partition {part}, {count} records")) {
                cluster.fleet.log.truncate(topic, part, count);
            }
        }
        Kind::EventsRecreated | Kind::CommandsRecreated => {
            if cluster.gremlin.strikes(kind, 0, String::new) {
                cluster.fleet.log.recreate(topic);
            }
        }
        Kind::ViewsLost => {
            if let Some(copy) = views.take()
                && cluster.gremlin.strikes(kind, 0, String::new)
            {
                cluster.fleet.store.put_back_views(CONTEXT, copy);
            }
        }
        Kind::Rebuilt | Kind::RolledBack => operate(cluster, kind, index),
        Kind::ClockJumps => {
            let seconds = i64::try_from(number).unwrap_or_default() - 600;
            if number % 8 == 0 {
                if cluster.gremlin.strikes(kind, 0, || format!("the log's, {seconds} s")) {
                    cluster.ahead_seconds.store(seconds, Ordering::Relaxed);
                }
            } else if let Some(who) = cluster.alive(place)
                && cluster.gremlin.strikes(kind, who, || format!("{seconds} s"))
            {
                place.jump(seconds);
            }
        }
        Kind::Dies | Kind::Stops | Kind::Freezes | Kind::Expelled | Kind::Slow => {
            strike_process(cluster, kind, place, time);
        }
        Kind::CallFails
        | Kind::AnswerLost
        | Kind::CallSlow
        | Kind::DiesBeforeCall
        | Kind::DiesAfterCall
        | Kind::SendLost
        | Kind::SendDenied
        | Kind::SendLate
        | Kind::ReportLate
        | Kind::SendTwice
        | Kind::SendFull
        | Kind::SendRefused => {}
    }
}

/// What an operator does to one of the views.
fn operate(cluster: &Cluster, kind: Kind, index: usize) {
    let views = views_of::<Customers>();
    let view = &views[index % views.len()];
    if !cluster.gremlin.strikes(kind, 0, || view.table.to_owned()) {
        return;
    }
    if kind == Kind::Rebuilt {
        cluster.fleet.store.rebuild(view, view.checkpoints(cluster.partitions()));
    } else {
        cluster.fleet.store.roll_back(view);
    }
}

fn strike_process(cluster: &Cluster, kind: Kind, place: &Place, time: Duration) {
    let Some(who) = cluster.running(place) else { return };
    if !cluster.gremlin.strikes(kind, who, || format!("{time:?}")) {
        return;
    }
    let (kernel, log) = (cluster.kernel.clone(), cluster.fleet.log.clone());
    match kind {
        Kind::Dies => kernel.set_life(who, Life::Dead),
        Kind::Stops => cluster.stop(place),
        Kind::Slow => cluster.gremlin.slow_down(who, time),
        Kind::Freezes => {
            kernel.set_life(who, Life::Frozen);
            let thaw = kernel.clone();
            let act = move || {
                if thaw.life(who) == Life::Frozen {
                    thaw.set_life(who, Life::Running);
                }
            };
            kernel.later(time, Box::new(act));
            if time > SESSION / 2 {
                let expel = log.clone();
                kernel.later(SESSION / 2, Box::new(move || expel.expel(who)));
                kernel.later(time + HEARTBEAT, Box::new(move || log.readmit(who)));
            }
        }
        _ => {
            log.expel(who);
            kernel.later(time, Box::new(move || log.readmit(who)));
        }
    }
}

/// The group of the handlers, or of one of the views.
fn groups(cluster: &Cluster, number: u64) -> String {
    let groups = cluster.fleet.log.group_names();
    let index = usize::try_from(number).unwrap_or_default();
    groups.get(index % groups.len().max(1)).cloned().unwrap_or_default()
}

impl Cluster {
    fn partitions(&self) -> i32 {
        self.gremlin.draw(|_, plan| plan.partitions)
    }
}

pub(super) const CONTEXT: &str = "customers";
pub(super) const COMMANDS: &str = "customers.commands";
pub(super) const EVENTS: &str = "customers.events";
const PAUSE_MAX: Duration = Duration::from_millis(300);
const LONGEST: Duration = Duration::from_secs(8);
const HEARTBEAT: Duration = Duration::from_millis(300);
const BETWEEN: [Kind; 13] = [
    Kind::Dies,
    Kind::Stops,
    Kind::Freezes,
    Kind::Expelled,
    Kind::Rebalance,
    Kind::EventsTruncated,
    Kind::EventsRecreated,
    Kind::CommandsRecreated,
    Kind::ViewsLost,
    Kind::ClockJumps,
    Kind::Slow,
    Kind::Rebuilt,
    Kind::RolledBack,
];
