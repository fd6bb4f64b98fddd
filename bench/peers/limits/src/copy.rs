//! COPY of the rows of a view into a table like the view's: its indexes are there `before`, or are made `after`.
use common::Arguments;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolCopyExt as _;
use std::{fmt::Write as _, time::Instant};
use uuid::Uuid;

/// As the view of customers has it.
const TABLE: &str = "create table customer (id uuid primary key, email text not null, status text not null,
    invited_at timestamptz not null, verified_at timestamptz, version bigint not null, words tsvector not null)";
const INDEXES: &str = "create index on customer (email, id);
    create index on customer (status, invited_at desc, id desc);
    create index on customer (invited_at, id);
    create index on customer (verified_at, id);
    create index on customer (verified_at nulls first, id);
    create index on customer using gin (words)";
/// Rows that one COPY takes in: it is one transaction.
const CHUNK: usize = 50_000;

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Value> {
    let rows: usize = arguments.get("rows")?;
    let pool = arguments.pool("limits_copy", 1).await?;
    sqlx::query("drop table if exists customer").execute(&pool).await?;
    sqlx::raw_sql(TABLE).execute(&pool).await?;
    let is_indexed_after = match arguments.or("indexes", "before".to_owned())?.as_str() {
        "before" => false,
        "after" => true,
        other => anyhow::bail!("--indexes {other} is not among before, after"),
    };
    if !is_indexed_after {
        sqlx::raw_sql(INDEXES).execute(&pool).await?;
    }
    let mut chunks = Vec::new();
    for chunk in (0..rows).step_by(CHUNK) {
        let mut text = String::new();
        for _ in chunk..rows.min(chunk + CHUNK) {
            let id = Uuid::now_v7();
            let email = common::email(id);
            let words = format!("'com' 'customer' 'example' '{}'", id.simple());
            writeln!(text, "{id}\t{email}\tINVITED\t2026-01-01T12:00:00.123456Z\t\\N\t1\t{words}")?;
        }
        chunks.push(text);
    }
    let began = Instant::now();
    for text in chunks {
        let mut copy = pool.copy_in_raw("copy customer from stdin").await?;
        copy.send(text.into_bytes()).await?;
        copy.finish().await?;
    }
    if is_indexed_after {
        sqlx::raw_sql(INDEXES).execute(&pool).await?;
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(json!({ "count": rows, "seconds": seconds, "per_second": rows as f64 / seconds }))
}
