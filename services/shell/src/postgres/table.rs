//! The SQL of a view's tables, made from its definition. Names come from constants in the code, never from input.
use super::news::CHANNEL;
use crate::{port::store::Generation, view::ViewDefinition};
use functions::{Column, ColumnKind};
use serde_json::Value;
use std::fmt::Write as _;

/// The schema that holds one generation of a view: several can stand side by side.
pub(super) fn schema(of: &Generation) -> String {
    format!("view_{}_{}_{}", of.table, of.hash, of.generation)
}

fn type_of(column: &Column) -> &'static str {
    match column.kind {
        ColumnKind::Uuid => "uuid",
        ColumnKind::Text => "text",
        ColumnKind::Integer => "bigint",
        ColumnKind::Boolean => "boolean",
        ColumnKind::Instant => "timestamptz",
        ColumnKind::Date => "date",
    }
}

/// Text is ordered by its bytes, as Rust orders it.
fn collation(column: &Column) -> &'static str {
    if column.kind == ColumnKind::Text { " collate \"C\"" } else { "" }
}

fn key_type(view: &ViewDefinition) -> &'static str {
    view.key_column().map_or("text", type_of)
}

pub(super) fn create(view: &ViewDefinition, of: &Generation) -> String {
    let schema = schema(of);
    let mut sql = format!("create schema {schema};\ncreate table {schema}.{} (", view.table);
    for it in &view.columns {
        let null = if it.nullable { "" } else { " not null" };
        let _ = write!(sql, "\"{}\" {}{}{null}, ", it.name, type_of(it), collation(it));
    }
    let _ = write!(sql, "primary key (\"{}\")) with (fillfactor = 80)", view.key);
    sql
}

/// (key, row) of the rows whose keys are `$1`.
pub(super) fn load(view: &ViewDefinition, of: &Generation) -> String {
    format!(
        "select t.\"{key}\"::text, to_jsonb(t) from {schema}.{table} t where t.\"{key}\" = any($1::text[]::{key_type}[])",
        key = view.key,
        schema = schema(of),
        table = view.table,
        key_type = key_type(view),
    )
}

/// One statement writes rows and checkpoints, or nothing (protocol.md V1). Its parameters: 1–9 the checkpoints,
/// 10–12 the generation, 13–20 the parked events, 21 the keys that go, then a column of the rows each, and what those
/// are told who wait.
pub(super) fn write(view: &ViewDefinition, of: &Generation) -> String {
    let (schema, table, key) = (schema(of), view.table, view.key);
    let names: Vec<String> = view.columns.iter().map(|it| format!("\"{}\"", it.name)).collect();
    let arrays: Vec<String> = view
        .columns
        .iter()
        .enumerate()
        .map(|(i, it)| format!("${}::text[]::{}[]", i + 22, type_of(it)))
        .collect();
    let sets: Vec<String> = view
        .columns
        .iter()
        .filter(|it| it.name != key)
        .map(|it| format!("\"{0}\" = excluded.\"{0}\"", it.name))
        .collect();
    let conflict =
        if sets.is_empty() { "nothing".into() } else { format!("update set {}", sets.join(", ")) };
    format!(
        "with own as (
    update read.checkpoint c
    set pseq = m.pseq, next_offset = m.next_offset, incarnation = m.incarnation, caught_up = m.caught_up
    from unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[])
        m (topic, part, epoch, from_pseq, pseq, next_offset, incarnation, caught_up)
    where (c.view, c.hash, c.generation) = ($10, $11, $12) and (c.topic, c.part) = (m.topic, m.part)
        and c.epoch = m.epoch and c.pseq = m.from_pseq
    returning 1
),
gate as materialized (select read.require(count(*), $9, 'FL001') as open from own),
gone as (
    delete from {schema}.{table} t using gate
    where gate.open and t.\"{key}\" = any($21::text[]::{key_type}[])
),
rows as (
    insert into {schema}.{table} ({columns})
    select u.* from gate, unnest({arrays}) u ({columns}) where gate.open
    on conflict (\"{key}\") do {conflict}
),
parked as (
    insert into read.parked_event (view, hash, generation, topic, part, pseq, stream, reason, headers, payload, at)
    select $10, $11, $12, p.* from gate, unnest($13::text[], $14::int[], $15::bigint[], $16::uuid[], $17::text[],
        $18::text[], $19::bytea[], $20::timestamptz[]) p (topic, part, pseq, stream, reason, headers, payload, at)
    where gate.open
    on conflict do nothing
)
select pg_notify('{CHANNEL}', ${payload})::text, open from gate",
        payload = view.columns.len() + 22,
        key_type = key_type(view),
        columns = names.join(", "),
        arrays = arrays.join(", "),
    )
}

/// What a column gets from a row.
pub(super) fn text(row: &Value, column: &Column) -> Option<String> {
    match row.get(column.name)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// How rows are selected: a condition and an order, on parameters 4 and 5; the limit is a number.
pub(super) struct Selection {
    pub(super) condition: String,
    pub(super) order: &'static str,
    pub(super) limit: Option<u32>,
    pub(super) count: bool,
}

/// Rows, checkpoints and whether the view is live: one statement, so that they are of one instant (R4).
/// Parameters 1–3 are the generation.
pub(super) fn read(view: &ViewDefinition, of: &Generation, selection: &Selection) -> String {
    let (schema, table, key) = (schema(of), view.table, view.key);
    let Selection { condition, order, limit, count } = selection;
    let limit = limit.map_or(String::new(), |it| format!("limit {it}"));
    let total = if *count {
        format!("(select count(*) from {schema}.{table})")
    } else {
        "null::bigint".into()
    };
    format!(
        "select
    (select coalesce(json_agg(r order by r.\"{key}\"), '[]')::text
        from (select t.* from {schema}.{table} t where {condition} order by t.\"{key}\" {order} {limit}) r) as rows,
    {total} as total,
    (select coalesce(json_agg(json_build_array(c.topic, c.part, c.incarnation, c.epoch, c.pseq, c.next_offset, c.caught_up)), '[]')::text
        from read.checkpoint c where (c.view, c.hash, c.generation) = ($1, $2, $3)) as checkpoints,
    (select count(*) >= min(g.parts) from read.checkpoint c
        join read.generation g using (view, hash, generation)
        where (c.view, c.hash, c.generation) = ($1, $2, $3) and c.caught_up) as live"
    )
}

/// The type of the key, for casts of parameters.
pub(super) fn key_cast(view: &ViewDefinition) -> &'static str {
    key_type(view)
}
