//! P11: views of a million events built again beside what is read, against COPY of as many rows; and how much memory
//! that takes, of few events and of many.
use super::{
    disk::for_a_million,
    history::fill,
    peers::figure,
    process::Process,
    report::Entry,
    stage::{Fleet, Stage},
    usage::Usage,
    views::shown,
};
use crate::stack::Stopwatch;
use anyhow::{Context as _, bail};
use customers::views::{Customer, InvitationsPerDay};
use shell::{
    port::store::{BuildOrder, CutOver, GenerationState, Generations as _, Store as _},
    view::ViewDefinition,
};
use std::time::Duration;

const FEW: usize = 100_000;
const MANY: usize = 1_000_000;
const MORE: usize = 10_000_000;

pub(super) async fn beside_what_is_read(stage: &Stage) -> anyhow::Result<Entry> {
    let mut entry = Entry::new("events/s");
    let rows = ViewDefinition::of::<Customer>("customers");
    let spanning = ViewDefinition::of::<InvitationsPerDay>("customers");
    let events = if stage.plan.full { MORE } else { MANY };
    let few = piled_up(stage, "p11_few", FEW).await?;
    let many = piled_up(stage, "p11_many", events).await?;
    for_a_million(stage, &many, events, &mut entry)?;
    for round in 1..=stage.plan.rounds {
        // A process of its own each time, for its memory.
        for (name, fleet, events) in [("few", &few, FEW), ("many", &many, events)] {
            let aggregator = fleet.start(&["customers-aggregator"]).await?;
            stage.tell("P11", &format!("round {round}: a row an event, {events} events"));
            let usage = (Usage::now(), Stopwatch::start());
            let rate = rebuilt(stage, fleet, &rows, events).await?;
            if name == "many" {
                entry.value.add(rate);
                entry.processes = Usage::now().since(&usage.0, usage.1.took());
            }
            entry.other(&format!("memory_mb_{name}"), peak_mb(&aggregator)?);
            if name == "many" {
                stage.tell("P11", &format!("round {round}: few rows of many events"));
                let rate = rebuilt(stage, fleet, &spanning, events).await?;
                entry.other("spanning_view_per_second", rate);
            }
            aggregator.stop(&stage.clock).await?;
        }
        copies(stage, round, events, &mut entry).await?;
    }
    entry.ratio("copy", "copy_per_second");
    entry.ratio("copy_then_indexes", "copy_then_indexes_per_second");
    entry.ratio_of("memory_of_many_to_few", "memory_mb_many", "memory_mb_few");
    entry.notes.push(
        "from the order until it is read, its indexes and its being put in place included, while the aggregator keeps \
        both views as they are; COPY writes the same columns into a table with the same indexes, or into one that has \
        only its primary key and gets the others afterwards"
            .to_owned(),
    );
    Ok(entry)
}

/// A fleet whose views have so many events.
async fn piled_up(stage: &Stage, name: &str, events: usize) -> anyhow::Result<Fleet> {
    let fleet = stage.fleet(name).await?;
    fill(stage, "P11", &fleet, events).await?;
    shown(stage, &fleet, events, &mut Entry::default()).await?;
    Ok(fleet)
}

/// Orders another generation, and waits until it is read; events a second of all that it took.
async fn rebuilt(
    stage: &Stage,
    fleet: &Fleet,
    view: &ViewDefinition,
    events: usize,
) -> anyhow::Result<f64> {
    let mut views = fleet.shell.postgres.views("customers");
    let order = BuildOrder { cut_over: CutOver::Auto, as_of: None, events_per_second_max: None };
    let watch = Stopwatch::start();
    let of = views.begin(view, view.checkpoints(fleet.shell.config.partitions), &order).await?;
    loop {
        let rows = views.generations(view).await?;
        let it = rows.iter().find(|it| it.of == of).context("the generation is gone")?;
        if it.state == GenerationState::Live {
            break;
        }
        if watch.took() > PATIENCE {
            bail!("generation {} of {} is not read after {PATIENCE:?}", of.generation, of.table);
        }
        stage.clock.sleep(PULSE).await;
    }
    #[expect(clippy::cast_precision_loss, reason = "so many there will never be")]
    let rate = events as f64 / watch.took().as_secs_f64();
    // What was read before would only take room.
    for it in views.generations(view).await? {
        if it.of != of {
            views.drop_generation(&it.of).await?;
        }
    }
    Ok(rate)
}

fn peak_mb(aggregator: &Process) -> anyhow::Result<f64> {
    aggregator.memory_peak_mb().context("the system does not tell how much memory a process had")
}

async fn copies(stage: &Stage, round: usize, rows: usize, entry: &mut Entry) -> anyhow::Result<()> {
    let (url, rows) = (&stage.addresses().database_url, rows.to_string());
    for (indexes, name) in [("before", "copy"), ("after", "copy_then_indexes")] {
        stage.tell("P11", &format!("round {round}: COPY, indexes made {indexes} it"));
        let arguments = ["copy", "--database-url", url, "--rows", &rows, "--indexes", indexes];
        let copy = stage.peers.limit(&arguments).await?;
        entry.other(&format!("{name}_per_second"), figure(&copy, "per_second")?);
    }
    Ok(())
}

const PULSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_mins(30);
