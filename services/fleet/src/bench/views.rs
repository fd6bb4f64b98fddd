//! P5: events into a view.
use super::{
    peers::figure,
    report::Entry,
    stage::{Fleet, Stage},
    usage::Usage,
    write::drain,
};
use crate::stack::Stopwatch;
use anyhow::bail;
use customers::views::Customer;
use shell::{
    port::store::{Generation, GenerationState, Generations as _, Store as _},
    view::ViewDefinition,
};
use std::time::Duration;

/// Events of a round, each of another customer: each makes a row.
const EVENTS: usize = 100_000;

pub(super) async fn events(stage: &Stage) -> anyhow::Result<Entry> {
    let mut entry = Entry::new("events/s");
    for round in 1..=stage.plan.rounds {
        let fleet = stage.fleet(&format!("p5_{round}")).await?;
        stage.tell("P5", &format!("round {round}: from the first event"));
        drain(stage, &fleet, EVENTS, &mut Entry::default()).await?;
        let rebuild = shown(stage, &fleet, EVENTS, &mut entry).await?;
        entry.other("rebuild_per_second", rebuild);
        stage.tell("P5", &format!("round {round}: live"));
        drain(stage, &fleet, EVENTS, &mut Entry::default()).await?;
        let live = shown(stage, &fleet, 2 * EVENTS, &mut entry).await?;
        entry.value.add(live);
        peers(stage, round, &mut entry).await?;
    }
    entry.ratio("copy_live", "copy_per_second");
    for (name, to) in [
        ("copy_rebuild", "copy"),
        ("emmett_rebuild", "emmett_rebuild"),
        ("disintegrate_rebuild", "disintegrate_rebuild"),
    ] {
        entry.ratio_of(name, "rebuild_per_second", &format!("{to}_per_second"));
    }
    entry.notes.push(
        "the aggregator keeps two views, each on a thread of its own; the figure is that of `customer`, while \
        the other one is kept as well"
            .to_owned(),
    );
    Ok(entry)
}

/// Starts an aggregator, and waits until the view has so many events: events a second, from when it was first seen
/// to move.
pub(super) async fn shown(
    stage: &Stage,
    fleet: &Fleet,
    until: usize,
    entry: &mut Entry,
) -> anyhow::Result<f64> {
    let until = i64::try_from(until)?;
    let view = ViewDefinition::of::<Customer>("customers");
    let mut views = fleet.shell.postgres.views("customers");
    let of = Generation { table: view.table, hash: view.hash.clone(), generation: 1 };
    let mut now = async || -> anyhow::Result<i64> {
        Ok(views.checkpoints(&of).await?.iter().map(|it| it.pseq).sum())
    };
    let is_live = async || -> anyhow::Result<bool> {
        let rows = fleet.shell.postgres.views("customers").generations(&view).await?;
        Ok(rows.iter().any(|it| it.of == of && it.state == GenerationState::Live))
    };
    let before = now().await?;
    let aggregator = fleet.begin(&["customers-aggregator"])?;
    let (usage, patience) = (Usage::now(), Stopwatch::start());
    let mut first = None;
    let rate = loop {
        let at = now().await?;
        if first.is_none() && at > before {
            first = Some((Stopwatch::start(), at));
        }
        if let Some((watch, from)) = first
            && at >= until
            // Its indexes are part of it.
            && is_live().await?
        {
            #[expect(clippy::cast_precision_loss, reason = "so many there will never be")]
            let events = (at - from) as f64;
            break events / watch.took().as_secs_f64();
        }
        if patience.took() > PATIENCE {
            bail!("the view has {at} of {until} events after {PATIENCE:?}");
        }
        stage.clock.sleep(PULSE).await;
    };
    entry.processes = Usage::now().since(&usage, patience.took());
    aggregator.stop(&stage.clock).await?;
    Ok(rate)
}

async fn peers(stage: &Stage, round: usize, entry: &mut Entry) -> anyhow::Result<()> {
    let url = &stage.addresses().database_url;
    stage.tell("P5", &format!("round {round}: COPY, and the peers"));
    let rows = EVENTS.to_string();
    let copy = stage.peers.limit(&["copy", "--database-url", url, "--rows", &rows]).await?;
    entry.other("copy_per_second", figure(&copy, "per_second")?);
    for name in ["emmett", "disintegrate"] {
        let arguments = ["rebuild", "--database-url", url, "--events", "2000"];
        if let Some(result) = stage.peers.peer(name, &arguments).await? {
            entry.other(&format!("{name}_rebuild_per_second"), figure(&result, "per_second")?);
        }
    }
    Ok(())
}

const PULSE: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_mins(5);
