//! P3: how long a mutation takes over HTTP, and the curve of latency against throughput.
use super::{
    load::{Answers, Load, Select},
    peers::figure,
    process::Process,
    report::{Entry, Point},
    stage::{Fleet, Stage},
    usage::Usage,
};
use crate::stack::Stopwatch;
use std::time::Duration;

/// How long each load of a round lasts.
const TIME: Duration = Duration::from_secs(4);
/// Mutations a second; none: one in flight.
const RATES: [Option<u32>; 3] = [None, Some(100), Some(1000)];
/// The curve is measured at these rates, until the fleet falls behind.
const CURVE: [u32; 9] = [50, 100, 250, 500, 1000, 1500, 2000, 3000, 4000];

/// A handler, an aggregator and a BFF, a process each.
pub(super) struct Services {
    pub(super) bff: Process,
    pub(super) handler: Process,
    pub(super) aggregator: Process,
}

impl Services {
    pub(super) async fn start(fleet: &Fleet) -> anyhow::Result<Self> {
        let mut handler = fleet.begin(&["customers-handler"])?;
        let mut aggregator = fleet.begin(&["customers-aggregator"])?;
        let bff = fleet.start(&["bff"]).await?;
        handler.ready(&fleet.shell.clock).await?;
        aggregator.ready(&fleet.shell.clock).await?;
        Ok(Self { bff, handler, aggregator })
    }
}

pub(super) async fn mutations(stage: &Stage) -> anyhow::Result<Entry> {
    let fleet = stage.fleet("p3").await?;
    let services = Services::start(&fleet).await?;
    let mut entry = Entry::new("ms");
    let selects = [(Select::Outcome, ""), (Select::View, "view_")];
    for round in 1..=stage.plan.rounds {
        for rate in RATES {
            let at = rate.map_or_else(|| "one in flight".to_owned(), |it| format!("{it}/s"));
            let mut whole = Vec::new();
            for (select, kind) in selects {
                stage.tell("P3", &format!("round {round}: {at}, {select:?}"));
                let load = Load::on(&services.bff, select)?;
                let (usage, time) = (Usage::now(), Stopwatch::start());
                let answers = answers(&load, rate).await?;
                entry.processes = Usage::now().since(&usage, time.took());
                if record(&mut entry, kind, rate, &answers) {
                    whole.push(kind);
                }
            }
            stage.tell("P3", &format!("round {round}: {at}, the limits"));
            limits(stage, rate, &whole, &mut entry).await?;
        }
    }
    for (_, kind) in selects {
        for quantile in ["p50", "p99"] {
            for rate in RATES {
                let name = name(kind, quantile, rate);
                entry.ratio_of(
                    &format!("{kind}limit_{quantile}{}", suffix(rate)),
                    &name,
                    &format!("limit_{name}"),
                );
            }
        }
    }
    curve(stage, &services, &mut entry).await?;
    Ok(entry)
}

async fn answers(load: &Load, rate: Option<u32>) -> anyhow::Result<Answers> {
    match rate {
        None => load.one_in_flight(TIME).await,
        Some(rate) => load.at_rate(rate.into(), TIME).await,
    }
}

fn suffix(rate: Option<u32>) -> String {
    rate.map_or_else(String::new, |it| format!("_at_{it}"))
}

fn name(kind: &str, quantile: &str, rate: Option<u32>) -> String {
    format!("{kind}{quantile}{}_ms", suffix(rate))
}

/// False: too many failed for the latency of the others to say anything, so that the round has none.
fn record(entry: &mut Entry, kind: &str, rate: Option<u32>, answers: &Answers) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "so many there will never be")]
    entry.other(&format!("{kind}failed{}", suffix(rate)), answers.failed as f64);
    if let Some(error) = &answers.error {
        let at = rate.map_or_else(|| "one in flight".to_owned(), |it| format!("{it}/s"));
        entry
            .notes
            .push(format!("at {at} {} mutations failed, the first with: {error}", answers.failed));
    }
    if !answers.are_whole() {
        return false;
    }
    for (quantile, q) in [("p50", 0.5), ("p99", 0.99)] {
        entry.other(&name(kind, quantile, rate), answers.millis(q));
    }
    if kind.is_empty() && rate.is_none() {
        entry.value.add(answers.millis(0.5));
    }
    true
}

/// Commit, hop and read, each alone at that rate: their sum is the least that a mutation can take.
/// Those of the kinds of mutations that have no figure this round are left out as well, as rounds are compared one by
/// one.
async fn limits(
    stage: &Stage,
    rate: Option<u32>,
    kinds: &[&str],
    entry: &mut Entry,
) -> anyhow::Result<()> {
    let addresses = stage.addresses();
    let (url, brokers) = (addresses.database_url.as_str(), addresses.kafka_brokers.as_str());
    let (rate_text, seconds) = (rate.unwrap_or(0).to_string(), TIME.as_secs().to_string());
    let mut measured = Vec::new();
    for (verb, server) in [
        ("commit", ["--database-url", url]),
        ("hop", ["--kafka-brokers", brokers]),
        ("read", ["--database-url", url]),
    ] {
        let mut arguments = vec![verb];
        arguments.extend(server);
        arguments.extend(["--rate", &rate_text, "--seconds", &seconds]);
        measured.push(stage.peers.limit(&arguments).await?);
    }
    for quantile in ["p50", "p99"] {
        let at = |n: usize| figure(&measured[n], &format!("{quantile}_ms"));
        let (commit, hop, read) = (at(0)?, at(1)?, at(2)?);
        for (part, figure) in [("commit", commit), ("hop", hop), ("read", read)] {
            entry.other(&format!("{part}_{quantile}{}_ms", suffix(rate)), figure);
        }
        for kind in kinds {
            let least = match *kind {
                "" => commit + 2.0 * hop,
                _ => 2.0 * commit + 3.0 * hop + read,
            };
            entry.other(&format!("limit_{}", name(kind, quantile, rate)), least);
        }
    }
    Ok(())
}

async fn curve(stage: &Stage, services: &Services, entry: &mut Entry) -> anyhow::Result<()> {
    for (select, line) in [(Select::Outcome, "mutation"), (Select::View, "mutation and its row")] {
        let load = Load::on(&services.bff, select)?;
        for rate in CURVE {
            stage.tell("P3", &format!("the curve: {rate}/s, {select:?}"));
            let answers = load.at_rate(rate.into(), Duration::from_secs(3)).await?;
            // Past its limit an open loop shows how long it was driven, and nothing else.
            if answers.per_second < 0.9 * f64::from(rate) || answers.failed > 0 {
                break;
            }
            entry.curve.push(Point {
                line,
                per_second: answers.per_second,
                p50_ms: answers.millis(0.5),
                p99_ms: answers.millis(0.99),
            });
        }
    }
    Ok(())
}
