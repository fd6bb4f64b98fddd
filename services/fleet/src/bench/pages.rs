//! P8: a page out of a million rows, in the language of queries, against the same question in SQL by hand.
use super::{
    peers::figure,
    report::Entry,
    stage::{Fleet, Stage},
    usage::Usage,
};
use crate::stack::Stopwatch;
use chrono::TimeDelta;
use customers::views::{Customer, CustomerStatus};
use shell::{
    ids,
    port::store::{Generation, Generations as _, Reads as _, Store as _, ViewBatch, Views as _},
    postgres::PostgresReads,
    reads::{Comparison, Filter, Order, Query, Test, Value},
    view::ViewDefinition,
};
use std::time::Duration;

const ROWS: usize = 1_000_000;
const BATCH: usize = 10_000;
const TIME: Duration = Duration::from_secs(2);

/// Each question, its name, and the same by hand: after `from`, and without the limit.
fn questions() -> Vec<(&'static str, Query, &'static str)> {
    let email = |begin: &str| Filter::field("email", Test::StartsWith(begin.to_owned()));
    let status = |it: CustomerStatus| {
        Filter::field("status", Test::Is(Comparison::Equal, Value::Text(it.to_string())))
    };
    let of = |filter, order| Query { filter, order, ..Query::first(50) };
    vec![
        (
            "begins_with",
            of(email("customer-5"), vec![Order::ascending("email")]),
            "where email >= 'customer-5' and email < 'customer-6' order by email, id",
        ),
        (
            "newest_of_a_status",
            of(status(CustomerStatus::Verified), vec![Order::descending("invited_at")]),
            "where status = 'VERIFIED' order by invited_at desc, id desc",
        ),
    ]
}

pub(super) async fn of_many(stage: &Stage) -> anyhow::Result<Entry> {
    let mut entry = Entry::new("ms");
    let fleet = stage.fleet("p8").await?;
    let view = ViewDefinition::of::<Customer>("customers");
    let of = fill(stage, &fleet, &view).await?;
    let reads = PostgresReads::new(fleet.shell.postgres.clone());
    let table = format!("view_{}_{}_{}.{}", of.table, of.hash, of.generation, of.table);
    let (url, database) = (&stage.addresses().database_url, fleet.database());
    for round in 1..=stage.plan.rounds {
        for (name, query, by_hand) in questions() {
            stage.tell("P8", &format!("round {round}: {name}"));
            let usage = (Usage::now(), Stopwatch::start());
            let mut times = Vec::new();
            while usage.1.took() < TIME {
                let watch = Stopwatch::start();
                let rows = reads.rows("customers", &view, &query).await?;
                let rows = serde_json::from_str::<Vec<Customer>>(&rows.unwrap_or_default().rows)?;
                times.push(watch.took().as_secs_f64() * 1e3);
                anyhow::ensure!(rows.len() == 51, "{name} found {} rows", rows.len());
            }
            entry.processes = Usage::now().since(&usage.0, usage.1.took());
            times.sort_by(f64::total_cmp);
            let median = times[times.len() / 2];
            entry.other(&format!("{name}_ms"), median);
            if name == "begins_with" {
                entry.value.add(median);
            }
            let arguments = ["page", "--database-url", url, "--database", &database];
            let question = format!("{table} {by_hand} limit 51");
            let by_hand = [&arguments[..], &["--question", &question, "--seconds", "2"]].concat();
            let result = stage.peers.limit(&by_hand).await?;
            entry.other(&format!("{name}_by_hand_ms"), figure(&result, "p50_ms")?);
        }
    }
    for (name, ..) in questions() {
        entry.ratio_of(name, &format!("{name}_ms"), &format!("{name}_by_hand_ms"));
    }
    Ok(entry)
}

/// A view with a million rows, written as an aggregator writes them.
async fn fill(stage: &Stage, fleet: &Fleet, view: &ViewDefinition) -> anyhow::Result<Generation> {
    let mut views = fleet.shell.postgres.views("customers");
    // Nothing has to catch up.
    let of = views.prepare(view, 0).await?;
    let begin = stage.clock.now();
    for from in (0..ROWS).step_by(BATCH) {
        if from % (ROWS / 4) == 0 {
            stage.tell("P8", &format!("{from} of {ROWS} rows are stored"));
        }
        let mut batch = ViewBatch::default();
        for n in from..from + BATCH {
            let id = ids::new_id();
            let status = CustomerStatus::ALL[n % CustomerStatus::ALL.len()];
            let invited_at = begin + TimeDelta::microseconds(i64::try_from(n)?);
            let email = format!("customer-{}@example.com", id.simple().to_string().split_off(20));
            let row = Customer { id, email, status, invited_at, verified_at: None, version: 1 };
            batch.rows.insert(id.to_string(), Some(serde_json::to_value(&row)?));
        }
        views.write(view, &of, &batch).await?;
    }
    views.complete(view, &of).await?;
    views.cut_over(view, &of).await?;
    Ok(of)
}
