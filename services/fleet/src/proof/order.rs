//! Every outcome is what a sequential model says, in the order of the commits, and that order respects real time.
use super::{
    Anomaly,
    facts::{Facts, Outcome},
    history::{Commands, Sent},
    model::{Model, Said},
    promise, seconds,
};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use uuid::Uuid;

pub(super) fn check(commands: &Commands, facts: &Facts, found: &mut Vec<Anomaly>) {
    let mut once = HashSet::with_capacity(facts.stored.commit_order.len());
    let mut order = Vec::with_capacity(facts.stored.commit_order.len());
    for id in &facts.stored.commit_order {
        if !once.insert(*id) {
            let seen = format!("command {id} was committed twice");
            found.push(Anomaly::new(promise::COMMITTED, seen));
            continue;
        }
        match (commands.get(id), facts.outcomes.get(id)) {
            (Some(sent), Some(outcome)) => order.push((*id, sent, outcome)),
            (None, _) => {
                let seen = format!("command {id} was committed");
                found.push(Anomaly::new(promise::ASKED, seen));
            }
            (_, None) => {
                let seen = format!("command {id} was committed, and has no outcome");
                found.push(Anomaly::new(promise::COMMITTED, seen));
            }
        }
    }
    for id in facts.outcomes.keys().filter(|id| !once.contains(*id)) {
        let seen = format!("command {id} has an outcome, and was not committed");
        found.push(Anomaly::new(promise::COMMITTED, seen));
    }
    replay(&order, facts, found);
    let mut latest = Latest::default();
    for (id, sent, _) in &order {
        latest.check(*id, sent, found);
        latest.add(*id, sent);
    }
}

/// Ends at the first difference: those after it follow from it.
fn replay(order: &[(Uuid, &Sent, &Outcome)], facts: &Facts, found: &mut Vec<Anomaly>) {
    let mut model = Model::default();
    let mut counts: HashMap<i32, i64> = HashMap::new();
    for (id, sent, outcome) in order {
        let (said, happened) = model.apply(sent.command);
        if !is(&said, outcome) {
            let stored = (&outcome.code, outcome.holder, outcome.version);
            let seen = format!("command {id}, {:?}, is {stored:?}, not {said:?}", sent.command);
            found.push(Anomaly::new(promise::SEQUENTIAL, seen));
            return;
        }
        let effect = facts.effects.get(id).map(|it| &it.happened);
        if effect != happened.as_ref() {
            let seen = format!("command {id} made {effect:?} happen, not {happened:?}");
            found.push(Anomaly::new(promise::ONE_EFFECT, seen));
            return;
        }
        let count = counts.entry(outcome.part).or_default();
        *count += i64::from(happened.is_some());
        if outcome.own != *count {
            let (own, part) = (outcome.own, outcome.part);
            let seen = format!("command {id} was answered {own} of partition {part}, not {count}");
            found.push(Anomaly::new(promise::POSITION, seen));
            return;
        }
    }
}

/// Whether an outcome is what the model says.
pub(super) fn is(said: &Said, outcome: &Outcome) -> bool {
    (said.code, said.holder, said.version)
        == (outcome.code.as_deref(), outcome.holder, outcome.version)
}

/// The command that was sent last among those that were decided so far: whatever is decided after it must not have
/// been answered before it was sent.
#[derive(Clone, Copy, Default)]
pub(super) struct Latest(Option<(Duration, Uuid)>);

impl Latest {
    pub(super) fn check(&self, id: Uuid, sent: &Sent, found: &mut Vec<Anomaly>) {
        if let (Some((begun, other)), Some(ended)) = (self.0, sent.ended)
            && ended < begun
        {
            let (ended, begun) = (seconds(ended), seconds(begun));
            let seen = format!(
                "command {id} was answered at {ended}, and decided after {other}, sent at {begun}"
            );
            found.push(Anomaly::new(promise::REAL_TIME, seen));
        }
    }

    pub(super) fn add(&mut self, id: Uuid, sent: &Sent) {
        self.0 = self.0.max(Some((sent.begun, id)));
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.0 = self.0.max(other.0);
    }
}
