//! Every command has one outcome and at most one effect, and whoever sent it was told so.
use super::{
    Anomaly, Asked, History, Told,
    facts::{Event, Facts, Outcome},
    history::Commands,
    model::value_of,
    promise,
};
use customers::email::normal_form;
use shared_events::Message as _;
use shell::partition::partition_of;
use uuid::Uuid;

pub(super) fn check(
    history: &History,
    commands: &Commands,
    facts: &Facts,
    found: &mut Vec<Anomaly>,
) {
    for event in facts.events {
        check_cause(event, commands, facts, found);
    }
    for (id, outcome) in &facts.outcomes {
        check_outcome(*id, outcome, commands, facts, found);
    }
    for call in &history.calls {
        if let Asked::Command { command_id, told: Some(told), .. } = &call.asked {
            check_told(*command_id, told, commands, facts, found);
        }
    }
    for it in &facts.stored.dead_letters {
        let id = it.command_id.unwrap_or_default();
        let seen = format!("command {id}: {}, {}", it.code, it.reason);
        found.push(Anomaly::new(promise::NO_DEAD_LETTERS, seen));
    }
}

fn check_cause(event: &Event, commands: &Commands, facts: &Facts, found: &mut Vec<Anomaly>) {
    let (id, row) = (event.cause, event.row);
    let what = || {
        format!(
            "event {} of partition {}, version {} of {}",
            row.pseq, row.part, row.version, row.stream
        )
    };
    // No command on a customer makes two things happen.
    if let Some(first) = facts.effects.get(&id).filter(|it| !std::ptr::eq(**it, event)) {
        let seen = format!(
            "command {id} made {} happen, and event {} of partition {}",
            what(),
            first.row.pseq,
            first.row.part
        );
        found.push(Anomaly::new(promise::ONE_EFFECT, seen));
    }
    match (facts.outcomes.get(&id), commands.get(&id)) {
        (None, None) => {
            found.push(Anomaly::new(promise::ASKED, format!("{} by {id}", what())));
        }
        (None, Some(_)) => {
            let seen = format!("command {id} made {} happen, and has no outcome", what());
            found.push(Anomaly::new(promise::ONE_OUTCOME, seen));
        }
        (Some(outcome), _) if !outcome.accepted => {
            let seen = format!("command {id} was refused, and made {} happen", what());
            found.push(Anomaly::new(promise::ONE_EFFECT, seen));
        }
        (Some(outcome), sent) => {
            if sent.is_some_and(|it| it.command.stream() != row.stream) {
                let seen = format!("command {id} was for another customer than {}", what());
                found.push(Anomaly::new(promise::ONE_EFFECT, seen));
            }
            if outcome.version != row.version {
                let seen =
                    format!("command {id} was answered version {}: {}", outcome.version, what());
                found.push(Anomaly::new(promise::TOLD, seen));
            }
            if (outcome.part, outcome.own) != (row.part, row.pseq) {
                let seen = format!("command {id} was answered {}: {}", outcome.own, what());
                found.push(Anomaly::new(promise::POSITION, seen));
            }
        }
    }
}

fn check_outcome(
    id: Uuid,
    outcome: &Outcome,
    commands: &Commands,
    facts: &Facts,
    found: &mut Vec<Anomaly>,
) {
    if outcome.accepted == outcome.code.is_some() {
        let seen = format!("command {id} is both accepted and refused, or neither");
        found.push(Anomaly::new(promise::READABLE, seen));
    }
    let Some(sent) = commands.get(&id) else {
        found.push(Anomaly::new(promise::ASKED, format!("command {id} has an outcome")));
        return;
    };
    let home = partition_of(sent.command.stream(), facts.partitions());
    if outcome.part != home {
        let seen = format!("command {id} was decided in {}, not in {home}", outcome.part);
        found.push(Anomaly::new(promise::PLACES, seen));
    }
    // What an invitation that was accepted made happen is there; whether others had an effect depends on the order.
    let is_new =
        matches!(sent.command, shared_events::customers::CustomerCommand::InviteCustomer(_));
    if outcome.accepted && is_new && !facts.effects.contains_key(&id) {
        let seen = format!("command {id} was accepted, and nothing happened");
        found.push(Anomaly::new(promise::ONE_EFFECT, seen));
    }
    // Whoever reads with the position of a refusal sees the customer who has the address (protocol.md R2).
    if let Some(holder) = outcome.holder {
        let pseq = facts.covered(&outcome.position, partition_of(holder, facts.partitions()));
        let shown = facts.customer_at(holder, pseq).map(|it| normal_form(&it.email));
        if shown.is_none() || shown != value_of(sent.command) {
            let seen = format!("command {id}: at {pseq}, {holder} has {shown:?}");
            found.push(Anomaly::new(promise::POSITION, seen));
        }
    }
    for it in outcome.position.entries() {
        let last = facts.ledger.get(&it.part).filter(|row| row.incarnation == it.incarnation);
        if last.is_none_or(|row| it.pseq > row.pseq) {
            let seen =
                format!("command {id}: event {} of partition {} is not there", it.pseq, it.part);
            found.push(Anomaly::new(promise::POSITION, seen));
        }
    }
}

fn check_told(id: Uuid, told: &Told, commands: &Commands, facts: &Facts, found: &mut Vec<Anomaly>) {
    let Some(outcome) = facts.outcomes.get(&id) else {
        let seen = format!("command {id} was answered {:?}, and has no outcome", told.code);
        found.push(Anomaly::new(promise::TOLD, seen));
        return;
    };
    if told.is_reused() {
        if !commands.contains_key(&id) {
            let seen = format!("command {id} was answered that its id was used, and it was not");
            found.push(Anomaly::new(promise::TOLD, seen));
        }
        return;
    }
    let stored = (&outcome.code, outcome.holder, outcome.version);
    let answer = (&told.code, told.holder, told.version.unwrap_or(outcome.version));
    if stored != answer {
        let seen = format!("command {id} was answered {answer:?}, and is {stored:?}");
        found.push(Anomaly::new(promise::TOLD, seen));
    }
    // A client's position also has what it saw before.
    for it in outcome.position.entries() {
        let covered = facts.covered(&told.position, it.part);
        if covered < it.pseq {
            let seen =
                format!("command {id} was answered {covered} of {}, not {}", it.part, it.pseq);
            found.push(Anomaly::new(promise::POSITION, seen));
        }
    }
}
