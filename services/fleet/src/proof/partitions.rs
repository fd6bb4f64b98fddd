//! The order of commands as far as it can be told from the outcomes alone: within a partition by the position, within
//! a stream by the version.
use super::{
    Anomaly,
    facts::{Facts, Outcome},
    history::{Commands, Sent},
    model::{ALREADY_INVITED, EMAIL_TAKEN, decide},
    order::{Latest, is},
    promise,
};
use shared_events::Message as _;
use uuid::Uuid;

pub(super) fn check(commands: &Commands, facts: &Facts, found: &mut Vec<Anomaly>) {
    let mut order = Vec::with_capacity(facts.outcomes.len());
    for (id, outcome) in &facts.outcomes {
        let Some(sent) = commands.get(id) else { continue };
        check_legal(*id, sent, outcome, facts, found);
        // What made an event happen was decided before all that was decided when it was the last one.
        let idle = !facts.effects.contains_key(id);
        order.push((outcome.part, outcome.own, idle, *id));
    }
    order.sort_unstable();
    check_real_time(&order, commands, found);
}

/// A command must be answered what the customer's events up to its version say.
fn check_legal(id: Uuid, sent: &Sent, outcome: &Outcome, facts: &Facts, found: &mut Vec<Anomaly>) {
    let steps = facts.streams.get(&sent.command.stream()).map_or(&[] as &[_], Vec::as_slice);
    let version = facts.customer_at(sent.command.stream(), outcome.own).map_or(0, |it| it.version);
    if version != outcome.version {
        let seen = format!(
            "command {id} is for version {}, when event {} of its partition left {version}",
            outcome.version, outcome.own
        );
        found.push(Anomaly::new(promise::SEQUENTIAL, seen));
        return;
    }
    let effect = facts.effects.get(&id).map(|it| &it.happened);
    let events = outcome.version - i64::from(effect.is_some());
    let index = usize::try_from(events).ok();
    let customer = match index {
        Some(0) => None,
        Some(index) if index <= steps.len() => steps[index - 1].after.as_ref(),
        Some(_) | None => {
            let seen =
                format!("command {id} is for version {}, of {}", outcome.version, steps.len());
            found.push(Anomaly::new(promise::SEQUENTIAL, seen));
            return;
        }
    };
    // Whether somebody had the address depends on other customers: `holding` looks at that.
    let holder = match outcome.code.as_deref() {
        Some(ALREADY_INVITED) => outcome.holder,
        Some(EMAIL_TAKEN) => Some(Uuid::nil()),
        _ => None,
    };
    let (said, happened) = decide(customer, sent.command, holder);
    if !is(&said, outcome) {
        let stored = (&outcome.code, outcome.holder, outcome.version);
        let seen = format!("command {id}, {:?}, is {stored:?}, not {said:?}", sent.command);
        found.push(Anomaly::new(promise::SEQUENTIAL, seen));
    } else if effect != happened.as_ref() {
        let seen = format!("command {id} made {effect:?} happen, not {happened:?}");
        found.push(Anomaly::new(promise::ONE_EFFECT, seen));
    }
}

fn check_real_time(
    order: &[(i32, i64, bool, Uuid)],
    commands: &Commands,
    found: &mut Vec<Anomaly>,
) {
    for partition in order.chunk_by(|a, b| a.0 == b.0) {
        let (mut latest, mut meanwhile) = (Latest::default(), Latest::default());
        for (_, _, idle, id) in partition {
            let Some(sent) = commands.get(id) else { continue };
            if *idle {
                // In any order among those that found the same events.
                latest.check(*id, sent, found);
                meanwhile.add(*id, sent);
            } else {
                latest.merge(meanwhile);
                latest.check(*id, sent, found);
                latest.add(*id, sent);
            }
        }
    }
}
