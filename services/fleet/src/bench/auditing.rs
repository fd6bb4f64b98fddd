//! P10: all that is stored is compared with itself, beside a view that is built from the first event; and how much
//! memory that takes, of few events and of many.
use super::{
    report::Entry,
    stage::{Fleet, Stage},
    views::shown,
    write::drain,
};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{env, process::Command};

const FEW: usize = 50_000;
const MANY: usize = 200_000;

pub(super) async fn all_that_is_stored(stage: &Stage) -> anyhow::Result<Entry> {
    let mut entry = Entry::new("events/s");
    for round in 1..=stage.plan.rounds {
        for (name, events) in [("few", FEW), ("many", MANY)] {
            let fleet = stage.fleet(&format!("p10_{round}_{name}")).await?;
            stage.tell("P10", &format!("round {round}: {events} events are decided and shown"));
            drain(stage, &fleet, events, &mut Entry::default()).await?;
            let rebuild = shown(stage, &fleet, events, &mut entry).await?;
            stage.tell("P10", &format!("round {round}: {events} events are audited"));
            let report = audit(&fleet)?;
            let peak = report["memory_peak_kb"].as_f64().context("no peak of memory")?;
            entry.other(&format!("memory_mb_{name}"), peak / 1024.0);
            if name == "few" {
                continue;
            }
            entry.other("rebuild_per_second", rebuild);
            #[expect(clippy::cast_precision_loss, reason = "so many there will never be")]
            let events = events as f64;
            entry.value.add(events / report["seconds"].as_f64().context("no time")?);
            for (name, what) in [("fold", "events"), ("outcomes", "outcomes"), ("topic", "topic")] {
                let checked = report["checked"].as_array().context("nothing was checked")?;
                let is_it =
                    |it: &&Value| it["what"].as_str().is_some_and(|it| it.starts_with(what));
                let checked = checked.iter().find(is_it).with_context(|| format!("no {what}"))?;
                let rate = checked["events_per_second"].as_f64().context("no rate")?;
                entry.other(&format!("{name}_per_second"), rate);
            }
        }
    }
    entry.ratio("rebuild", "rebuild_per_second");
    entry.ratio_of("memory_of_four_times_as_many", "memory_mb_many", "memory_mb_few");
    entry.notes.push(
        "an audit folds both views, claims and snapshots in one pass over the events by stream, compares outcomes in \
        another one by command, and reads the topic; the rebuild beside it is of one of the two views"
            .to_owned(),
    );
    Ok(entry)
}

/// In a process of its own, for its memory.
fn audit(fleet: &Fleet) -> anyhow::Result<Value> {
    let program = env::current_exe().context("find this program")?;
    let out = Command::new(program)
        .args(["audit", "--json"])
        .args(fleet.options())
        .output()
        .context("start an audit")?;
    let text = String::from_utf8_lossy(&out.stdout);
    ensure!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    Ok(serde_json::from_str(&text)?)
}
