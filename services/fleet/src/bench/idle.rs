//! P7: what the fleet takes when nothing happens, and how long it takes to start and to recover.
use super::{
    latency::Services,
    load::{Load, Select},
    report::Entry,
    stage::Stage,
    usage::Usage,
};
use crate::stack::{Server, Stopwatch};
use serde_json::json;
use shell::ids;
use std::time::Duration;
use tokio::task::JoinSet;

const IDLE: Duration = Duration::from_secs(15);
/// Some for each partition.
const MUTATIONS: usize = 36;

pub(super) async fn at_rest(stage: &Stage) -> anyhow::Result<Entry> {
    let fleet = stage.fleet("p7").await?;
    let mut entry = Entry::new("processors");
    for round in 1..=stage.plan.rounds {
        stage.tell("P7", &format!("round {round}: start"));
        let watch = Stopwatch::start();
        let services = Services::start(&fleet).await?;
        entry.other("start_seconds", watch.took().as_secs_f64());
        let load = Load::on(&services.bff, Select::View)?;
        answered(&load, 1).await;
        entry.other("first_answer_seconds", watch.took().as_secs_f64());

        stage.tell("P7", &format!("round {round}: idle"));
        let (before, time) = (Usage::now(), Stopwatch::start());
        stage.clock.sleep(IDLE).await;
        entry.processes = Usage::now().since(&before, time.took());
        let idle = entry.processes.iter().filter(|(name, _)| *name != "bench");
        entry.value.add(idle.filter_map(|(_, it)| it["processors"].as_f64()).sum());

        stage.tell("P7", &format!("round {round}: a handler is killed, another one takes over"));
        let standby = fleet.start(&["customers-handler"]).await?;
        answered(&load, MUTATIONS).await;
        services.handler.kill();
        let watch = Stopwatch::start();
        answered(&load, MUTATIONS).await;
        entry.other("handler_killed_seconds", watch.took().as_secs_f64());

        stage.tell("P7", &format!("round {round}: Kafka is killed, and started again"));
        for (server, name) in [(Server::Kafka, "kafka"), (Server::Postgres, "postgres")] {
            stage.stack().kill(server).await;
            let watch = Stopwatch::start();
            stage.stack().start_again(server).await?;
            entry.other(&format!("{name}_start_seconds"), watch.took().as_secs_f64());
            let watch = Stopwatch::start();
            answered(&load, MUTATIONS).await;
            entry.other(&format!("after_{name}_killed_seconds"), watch.took().as_secs_f64());
        }
        standby.stop(&stage.clock).await?;
        services.aggregator.stop(&stage.clock).await?;
    }
    entry.notes.push(
        "after_…_killed counts from when the server answers again until all partitions have answered".to_owned(),
    );
    Ok(entry)
}

/// Sends mutations of so many customers, each with the same command id until it is answered with its row.
async fn answered(load: &Load, count: usize) {
    let mut clients = JoinSet::new();
    for _ in 0..count {
        let load = load.clone();
        clients.spawn(async move {
            let id = ids::new_id();
            let input = json!({ "commandId": id, "email": super::commands::email(id) });
            let mut pulse = tokio::time::interval(Duration::from_millis(20));
            while load.send(&input).await.is_err() {
                pulse.tick().await;
            }
        });
    }
    while clients.join_next().await.is_some() {}
}
