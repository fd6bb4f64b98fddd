//! The SQL of a view's tables, made from its definition. Names come from constants in the code, never from input.
use super::{news::CHANNEL, select::columns};
use crate::{
    port::store::Generation,
    reads::{served::with_key, words_of},
    view::ViewDefinition,
};
use functions::{Column, ColumnKind, Direction};
use serde_json::Value;
use std::fmt::Write as _;

/// The column with the words of a row, if any are searched; no field of a row can have such a name.
pub(super) const WORDS: &str = "?words";

/// The schema that holds one generation of a view: several can stand side by side.
pub(super) fn schema(of: &Generation) -> String {
    format!("view_{}_{}_{}", of.table, of.hash, of.generation)
}

pub(super) fn type_of(column: &Column) -> &'static str {
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

pub(super) fn key_type(view: &ViewDefinition) -> &'static str {
    view.key_column().map_or("text", type_of)
}

/// The schema and the table, without the [`indexes`]: rows are found by their keys only while a generation is built.
pub(super) fn create(view: &ViewDefinition, of: &Generation) -> String {
    let schema = schema(of);
    let mut sql = format!("create schema {schema};\ncreate table {schema}.{} (", view.table);
    for it in &view.columns {
        let null = if it.nullable { "" } else { " not null" };
        let _ = write!(sql, "\"{}\" {}{}{null}, ", it.name, type_of(it), collation(it));
    }
    if !view.searched.is_empty() {
        let _ = write!(sql, "\"{WORDS}\" tsvector not null, ");
    }
    let _ = writeln!(sql, "primary key (\"{}\")) with (fillfactor = 80);", view.key);
    // Whoever reads only is a role of its own where there is one (roles.sql).
    let _ = write!(
        sql,
        "do $$ declare reader text := current_database() || '_reader'; begin
            if exists (select from pg_roles where rolname = reader) then
                execute format('grant usage on schema {schema} to %I', reader);
                execute format('grant select on all tables in schema {schema} to %I', reader);
            end if;
        end $$;"
    );
    sql
}

/// What the rows of a generation are found by, beside their keys; made at once, which takes a fraction of the time
/// that it takes row by row.
pub(super) fn indexes(view: &ViewDefinition, of: &Generation) -> String {
    let schema = schema(of);
    let mut sql = String::new();
    for it in &view.indexes {
        let columns = with_key(it, view);
        let nullable = |name: &str| view.column(name).is_some_and(|it| it.nullable);
        let is_nullable = columns.iter().any(|it| nullable(it.0));
        // Read backward, an index has the opposite order; where nulls are least is an order of its own.
        for greatest in [true, false].into_iter().take(1 + usize::from(is_nullable)) {
            let column = |(name, direction): &(&str, Direction)| {
                let is_ascending = *direction == Direction::Ascending;
                let direction = if is_ascending { "asc" } else { "desc" };
                let nulls = if is_ascending == greatest { "last" } else { "first" };
                format!("\"{name}\" {direction} nulls {nulls}")
            };
            let columns: Vec<String> = columns.iter().map(column).collect();
            let _ =
                writeln!(sql, "create index on {schema}.{} ({});", view.table, columns.join(", "));
        }
    }
    if !view.searched.is_empty() {
        let _ = writeln!(sql, "create index on {schema}.{} using gin (\"{WORDS}\");", view.table);
    }
    let _ = writeln!(sql, "analyze {schema}.{};", view.table);
    sql
}

/// (key, row) of the rows whose keys are `$1`.
pub(super) fn load(view: &ViewDefinition, of: &Generation) -> String {
    format!(
        "select r.\"{key}\"::text, to_jsonb(r)
    from (select {columns} from {schema}.{table} t where t.\"{key}\" = any($1::text[]::{key_type}[])) r",
        key = view.key,
        columns = columns(view),
        schema = schema(of),
        table = view.table,
        key_type = key_type(view),
    )
}

/// One statement writes rows and checkpoints, or nothing (protocol.md V1). Its parameters: 1–9 the checkpoints,
/// 10–12 the generation, 13–20 the parked events, 21 the keys that go, then a column of the rows each, their words if
/// any are searched, what those are told who wait, and for each checkpoint the keys of the rows touched, if they are
/// logged.
pub(super) fn write(view: &ViewDefinition, of: &Generation) -> String {
    let (schema, table, key) = (schema(of), view.table, view.key);
    let words = (!view.searched.is_empty()).then_some((WORDS, "tsvector"));
    let columns: Vec<(&str, &str)> =
        view.columns.iter().map(|it| (it.name, type_of(it))).chain(words).collect();
    let names: Vec<String> = columns.iter().map(|it| format!("\"{}\"", it.0)).collect();
    let arrays =
        columns.iter().enumerate().map(|(i, it)| format!("${}::text[]::{}[]", i + 22, it.1));
    let arrays: Vec<String> = arrays.collect();
    let others = columns.iter().filter(|it| it.0 != key);
    let sets: Vec<String> = others.map(|it| format!("\"{0}\" = excluded.\"{0}\"", it.0)).collect();
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
),
changed as (
    insert into read.change (view, hash, generation, topic, part, from_pseq, pseq, keys, traces)
    select $10, $11, $12, m.topic, m.part, m.from_pseq, m.pseq, m.keys::json, m.traces::json
    from gate, unnest($1::text[], $2::int[], $4::bigint[], $5::bigint[], ${changes}::text[], ${traces}::text[])
        m (topic, part, from_pseq, pseq, keys, traces)
    where gate.open and m.keys is not null
)
select pg_notify('{CHANNEL}', ${payload})::text, open from gate",
        payload = names.len() + 22,
        changes = names.len() + 23,
        traces = names.len() + 24,
        key_type = key_type(view),
        columns = names.join(", "),
        arrays = arrays.join(", "),
    )
}

/// The words of a row, as Postgres reads them.
pub(super) fn words(row: &Value, view: &ViewDefinition) -> String {
    let words = words_of(row, &view.searched);
    words.iter().map(|it| format!("'{it}'")).collect::<Vec<_>>().join(" ")
}

/// What a column gets from a row.
pub(super) fn text(row: &Value, column: &Column) -> Option<String> {
    match row.get(column.name)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
