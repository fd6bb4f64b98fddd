//! Who had an address at what time, as far as it can be told without knowing the order of the commits: for certain
//! from the answer of the command that took it until the command that gave it back was sent; perhaps from when the one
//! was sent until the other was answered.
use super::{
    Anomaly,
    facts::{Facts, Outcome, Step},
    history::{Commands, Sent},
    model::{ALREADY_INVITED, Customer, EMAIL_TAKEN, value_of},
    promise, seconds,
};
use shared_events::Message as _;
use std::{collections::HashMap, time::Duration};
use uuid::Uuid;

struct Hold {
    stream: Uuid,
    perhaps: (Duration, Duration),
    /// Empty if it begins after it ends.
    certain: (Duration, Duration),
    /// When the command that took it was under way.
    taken: (Duration, Duration),
}

pub(super) fn check(commands: &Commands, facts: &Facts, found: &mut Vec<Anomaly>) {
    let mut holds: HashMap<String, Vec<Hold>> = HashMap::new();
    for (stream, steps) in &facts.streams {
        collect(*stream, steps, commands, &mut holds);
    }
    for (value, holds) in &mut holds {
        check_alone(value, holds, found);
    }
    for (id, outcome) in &facts.outcomes {
        if let Some(sent) = commands.get(id) {
            check_refusal(*id, sent, outcome, &holds, found);
        }
    }
}

/// What a customer held, one address after another.
fn collect(
    stream: Uuid,
    steps: &[Step],
    commands: &Commands,
    holds: &mut HashMap<String, Vec<Hold>>,
) {
    let mut had: Option<String> = None;
    for step in steps {
        let has = step.after.as_ref().and_then(Customer::value);
        if has == had {
            continue;
        }
        let Some(sent) = commands.get(&step.event.cause) else { return };
        let answered = sent.ended.unwrap_or(Duration::MAX);
        if let Some(hold) = had.and_then(|it| holds.get_mut(&it)).and_then(|it| it.last_mut()) {
            (hold.perhaps.1, hold.certain.1) = (answered, sent.begun);
        }
        if let Some(value) = has.clone() {
            holds.entry(value).or_default().push(Hold {
                stream,
                perhaps: (sent.begun, Duration::MAX),
                certain: (answered, Duration::MAX),
                taken: (sent.begun, answered),
            });
        }
        had = has;
    }
}

/// No two customers for certain at one time, nor one taken while another certainly had it.
fn check_alone(value: &str, holds: &mut [Hold], found: &mut Vec<Anomaly>) {
    holds.sort_by_key(|it| it.certain);
    let mut before: Option<&Hold> = None;
    for hold in holds.iter() {
        let Some(other) = before else {
            before = Some(hold);
            continue;
        };
        if other.stream != hold.stream
            && (hold.certain.0 < other.certain.1.min(hold.certain.1)
                || hold.taken.0 > other.certain.0 && hold.taken.1 < other.certain.1)
        {
            let seen = format!(
                "email {value:?} was of {} from {}, and of {} from {}",
                other.stream,
                seconds(other.certain.0),
                hold.stream,
                seconds(hold.certain.0),
            );
            found.push(Anomaly::new(promise::UNIQUE, seen));
        }
        if hold.certain.1 > other.certain.1 {
            before = Some(hold);
        }
    }
}

/// Whoever was refused an address because somebody has it: somebody may have had it meanwhile.
fn check_refusal(
    id: Uuid,
    sent: &Sent,
    outcome: &Outcome,
    holds: &HashMap<String, Vec<Hold>>,
    found: &mut Vec<Anomaly>,
) {
    let code = outcome.code.as_deref().unwrap_or_default();
    if code != ALREADY_INVITED && code != EMAIL_TAKEN {
        return;
    }
    let value = value_of(sent.command).unwrap_or_default();
    let own = sent.command.stream();
    let (begun, ended) = (sent.begun, sent.ended.unwrap_or(Duration::MAX));
    let mut holds = holds.get(&value).into_iter().flatten();
    let is_held = holds.any(|it| {
        let is_holder = outcome.holder.map_or(it.stream != own, |holder| it.stream == holder);
        is_holder && it.perhaps.0 <= ended && it.perhaps.1 >= begun
    });
    if !is_held {
        let seen = format!(
            "command {id} was refused {value:?} with {code} between {} and {}, when nobody had it",
            seconds(begun),
            seconds(ended)
        );
        found.push(Anomaly::new(promise::UNIQUE, seen));
    }
}
