//! An answered question tells what its customer was at one point between when it was asked and when it was answered
//! (protocol.md F1).
use super::{
    Anomaly, Asked, Call, History, Stated, facts::Facts, history::Commands, promise, seconds,
};
use shell::partition::partition_of;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// A question that was answered.
struct Answered<'a> {
    client: usize,
    begun: Duration,
    ended: Duration,
    id: Uuid,
    told: &'a Stated,
    part: i32,
    /// How many events of its partition the answer rests on.
    pseq: i64,
}

pub(super) fn check(
    history: &History,
    commands: &Commands,
    facts: &Facts,
    found: &mut Vec<Anomaly>,
) {
    let answered = |call| answered(call, facts);
    let mut all: Vec<Answered> = history.calls.iter().filter_map(answered).collect();
    if all.is_empty() {
        return;
    }
    all.sort_by_key(|it| it.begun);
    // What everybody may know by when: how many events a partition has at least.
    let mut known: Vec<(Duration, i32, i64)> = Vec::new();
    for event in facts.events {
        if let Some(ended) = commands.get(&event.cause).and_then(|it| it.ended) {
            known.push((ended, event.row.part, event.row.pseq));
        }
    }
    known.extend(all.iter().map(|it| (it.ended, it.part, it.pseq)));
    known.sort_unstable();
    let mut known = known.into_iter().peekable();
    let mut least: BTreeMap<i32, i64> = BTreeMap::new();
    for it in &all {
        while let Some((_, part, pseq)) = known.next_if(|(ended, ..)| *ended < it.begun) {
            let least = least.entry(part).or_default();
            *least = pseq.max(*least);
        }
        let least = least.get(&it.part).copied().unwrap_or_default();
        if it.pseq < least {
            let seen = format!("{it} rests on {} events; {least} were known before", it.pseq);
            found.push(Anomaly::new(promise::FACT_IS_NEW, seen));
        }
        check_told(it, commands, facts, found);
    }
}

fn check_told(it: &Answered, commands: &Commands, facts: &Facts, found: &mut Vec<Anomaly>) {
    let there = facts.customer_at(it.id, it.pseq).map(Stated::state_of);
    if it.told.state != there {
        let (told, pseq) = (&it.told.state, it.pseq);
        let seen = format!("{it} was told {told:?}, but is {there:?} at {pseq}");
        found.push(Anomaly::new(promise::FACT_IS_TRUE, seen));
    }
    let steps = facts.streams.get(&it.id).map(Vec::as_slice).unwrap_or_default();
    for step in steps.iter().take_while(|step| step.event.row.pseq <= it.pseq) {
        let sent = commands.get(&step.event.cause);
        if let Some(sent) = sent.filter(|sent| sent.begun > it.ended) {
            let seen = format!("{it} shows what was sent at {}", seconds(sent.begun));
            found.push(Anomaly::new(promise::FACT_IS_TRUE, seen));
        }
    }
}

fn answered<'a>(call: &'a Call, facts: &Facts) -> Option<Answered<'a>> {
    let Asked::Fact { id, told: Some(told) } = &call.asked else { return None };
    let part = partition_of(*id, facts.partitions());
    let pseq = facts.covered(&told.position, part);
    let (client, begun, ended) = (call.client, call.begun, call.ended?);
    Some(Answered { client, begun, ended, id: *id, told, part, pseq })
}

impl std::fmt::Display for Answered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (begun, ended) = (seconds(self.begun), seconds(self.ended));
        write!(
            f,
            "the question of client {} about {} from {begun} to {ended}",
            self.client, self.id
        )
    }
}
