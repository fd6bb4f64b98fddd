//! Waiting until everything has come to rest, and what is there then.
use super::{
    ground::{CONTEXT, Ground},
    record::Story,
    request::post,
    tables, topic,
};
use crate::{
    proof::{Anomaly, Stored},
    stack::Stopwatch,
};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use shell::position::Position;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use uuid::Uuid;

/// Once nothing is wrong any more, everything is done in this time.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const PULSE: Duration = Duration::from_millis(100);
const PAGE: usize = 500;

/// Waits until all commands are decided, all events published and all of them shown. What is not, if it takes too long.
pub(crate) async fn comes_to_rest(ground: &Ground) -> anyhow::Result<Result<(), String>> {
    let watch = Stopwatch::start();
    let commands = ground.names().commands(CONTEXT);
    loop {
        let left = left(ground, &topic::ends(ground, &commands).await?).await?;
        if left.is_empty() {
            return Ok(Ok(()));
        }
        if watch.took() > PATIENCE {
            return Ok(Err(left.join("; ")));
        }
        ground.shell.clock.sleep(PULSE).await;
    }
}

async fn left(ground: &Ground, ends: &BTreeMap<i32, i64>) -> anyhow::Result<Vec<String>> {
    let ledger = tables::ledger(ground).await?;
    let shown: BTreeMap<i32, i64> = tables::shown(ground).await?.into_iter().collect();
    let mut left = Vec::new();
    for (part, end) in ends {
        let Some(row) = ledger.iter().find(|it| it.part == *part) else {
            left.push(format!("partition {part} has no owner"));
            continue;
        };
        if row.next_offset < *end {
            left.push(format!("partition {part}: decided up to {} of {end}", row.next_offset));
        }
        if row.published < row.pseq {
            left.push(format!("partition {part}: published {} of {}", row.published, row.pseq));
        }
        let shown = shown.get(part).copied().unwrap_or_default();
        if shown < row.pseq {
            left.push(format!("partition {part}: shown {shown} of {}", row.pseq));
        }
    }
    Ok(left)
}

/// All that is stored, and all that a client can list.
pub(crate) async fn stored(ground: &Ground) -> anyhow::Result<Stored> {
    let tables = tables::read(ground).await?;
    Ok(Stored { log: topic::events(ground).await?, ..tables })
}

/// What GraphQL lists to somebody who has seen all that any client has; `seen` is never older.
pub(crate) async fn listed(ground: &Ground, seen: &Position) -> anyhow::Result<Vec<Value>> {
    let http = reqwest::Client::new();
    let bffs = ground.bffs.all();
    let server = bffs.first().context("there is no BFF")?;
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let query = format!(
            "{{ customers(first: {PAGE}{after}) {{
                nodes {{ id email status invitedAt verifiedAt version }}
                pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let asked = post(&http, server, &json!({ "query": query }), seen).await;
        let (body, _) = asked.map_err(anyhow::Error::msg).context("list the customers")?;
        let page = &body["data"]["customers"];
        let Some(nodes) = page["nodes"].as_array() else { bail!("list the customers: {body}") };
        rows.extend(nodes.iter().cloned());
        if page["pageInfo"]["hasNextPage"] != true {
            return Ok(rows);
        }
        after = format!(", after: {}", page["pageInfo"]["endCursor"]);
    }
}

/// What only the clients of this run can tell, beyond what [`crate::proof::check`] looks at.
pub(crate) fn check(story: &Story, stored: &Stored, listed: &[Value]) -> Vec<Anomaly> {
    let mut found = story.anomalies.clone();
    let decided: BTreeSet<Uuid> = stored.outcomes.iter().map(|it| it.command_id).collect();
    for it in story.refused.iter().filter(|it| decided.contains(it)) {
        found.push(Anomaly {
            promise: "a mutation that is UNAVAILABLE was not sent",
            seen: format!("command {it} was decided"),
        });
    }
    let name = |row: &Value| row["id"].as_str().unwrap_or_default().to_owned();
    let table: BTreeMap<String, Value> =
        stored.customers.iter().map(|it| (name(it), as_listed(it))).collect();
    let shown: BTreeMap<String, Value> =
        listed.iter().map(|it| (name(it), with_instants(it))).collect();
    let ids: BTreeSet<&String> = table.keys().chain(shown.keys()).collect();
    for id in ids {
        let (table, shown) = (table.get(id), shown.get(id));
        if table != shown {
            found.push(Anomaly {
                promise: "GraphQL lists what the view holds",
                seen: format!("customer {id}: listed {shown:?}, stored {table:?}"),
            });
        }
    }
    found
}

/// A row of the table, with the names of GraphQL.
fn as_listed(row: &Value) -> Value {
    with_instants(&json!({
        "id": row["id"],
        "email": row["email"],
        "status": row["status"],
        "invitedAt": row["invited_at"],
        "verifiedAt": row["verified_at"],
        "version": row["version"],
    }))
}

/// Instants may be written in several ways.
fn with_instants(row: &Value) -> Value {
    let mut row = row.clone();
    for name in ["invitedAt", "verifiedAt"] {
        let at = row[name].as_str().and_then(|it| it.parse::<chrono::DateTime<chrono::Utc>>().ok());
        if let Some(at) = at {
            row[name] = json!(at.timestamp_micros());
        }
    }
    row
}
