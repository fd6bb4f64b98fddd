//! P4: mutations a second over HTTP, each answered with its row.
use super::{
    latency::Services,
    load::{Load, Select},
    peers::figure,
    report::Entry,
    stage::Stage,
    usage::Usage,
    write::drain,
};
use crate::stack::Stopwatch;
use std::time::Duration;

/// Clients at the same time: as many as it takes to keep everything busy.
const CLIENTS: usize = 512;
const TIME: Duration = Duration::from_secs(6);
/// Commands of the round of P1 in between.
const COMMANDS: usize = 50_000;

pub(super) async fn mutations(stage: &Stage) -> anyhow::Result<Entry> {
    let (fleet, p1) = (stage.fleet("p4").await?, stage.fleet("p4_p1").await?);
    let mut entry = Entry::new("mutations/s");
    for round in 1..=stage.plan.rounds {
        stage.tell("P4", &format!("round {round}: {CLIENTS} clients"));
        let services = Services::start(&fleet).await?;
        let load = Load::on(&services.bff, Select::View)?;
        let (usage, time) = (Usage::now(), Stopwatch::start());
        let answers = load.clients(CLIENTS, TIME).await?;
        entry.processes = Usage::now().since(&usage, time.took());
        entry.value.add(answers.per_second);
        entry.other("p50_ms", answers.millis(0.5));
        entry.other("p99_ms", answers.millis(0.99));
        #[expect(clippy::cast_precision_loss, reason = "so many there will never be")]
        entry.other("failed", answers.failed as f64);
        drop(services);
        stage.tell("P4", &format!("round {round}: P1"));
        let rate = drain(stage, &p1, COMMANDS, &mut Entry::default()).await?;
        entry.other("p1_per_second", rate);
        let url = &stage.addresses().database_url;
        let arguments = ["view", "--database-url", url, "--writers", "64", "--seconds", "5"];
        if let Some(result) = stage.peers.peer("cqrs-es", &arguments).await? {
            entry.other("cqrs_es_one_view_per_second", figure(&result, "per_second")?);
        }
    }
    entry.ratio("p1", "p1_per_second");
    entry.ratio("cqrs_es_one_view", "cqrs_es_one_view_per_second");
    Ok(entry)
}
