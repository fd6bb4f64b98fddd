//! P6: how commands and mutations fare as events pile up.
use super::{
    commands::{append, invitation},
    latency::Services,
    load::{Load, Select},
    report::Entry,
    stage::{Fleet, Stage},
    usage::Usage,
    write::{drain, drain_hot},
};
use crate::stack::Stopwatch;
use shell::ids;
use std::time::Duration;

const FEW: usize = 10_000;
const MANY: usize = 1_000_000;
const MORE: usize = 10_000_000;
/// Events of one long stream.
const LONG: usize = 100_000;
/// Commands of a round.
const COMMANDS: usize = 50_000;
/// As many as are appended before they are decided.
const CHUNK: usize = 250_000;
const TIME: Duration = Duration::from_secs(5);

pub(super) async fn piled_up(stage: &Stage) -> anyhow::Result<Entry> {
    let mut entry = Entry::new("commands/s");
    let mut piles = vec![("1m", MANY)];
    if stage.plan.full {
        piles.push(("10m", MORE));
    }
    for (name, events) in piles {
        let many = stage.fleet(&format!("p6_{name}")).await?;
        fill(stage, "P6", &many, events).await?;
        for round in 1..=stage.plan.rounds {
            // A few each time anew: they would not stay few.
            let few = stage.fleet(&format!("p6_{name}_{round}")).await?;
            fill(stage, "P6", &few, FEW).await?;
            stage.tell("P6", &format!("round {round}: {FEW} and {events} events"));
            let rate = drain(stage, &few, COMMANDS, &mut Entry::default()).await?;
            entry.other(&format!("few_beside_{name}_per_second"), rate);
            let mut processes = Entry::default();
            let rate = drain(stage, &many, COMMANDS, &mut processes).await?;
            entry.other(&format!("with_{name}_per_second"), rate);
            if name == "1m" {
                entry.value.add(rate);
            }
            latency(stage, &few, &format!("few_beside_{name}"), &mut entry).await?;
            latency(stage, &many, &format!("with_{name}"), &mut entry).await?;
        }
        let ratio = |entry: &mut Entry, what: &str, unit: &str| {
            let (it, to) = (format!("with_{name}_{unit}"), format!("few_beside_{name}_{unit}"));
            entry.ratio_of(&format!("{what}_{name}_to_10k"), &it, &to);
        };
        ratio(&mut entry, "throughput", "per_second");
        ratio(&mut entry, "p50", "p50_ms");
        ratio(&mut entry, "p99", "p99_ms");
    }
    long_stream(stage, &mut entry).await?;
    Ok(entry)
}

/// Decides so many invitations, each of another customer.
pub(super) async fn fill(
    stage: &Stage,
    measure: &str,
    fleet: &Fleet,
    events: usize,
) -> anyhow::Result<()> {
    let mut stored = 0;
    while stored < events {
        stage.tell(measure, &format!("{stored} of {events} events are stored"));
        let chunk = CHUNK.min(events - stored);
        drain(stage, fleet, chunk, &mut Entry::default()).await?;
        stored += chunk;
    }
    Ok(())
}

/// One mutation in flight, without view fields.
async fn latency(
    stage: &Stage,
    fleet: &Fleet,
    name: &str,
    entry: &mut Entry,
) -> anyhow::Result<()> {
    let services = Services::start(fleet).await?;
    let load = Load::on(&services.bff, Select::Outcome)?;
    let (usage, time) = (Usage::now(), Stopwatch::start());
    let answers = load.one_in_flight(TIME).await?;
    for (process, it) in Usage::now().since(&usage, time.took()) {
        entry.processes.insert(format!("{process}, {name}"), it);
    }
    anyhow::ensure!(
        answers.are_whole(),
        "{} mutations failed: {:?}",
        answers.failed,
        answers.error
    );
    entry.other(&format!("{name}_p50_ms"), answers.millis(0.5));
    entry.other(&format!("{name}_p99_ms"), answers.millis(0.99));
    services.bff.stop(&stage.clock).await
}

/// Changes of one customer with a long history, by a handler that knows nothing of it yet, beside the same of a new
/// customer.
async fn long_stream(stage: &Stage, entry: &mut Entry) -> anyhow::Result<()> {
    let fleet = stage.fleet("p6_long").await?;
    let long = ids::new_id();
    append(&fleet, std::iter::once(invitation(long))).await?;
    stage.tell("P6", &format!("a stream of {LONG} events"));
    drain_hot(stage, &fleet, long, LONG, &mut Entry::default()).await?;
    for round in 1..=stage.plan.rounds {
        stage.tell("P6", &format!("round {round}: a stream of {LONG} events, and a new one"));
        let new = ids::new_id();
        append(&fleet, std::iter::once(invitation(new))).await?;
        let rate = drain_hot(stage, &fleet, new, COMMANDS / 2, &mut Entry::default()).await?;
        entry.other("new_stream_per_second", rate);
        let rate = drain_hot(stage, &fleet, long, COMMANDS / 2, &mut Entry::default()).await?;
        entry.other("stream_of_100k_per_second", rate);
    }
    entry.ratio_of("stream_of_100k_to_new", "stream_of_100k_per_second", "new_stream_per_second");
    Ok(())
}
