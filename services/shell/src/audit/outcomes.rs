//! Outcomes and events name each other: what was accepted is there, and what is there was accepted.
use super::{
    Instant,
    difference::{Findings, Kind},
};
use crate::{
    clock::Clock,
    handler::outcome::read_outcome,
    port::store::{OutcomeRow, StoreError},
    postgres::Effect,
};
use chrono::{DateTime, TimeDelta, Utc};
use shared_events::fleet::{Reply, Verdict};
use std::{cmp::Ordering, collections::HashMap};

/// Outcomes are kept for seven days (protocol.md W5); what was decided a little before may have lost its own already.
const KEPT: TimeDelta = TimeDelta::hours(7 * 24 - 1);

/// All events of one command, and its outcome.
struct Command<'a> {
    events: &'a [Effect],
    outcome: Option<&'a OutcomeRow>,
}

/// What both are compared with.
struct Ledger<'a> {
    context: &'a str,
    /// The number of events of each partition.
    pseqs: HashMap<i32, i64>,
    /// Events before this instant may have no outcome any more.
    since: DateTime<Utc>,
}

/// Goes through events and outcomes by the ids of their commands.
pub(super) async fn check(
    clock: &Clock,
    instant: &Instant,
    findings: &mut Findings<'_>,
) -> Result<(), StoreError> {
    let began = clock.elapsed();
    let snapshot = instant.own();
    let ledger = Ledger {
        context: instant.context,
        pseqs: instant.ledger.iter().map(|it| (it.part, it.pseq)).collect(),
        since: snapshot.now().await? - KEPT,
    };
    let (mut effects, mut outcomes) = (snapshot.effects(), snapshot.outcomes());
    let (mut seen, mut count) = (0, 0);
    loop {
        let effect = effects.peek().await?.map(|it| it.causation.clone().unwrap_or_default());
        let outcome = outcomes.peek().await?.map(|it| it.command_id.to_string());
        let (has_events, has_outcome) = match (&effect, &outcome) {
            (None, None) => break,
            (Some(_), None) => (true, false),
            (None, Some(_)) => (false, true),
            (Some(effect), Some(outcome)) => {
                let order = effect.cmp(outcome);
                (order != Ordering::Greater, order != Ordering::Less)
            }
        };
        let Some(id) = (if has_events { effect } else { outcome }) else { break };
        let mut events = Vec::new();
        while has_events
            && effects
                .peek()
                .await?
                .is_some_and(|it| it.causation.as_deref().unwrap_or_default() == id)
        {
            // One command makes few events; of one that made more than these, the last ones count.
            if events.len() >= EVENTS_MAX {
                events.remove(1);
            }
            events.extend(effects.next().await?);
            seen += 1;
        }
        let outcome = if has_outcome { outcomes.next().await? } else { None };
        count += u64::from(outcome.is_some());
        let command = Command { events: &events, outcome: outcome.as_ref() };
        if let Some((expected, found)) = wrong(&command, &ledger) {
            let name = if id.is_empty() { "no id" } else { &id };
            findings.differ(Kind::Outcome, format!("command {name}"), expected, found, None);
        }
        if (seen + count) % 1000 == 0 {
            findings.watcher.progress("outcomes", seen, instant.events());
        }
    }
    findings.checked(
        "outcomes: the events that they name",
        count,
        seen,
        clock.elapsed().saturating_sub(began),
    );
    Ok(())
}

const EVENTS_MAX: usize = 10_000;

/// What is expected, and what was found instead.
fn wrong(command: &Command<'_>, ledger: &Ledger<'_>) -> Option<(String, String)> {
    let Command { events, outcome, .. } = command;
    let Some(outcome) = outcome else {
        let last = events.iter().max_by_key(|it| it.at)?;
        let is_forgotten = last.at < ledger.since;
        return (!is_forgotten).then(|| ("an outcome".to_owned(), told(last)));
    };
    let reply = match read_outcome(&outcome.body) {
        Ok(reply) => reply,
        Err(error) => return Some(("an outcome that can be read".into(), error.to_string())),
    };
    if reply.command_id != outcome.command_id {
        return Some(("its own outcome".into(), format!("that of command {}", reply.command_id)));
    }
    for it in reply.position.iter().filter(|it| it.context == ledger.context) {
        let pseq = ledger.pseqs.get(&it.partition).copied().unwrap_or_default();
        if it.pseq > pseq {
            let expected = format!("event {} of partition {}", it.pseq, it.partition);
            return Some((expected, format!("{pseq} events there")));
        }
    }
    match (reply.verdict, events.last()) {
        (Verdict::Rejected, Some(event)) => {
            Some(("no event, as it was rejected".into(), told(event)))
        }
        (Verdict::Accepted, Some(last)) => names_other_events(&reply, outcome, events, last),
        (_, None) => None,
    }
}

/// An outcome says where the last event stands, and which version the stream has then.
fn names_other_events(
    reply: &Reply,
    outcome: &OutcomeRow,
    events: &[Effect],
    last: &Effect,
) -> Option<(String, String)> {
    let own = reply.position.first();
    let is_named = own.is_some_and(|it| (it.partition, it.pseq) == (last.part, last.pseq))
        && (reply.stream, reply.version) == (last.stream, last.version)
        && outcome.part == last.part;
    let is_one = events.windows(2).all(|it| {
        let [a, b] = it else { return true };
        (b.part, b.stream) == (a.part, a.stream) && b.pseq - a.pseq == b.version - a.version
    });
    (!(is_named && is_one)).then(|| {
        let place = own.map_or_else(String::new, |it| {
            format!("event {} of partition {}, ", it.pseq, it.partition)
        });
        (format!("{place}version {} of stream {}", reply.version, reply.stream), told(last))
    })
}

fn told(it: &Effect) -> String {
    format!(
        "event {} of partition {}, version {} of stream {}",
        it.pseq, it.part, it.version, it.stream
    )
}
