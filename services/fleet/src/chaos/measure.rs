//! How long faults were felt.
use super::{PARTITIONS, plan::Harm, plan::Victim, suffer::Suffered};
use crate::{stack::Server, trial::Waits};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// Faults that happened together, until all went on.
#[derive(Clone, Debug)]
pub(super) struct Episode {
    pub(super) faults: Vec<Suffered>,
    /// From the first of them.
    pub(super) begun: Duration,
    /// Until mutations were answered in every partition again.
    pub(super) until: Duration,
}

/// What was felt of a kind of fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Felt {
    /// What happened, and to what.
    pub fault: String,
    /// How often.
    pub count: usize,
    /// The longest that anybody waited for the answer to a mutation, in seconds: so long was its key unavailable.
    pub longest_s: f64,
    /// Attempts of clients that had no final answer.
    pub attempts_failed: usize,
}

/// How fast the fleet recovers; the longest of all times.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Recovery {
    /// Handlers that were killed while nothing else was wrong.
    pub handlers_killed: usize,
    /// From the kill of a handler until a mutation was answered in each of its partitions, in seconds.
    pub handler_killed_s: Option<f64>,
    /// Returns of Kafka while nothing else was wrong.
    pub broker_returns: usize,
    /// From its return until a mutation was answered in every partition, in seconds.
    pub broker_back_s: Option<f64>,
    /// Planned stops of handlers while nothing else was wrong.
    pub planned_stops: usize,
    /// The longest mutation while a handler handed over, in milliseconds.
    pub planned_pause_ms: Option<f64>,
    /// Attempts that failed meanwhile.
    pub planned_failures: usize,
}

/// Answers that were on their way when the one who gave them was killed.
const ON_THEIR_WAY: Duration = Duration::from_millis(100);
/// A hand-over is felt for a moment after the former owner has gone.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// How long after `since` each of these partitions had answered.
fn answers(waits: &Waits, parts: &[i32], since: Duration) -> Option<Duration> {
    let first = |part: &i32| {
        let mine = waits.of(*part);
        let new = mine.filter(|it| {
            it.begun >= since && it.ended >= since || it.ended >= since + ON_THEIR_WAY
        });
        new.map(|it| it.ended.saturating_sub(since)).min()
    };
    parts.iter().filter_map(first).max()
}

/// By kind of fault; those that came together are one kind.
pub(super) fn felt(waits: &Waits, episodes: &[Episode]) -> Vec<Felt> {
    let mut all: BTreeMap<String, Felt> = BTreeMap::new();
    for it in episodes {
        let name = match it.faults.as_slice() {
            [one] => one.fault.victim.name(one.fault.harm),
            _ => "several at once".to_owned(),
        };
        let felt = all.entry(name.clone()).or_insert(Felt { fault: name, ..Felt::default() });
        felt.count += 1;
        let longest = waits.longest(it.begun, it.until).as_secs_f64();
        felt.longest_s = felt.longest_s.max(longest);
        felt.attempts_failed += waits.failures(it.begun, it.until);
    }
    all.into_values().collect()
}

pub(super) fn recovery(waits: &Waits, episodes: &[Episode]) -> Recovery {
    let mut all = Recovery::default();
    let longer = |so_far: &mut Option<f64>, it: f64| {
        *so_far = Some(so_far.map_or(it, |so_far| so_far.max(it)));
    };
    let alone = episodes.iter().filter_map(|it| match it.faults.as_slice() {
        [one] => Some(one),
        _ => None,
    });
    for it in alone {
        match (it.fault.harm, it.fault.victim) {
            (Harm::Kill, Victim::Handler(_)) => {
                if let Some(took) = answers(waits, &it.parts, it.begun) {
                    all.handlers_killed += 1;
                    longer(&mut all.handler_killed_s, took.as_secs_f64());
                }
            }
            (Harm::Kill | Harm::Stop, Victim::Server(Server::Kafka)) => {
                let parts: Vec<i32> = (0..PARTITIONS).collect();
                if let Some(took) = answers(waits, &parts, it.over) {
                    all.broker_returns += 1;
                    longer(&mut all.broker_back_s, took.as_secs_f64());
                }
            }
            (Harm::Stop, Victim::Handler(_)) => {
                let to = it.ended + AFTERWARDS.min(it.over.saturating_sub(it.ended));
                all.planned_stops += 1;
                all.planned_failures += waits.failures(it.begun, to);
                let longest = waits.longest(it.begun, to).as_secs_f64() * 1000.0;
                longer(&mut all.planned_pause_ms, longest);
            }
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chaos::plan::Fault, trial::Wait};

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const fn wait(part: i32, begun: u64, ended: u64) -> Wait {
        Wait { part, begun: at(begun), ended: at(ended) }
    }

    fn episode(harm: Harm, victim: Victim, parts: Vec<i32>) -> Episode {
        let fault = Fault { harm, victim, after: at(0), lasts: at(1) };
        let one = Suffered { fault, begun: at(10), ended: at(11), over: at(12), parts };
        Episode { faults: vec![one], begun: at(10), until: at(20) }
    }

    #[test]
    fn the_longest_wait_and_the_next_answers_are_found() {
        let waits = vec![
            wait(0, 1, 9),
            wait(0, 9, 10),
            wait(0, 10, 16),
            wait(1, 8, 14),
            wait(1, 14, 15),
            wait(2, 30, 60),
        ];
        let waits = Waits { waits, failed: vec![at(3), at(12)] };
        let killed = episode(Harm::Kill, Victim::Handler(0), vec![0, 1]);
        let felt = felt(&waits, std::slice::from_ref(&killed));
        let expected = Felt {
            fault: "handler killed".to_owned(),
            count: 1,
            longest_s: 6.0,
            attempts_failed: 1,
        };
        assert_eq!(felt, [expected]);
        let both = [killed, episode(Harm::Stop, Victim::Handler(0), vec![])];
        let recovery = recovery(&waits, &both);
        assert_eq!(recovery.handler_killed_s, Some(6.0));
        assert_eq!((recovery.planned_pause_ms, recovery.planned_failures), (Some(6000.0), 0));
    }
}
