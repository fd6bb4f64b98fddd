//! The rows of a ledger, written by one statement a transaction: what the handler does, without the handler.
use chrono::{DateTime, Utc};
use common::Arguments;
use serde_json::{Value, json};
use sqlx::{PgConnection, raw_sql};
use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};
use uuid::Uuid;

/// The fleet's own tables.
const TABLES: &str = include_str!("../../../../services/shell/migrations/0001_ledger.sql");

/// Without what guards the rows: nothing is compared, nobody is kept out.
const WRITE: &str = "
with own as (
    update write.ledger l set next_offset = m.to_offset, pseq = m.pseq
    from unnest($1::int[], $2::bigint[], $3::bigint[]) m (part, to_offset, pseq) where l.part = m.part
),
events as (
    insert into write.event (part, pseq, stream, version, type, schema, data, meta, at)
    select e.part, e.pseq, e.stream, e.version, e.type, e.schema, e.data, e.meta::jsonb, e.at
    from unnest($4::int[], $5::bigint[], $6::uuid[], $7::bigint[], $8::text[], $9::bigint[], $10::bytea[],
        $11::text[], $12::timestamptz[]) e (part, pseq, stream, version, type, schema, data, meta, at)
),
taken as (
    insert into write.claim (kind, value, stream, part, pseq)
    select * from unnest($17::text[], $18::text[], $19::uuid[], $20::int[], $21::bigint[])
)
insert into write.outcome (command_id, part, request_hash, body, at)
select * from unnest($13::uuid[], $4::int[], $14::bytea[], $15::bytea[], $16::timestamptz[])";

#[derive(Clone)]
struct Row {
    part: i32,
    r#type: String,
    schema: i64,
    data: Vec<u8>,
    meta: String,
    at: DateTime<Utc>,
    request_hash: Vec<u8>,
    body: Vec<u8>,
}

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Value> {
    let (batch, rows): (usize, usize) = (arguments.get("batch")?, arguments.get("rows")?);
    let (hot, claims) = (arguments.or("hot", false)?, arguments.or("claims", false)?);
    let pattern = pattern(arguments).await?;
    let name = format!("limits_append{}", if claims { "_claims" } else { "" });
    let mut connection = arguments.connection(&name).await?;
    let is_new = sqlx::query("select 1 from pg_namespace where nspname = 'write'");
    if is_new.fetch_optional(&mut connection).await?.is_none() {
        raw_sql(TABLES).execute(&mut connection).await?;
        sqlx::query("insert into write.ledger select part, 1, 1, 0, 0, 0, -1 from generate_series(0, 1023) part")
            .execute(&mut connection)
            .await?;
    }
    let places: Vec<(i32, i64)> =
        sqlx::query_as("select part, pseq from write.ledger").fetch_all(&mut connection).await?;
    let mut ledger: HashMap<i32, i64> = places.into_iter().collect();
    let stream = Uuid::now_v7();
    let mut version = 0;
    let mut written = 0;
    // The first statements prepare and warm up; they do not count.
    let mut counted = None;
    while written < rows {
        if counted.is_none() && written >= rows / 20 {
            counted = Some((Instant::now(), written));
        }
        let mut batch_rows = Batch::default();
        for n in 0..batch.min(rows - written) {
            let row = &pattern[(written + n) % pattern.len()];
            let part = if hot { pattern[0].part } else { row.part };
            version += 1;
            let (stream, version) = if hot { (stream, version) } else { (Uuid::now_v7(), 1) };
            batch_rows.add(row, part, stream, version, &mut ledger, claims);
        }
        written += batch_rows.streams.len();
        batch_rows.write(&mut connection).await?;
    }
    let (began, before) = counted.unwrap_or((Instant::now(), 0));
    let (seconds, count) = (began.elapsed().as_secs_f64(), written - before);
    Ok(json!({ "count": count, "seconds": seconds, "per_second": count as f64 / seconds }))
}

/// What a handler wrote, to be written again under other ids.
async fn pattern(arguments: &Arguments) -> anyhow::Result<Vec<Row>> {
    let from: String = arguments.get("from")?;
    let mut connection = arguments.connection(&from).await?;
    let sql = "select e.part, e.type, e.schema, e.data, e.meta::text as meta, e.at, o.request_hash, o.body
        from write.event e join write.outcome o on o.command_id = (e.meta->>'causation')::uuid limit 5000";
    type Columns = (i32, String, i64, Vec<u8>, String, DateTime<Utc>, Vec<u8>, Vec<u8>);
    let rows: Vec<Columns> = sqlx::query_as(sql).fetch_all(&mut connection).await?;
    anyhow::ensure!(!rows.is_empty(), "the database {from} has no events to write again");
    let row = |(part, r#type, schema, data, meta, at, request_hash, body)| Row {
        part,
        r#type,
        schema,
        data,
        meta,
        at,
        request_hash,
        body,
    };
    Ok(rows.into_iter().map(row).collect())
}

#[derive(Default)]
struct Batch {
    places: BTreeMap<i32, i64>,
    rows: Vec<Row>,
    parts: Vec<i32>,
    pseqs: Vec<i64>,
    streams: Vec<Uuid>,
    versions: Vec<i64>,
    commands: Vec<Uuid>,
    claims: Vec<String>,
}

impl Batch {
    fn add(
        &mut self,
        row: &Row,
        part: i32,
        stream: Uuid,
        version: i64,
        ledger: &mut HashMap<i32, i64>,
        claims: bool,
    ) {
        let pseq = ledger.entry(part).or_default();
        *pseq += 1;
        self.places.insert(part, *pseq);
        self.rows.push(row.clone());
        self.parts.push(part);
        self.pseqs.push(*pseq);
        self.streams.push(stream);
        self.versions.push(version);
        // As the fleet names commands.
        self.commands.push(Uuid::now_v7());
        if claims {
            self.claims.push(common::email(stream));
        }
    }

    async fn write(&self, connection: &mut PgConnection) -> anyhow::Result<()> {
        macro_rules! column {
            ($value:expr) => {
                self.rows.iter().map($value).collect::<Vec<_>>()
            };
        }
        let claimed = self.claims.len();
        let places: Vec<i64> = self.places.values().copied().collect();
        sqlx::query(WRITE)
            .bind(self.places.keys().copied().collect::<Vec<_>>())
            .bind(&places)
            .bind(&places)
            .bind(&self.parts)
            .bind(&self.pseqs)
            .bind(&self.streams)
            .bind(&self.versions)
            .bind(column!(|it| it.r#type.as_str()))
            .bind(column!(|it| it.schema))
            .bind(column!(|it| it.data.as_slice()))
            .bind(column!(|it| it.meta.as_str()))
            .bind(column!(|it| it.at))
            .bind(&self.commands)
            .bind(column!(|it| it.request_hash.as_slice()))
            .bind(column!(|it| it.body.as_slice()))
            .bind(column!(|it| it.at))
            .bind(vec!["email"; claimed])
            .bind(&self.claims)
            .bind(&self.streams[..claimed])
            .bind(&self.parts[..claimed])
            .bind(&self.pseqs[..claimed])
            .execute(connection)
            .await?;
        Ok(())
    }
}
