//! P1 and P2: commands through Kafka, each on a stream of its own, and all on one.
use super::{
    commands::{append, changes, invitation, invitations},
    decided::{Decided, Watch},
    peers::figure,
    report::Entry,
    stage::{Fleet, Stage},
    usage::Usage,
};
use crate::stack::Stopwatch;
use shell::ids;
use uuid::Uuid;

/// Commands of a round.
const COMMANDS: usize = 100_000;

pub(super) async fn disjoint(stage: &Stage) -> anyhow::Result<Entry> {
    let fleet = stage.fleet("p1").await?;
    let mut entry = Entry::new("commands/s");
    // A round that does not count: files are made, caches fill.
    drain(stage, &fleet, COMMANDS / 5, &mut Entry::default()).await?;
    for round in 1..=stage.plan.rounds {
        stage.tell("P1", &format!("round {round}: the fleet"));
        let rate = drain(stage, &fleet, COMMANDS, &mut entry).await?;
        entry.value.add(rate);
        for batch in ["1000", "100"] {
            stage.tell("P1", &format!("round {round}: raw SQL, {batch} a transaction"));
            let rows = if batch == "1000" { COMMANDS } else { COMMANDS / 2 };
            for (claims, suffix) in [("--claims false", ""), ("--claims true", "_with_claims")] {
                let result = raw_sql(stage, &fleet, batch, rows, claims).await?;
                entry.other(&format!("raw_sql_{batch}{suffix}_per_second"), result);
            }
        }
        peers(stage, round, &mut entry).await?;
    }
    for name in [
        "raw_sql_1000",
        "raw_sql_100",
        "raw_sql_1000_with_claims",
        "raw_sql_100_with_claims",
        "cqrs_es",
        "disintegrate",
        "emmett",
    ] {
        entry.ratio(name, &format!("{name}_per_second"));
    }
    entry.notes.push(
        "an invitation also takes a unique e-mail address, which is one more row a command: \
        raw_sql_…_with_claims writes it too, raw_sql_… does not, and no peer does"
            .to_owned(),
    );
    Ok(entry)
}

/// How fast a handler decides what waits for it.
pub(super) async fn drain(
    stage: &Stage,
    fleet: &Fleet,
    count: usize,
    entry: &mut Entry,
) -> anyhow::Result<f64> {
    let mut watch = Watch::of(fleet);
    let before = watch.now().await?;
    append(fleet, invitations(count)).await?;
    decide(stage, fleet, &mut watch, before, count, entry).await
}

/// The same for changes of one customer, who is invited before.
pub(super) async fn drain_hot(
    stage: &Stage,
    fleet: &Fleet,
    customer: Uuid,
    count: usize,
    entry: &mut Entry,
) -> anyhow::Result<f64> {
    let mut watch = Watch::of(fleet);
    let before = watch.now().await?;
    append(fleet, changes(customer, count)).await?;
    decide(stage, fleet, &mut watch, before, count, entry).await
}

async fn decide(
    stage: &Stage,
    fleet: &Fleet,
    watch: &mut Watch<'_>,
    before: Decided,
    count: usize,
    entry: &mut Entry,
) -> anyhow::Result<f64> {
    // All of it waits before the first is decided: the load costs nothing meanwhile.
    let handler = fleet.begin(&["customers-handler"])?;
    let (usage, time) = (Usage::now(), Stopwatch::start());
    let rate = watch.rate(before, count).await?;
    entry.processes = Usage::now().since(&usage, time.took());
    handler.stop(&stage.clock).await?;
    Ok(rate)
}

async fn raw_sql(
    stage: &Stage,
    fleet: &Fleet,
    batch: &str,
    rows: usize,
    option: &str,
) -> anyhow::Result<f64> {
    let (url, rows, from) = (&stage.addresses().database_url, rows.to_string(), fleet.database());
    let mut arguments = vec!["append", "--database-url", url, "--from", &from];
    arguments.extend(["--batch", batch, "--rows", &rows]);
    arguments.extend(option.split(' '));
    figure(&stage.peers.limit(&arguments).await?, "per_second")
}

pub(super) async fn hot(stage: &Stage) -> anyhow::Result<Entry> {
    let (fleet, p1) = (stage.fleet("p2").await?, stage.fleet("p2_p1").await?);
    let mut entry = Entry::new("commands/s");
    for round in 1..=stage.plan.rounds {
        stage.tell("P2", &format!("round {round}: the fleet"));
        let customer = ids::new_id();
        append(&fleet, std::iter::once(invitation(customer))).await?;
        // The first round of all warms up.
        if round == 1 {
            drain_hot(stage, &fleet, customer, COMMANDS / 10, &mut Entry::default()).await?;
        }
        let rate = drain_hot(stage, &fleet, customer, COMMANDS / 2, &mut entry).await?;
        entry.value.add(rate);
        stage.tell("P2", &format!("round {round}: P1, and raw SQL to one stream"));
        let rate = drain(stage, &p1, COMMANDS / 2, &mut Entry::default()).await?;
        entry.other("p1_per_second", rate);
        let rate = raw_sql(stage, &fleet, "1000", COMMANDS / 2, "--hot true").await?;
        entry.other("raw_sql_1000_per_second", rate);
        stage.tell("P2", &format!("round {round}: cqrs-es"));
        let url = &stage.addresses().database_url;
        let arguments = ["hot", "--database-url", url, "--writers", "64", "--seconds", "5"];
        if let Some(result) = stage.peers.peer("cqrs-es", &arguments).await? {
            entry.other("cqrs_es_per_second", figure(&result, "per_second")?);
        }
    }
    for (name, to) in [("p1", "p1"), ("raw_sql_1000", "raw_sql_1000"), ("cqrs_es", "cqrs_es")] {
        entry.ratio(name, &format!("{to}_per_second"));
    }
    Ok(entry)
}

async fn peers(stage: &Stage, round: usize, entry: &mut Entry) -> anyhow::Result<()> {
    let url = &stage.addresses().database_url;
    for (name, key) in
        [("cqrs-es", "cqrs_es"), ("disintegrate", "disintegrate"), ("emmett", "emmett")]
    {
        stage.tell("P1", &format!("round {round}: {name}"));
        let arguments = ["append", "--database-url", url, "--writers", "64", "--seconds", "5"];
        if let Some(result) = stage.peers.peer(name, &arguments).await? {
            entry.other(&format!("{key}_per_second"), figure(&result, "per_second")?);
        }
    }
    Ok(())
}
