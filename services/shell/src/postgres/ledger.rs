//! The write side of a context in Postgres.
use super::{
    connection::{Link, in_time, write_error},
    write::write,
};
use crate::port::store::{
    Batch, EventRow, Found, History, Holder, Ledger, LedgerRow, LookUp, OutcomeRow, SnapshotRow,
    StoreError, WriteError,
};
use chrono::{DateTime, Utc};
use shared_events::Fingerprint;
use sqlx::{FromRow, PgConnection};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The write side of a context in Postgres, over one connection.
pub struct PostgresLedger {
    pub(super) link: Link,
}

/// Takes the partitions, in order against deadlocks: whoever raised an epoch last owns the partition.
const ACQUIRE: &str = "
insert into write.ledger (part, incarnation, epoch, next_offset, pseq, published, published_offset)
select part, 1, 1, 0, 0, 0, -1 from unnest($1::int[]) part order by part
on conflict (part) do update set epoch = ledger.epoch + 1
returning part, incarnation, epoch, next_offset, pseq, published, published_offset";

#[derive(FromRow)]
struct Row {
    part: i32,
    incarnation: i64,
    epoch: i64,
    next_offset: i64,
    pseq: i64,
    published: i64,
    published_offset: i64,
}

impl From<Row> for LedgerRow {
    fn from(it: Row) -> Self {
        let Row { part, incarnation, epoch, next_offset, pseq, published, published_offset } = it;
        Self { part, incarnation, epoch, next_offset, pseq, published, published_offset }
    }
}

#[derive(FromRow)]
pub(super) struct Event {
    part: i32,
    pseq: i64,
    stream: Uuid,
    version: i64,
    r#type: String,
    schema: i64,
    data: Vec<u8>,
    meta: String,
    at: DateTime<Utc>,
}

impl From<Event> for EventRow {
    fn from(it: Event) -> Self {
        let Event { part, pseq, stream, version, r#type, schema, data, meta, at } = it;
        let schema = Fingerprint(schema.cast_unsigned());
        Self { part, pseq, stream, version, record: r#type, schema, data, meta, at }
    }
}

pub(super) const EVENT: &str =
    "part, pseq, stream, version, type, schema, data, meta::text as meta, at";

impl PostgresLedger {
    /// Runs a query on the connection; a connection in doubt is dropped.
    async fn run<T>(
        &mut self,
        query: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let connection = self.link.connection().await?;
        match in_time(query(connection)).await {
            Ok(it) => Ok(it),
            Err(error) => Err(self.link.failed(&error)),
        }
    }
}

impl Ledger for PostgresLedger {
    async fn acquire(&mut self, parts: &[i32]) -> Result<Vec<LedgerRow>, StoreError> {
        let query = async |it: &mut PgConnection| {
            sqlx::query_as::<_, Row>(ACQUIRE).bind(parts).fetch_all(it).await
        };
        Ok(self.run(query).await?.into_iter().map(LedgerRow::from).collect())
    }

    async fn rewind(
        &mut self,
        part: i32,
        epoch: i64,
        next_offset: i64,
    ) -> Result<Option<LedgerRow>, StoreError> {
        let query = async |it: &mut PgConnection| {
            let sql = "update write.ledger set epoch = epoch + 1, next_offset = $3 where part = $1 and epoch = $2
                returning part, incarnation, epoch, next_offset, pseq, published, published_offset";
            sqlx::query_as::<_, Row>(sql)
                .bind(part)
                .bind(epoch)
                .bind(next_offset)
                .fetch_optional(it)
                .await
        };
        Ok(self.run(query).await?.map(LedgerRow::from))
    }

    async fn rows(&mut self, parts: &[i32]) -> Result<Vec<LedgerRow>, StoreError> {
        let query = async |it: &mut PgConnection| {
            let sql =
                "select part, incarnation, epoch, next_offset, pseq, published, published_offset
                from write.ledger where part = any($1) order by part";
            sqlx::query_as::<_, Row>(sql).bind(parts).fetch_all(it).await
        };
        Ok(self.run(query).await?.into_iter().map(LedgerRow::from).collect())
    }

    async fn look_up(&mut self, ask: &LookUp) -> Result<Found, StoreError> {
        let query = async |it: &mut PgConnection| {
            let mut found = Found::default();
            if !ask.streams.is_empty() {
                found.streams = histories(it, &ask.streams).await?;
            }
            if !ask.claims.is_empty() {
                let (kinds, values): (Vec<&str>, Vec<&str>) =
                    ask.claims.iter().map(|(kind, value)| (kind.as_str(), value.as_str())).unzip();
                let sql = "select kind, value, stream, part, pseq from write.claim
                    where (kind, value) in (select * from unnest($1::text[], $2::text[]))";
                let rows: Vec<(String, String, Uuid, i32, i64)> =
                    sqlx::query_as(sql).bind(kinds).bind(values).fetch_all(&mut *it).await?;
                for (kind, value, stream, part, pseq) in rows {
                    found.claims.insert((kind, value), Holder { stream, part, pseq });
                }
            }
            if !ask.outcomes.is_empty() {
                let rows = outcomes(it, &ask.outcomes).await?;
                found.outcomes = rows.into_iter().map(|row| (row.command_id, row)).collect();
            }
            Ok(found)
        };
        self.run(query).await
    }

    async fn write(&mut self, batch: &Batch) -> Result<(), WriteError> {
        let connection = self.link.connection().await?;
        match in_time(write(connection, batch)).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let store = self.link.failed(&error);
                Err(match write_error(&error) {
                    WriteError::Store(_) => store.into(),
                    other => other,
                })
            }
        }
    }

    async fn dead_letters(
        &mut self,
        records: &[(i32, i64, Vec<u8>)],
    ) -> Result<Vec<(i32, i64)>, StoreError> {
        let parts: Vec<i32> = records.iter().map(|it| it.0).collect();
        let offsets: Vec<i64> = records.iter().map(|it| it.1).collect();
        let digests: Vec<&[u8]> = records.iter().map(|it| it.2.as_slice()).collect();
        let query = async |it: &mut PgConnection| {
            let sql = "select part, position from write.dead_letter
                where (part, position, digest) in (select * from unnest($1::int[], $2::bigint[], $3::bytea[]))";
            sqlx::query_as(sql).bind(&parts).bind(&offsets).bind(&digests).fetch_all(it).await
        };
        self.run(query).await
    }

    async fn events_after(
        &mut self,
        part: i32,
        pseq: i64,
        limit: i64,
    ) -> Result<Vec<EventRow>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "select {EVENT} from write.event where part = $1 and pseq > $2 order by pseq limit $3"
        ));
        let query = async |it: &mut PgConnection| {
            sqlx::query_as::<_, Event>(sql).bind(part).bind(pseq).bind(limit).fetch_all(it).await
        };
        Ok(self.run(query).await?.into_iter().map(EventRow::from).collect())
    }

    async fn published(&mut self, marks: &[(i32, i64, i64, i64)]) -> Result<(), StoreError> {
        let parts: Vec<i32> = marks.iter().map(|it| it.0).collect();
        let epochs: Vec<i64> = marks.iter().map(|it| it.1).collect();
        let published: Vec<i64> = marks.iter().map(|it| it.2).collect();
        let offsets: Vec<i64> = marks.iter().map(|it| it.3).collect();
        let query = async |it: &mut PgConnection| {
            let sql = "update write.ledger l set published = m.published, published_offset = m.published_offset
                from unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[])
                    m (part, epoch, published, published_offset)
                where l.part = m.part and l.epoch = m.epoch
                    and (l.published, l.published_offset) <> (m.published, m.published_offset)";
            sqlx::query(sql)
                .bind(&parts)
                .bind(&epochs)
                .bind(&published)
                .bind(&offsets)
                .execute(it)
                .await
        };
        self.run(query).await.map(drop)
    }

    async fn forget_outcomes(
        &mut self,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<(), StoreError> {
        let query = async |it: &mut PgConnection| {
            let sql = "delete from write.outcome where command_id in
                (select command_id from write.outcome where at < $1 order by at limit $2)";
            sqlx::query(sql).bind(before).bind(limit).execute(it).await
        };
        self.run(query).await.map(drop)
    }

    async fn keep_snapshots(&mut self, snapshots: &[SnapshotRow]) -> Result<(), StoreError> {
        for row in snapshots {
            let query = async |it: &mut PgConnection| {
                let sql = "insert into write.snapshot (stream, fold, version, state, at) values ($1, $2, $3, $4, $5)
                    on conflict (stream, fold) do update
                    set version = excluded.version, state = excluded.state, at = excluded.at
                    where snapshot.version < excluded.version";
                sqlx::query(sql)
                    .bind(row.stream)
                    .bind(&row.fold)
                    .bind(row.version)
                    .bind(&row.state)
                    .bind(row.at)
                    .execute(it)
                    .await
            };
            self.run(query).await?;
        }
        Ok(())
    }

    async fn keep_schemas(&mut self, schemas: &[(Fingerprint, String)]) -> Result<(), StoreError> {
        let fingerprints: Vec<i64> = schemas.iter().map(|it| it.0.0.cast_signed()).collect();
        let texts: Vec<&str> = schemas.iter().map(|it| it.1.as_str()).collect();
        let query = async |it: &mut PgConnection| {
            let sql = "insert into write.schema (fingerprint, avsc)
                select * from unnest($1::bigint[], $2::text[]) on conflict do nothing";
            sqlx::query(sql).bind(&fingerprints).bind(&texts).execute(it).await
        };
        self.run(query).await.map(drop)
    }

    async fn schema(&mut self, fingerprint: Fingerprint) -> Result<Option<String>, StoreError> {
        let query = async |it: &mut PgConnection| {
            let sql = "select avsc from write.schema where fingerprint = $1";
            sqlx::query_scalar(sql).bind(fingerprint.0.cast_signed()).fetch_optional(it).await
        };
        self.run(query).await
    }
}

/// The streams that have a past: their newest snapshot of the right fold, and its event and those after it. A stream
/// whose events are all asked for, which is nearly every one, takes one statement.
async fn histories(
    connection: &mut PgConnection,
    streams: &BTreeMap<Uuid, String>,
) -> Result<BTreeMap<Uuid, History>, sqlx::Error> {
    let mut found = events(connection, streams).await?;
    let starts_late = |it: &History| it.events.first().is_some_and(|it| it.version > 1);
    let late: Vec<Uuid> =
        found.iter().filter(|(_, it)| starts_late(it)).map(|(id, _)| *id).collect();
    if late.is_empty() {
        return Ok(found);
    }
    let folds: Vec<&str> = late.iter().map(|id| streams[id].as_str()).collect();
    let sql = "select s.stream, s.fold, s.version, s.state, s.at from write.snapshot s
        join unnest($1::uuid[], $2::text[]) a (stream, fold) on (s.stream, s.fold) = (a.stream, a.fold)";
    let snapshots: Vec<(Uuid, String, i64, String, DateTime<Utc>)> =
        sqlx::query_as(sql).bind(&late).bind(&folds).fetch_all(&mut *connection).await?;
    for (stream, fold, version, state, at) in snapshots {
        let snapshot = SnapshotRow { stream, fold, version, state, at };
        found.entry(stream).or_default().snapshot = Some(snapshot);
    }
    // Snapshots may be deleted at any time: then all of the stream's events are needed.
    let bare = |id: &&Uuid| found.get(id).is_some_and(|it| it.snapshot.is_none());
    let bare: BTreeMap<Uuid, String> =
        late.iter().filter(bare).map(|id| (*id, String::new())).collect();
    if !bare.is_empty() {
        found.extend(events(connection, &bare).await?);
    }
    Ok(found)
}

/// Their events from the one on that a snapshot of the fold stands for; all of them if there is none.
async fn events(
    connection: &mut PgConnection,
    streams: &BTreeMap<Uuid, String>,
) -> Result<BTreeMap<Uuid, History>, sqlx::Error> {
    let ids: Vec<Uuid> = streams.keys().copied().collect();
    let folds: Vec<&str> = streams.values().map(String::as_str).collect();
    let sql = sqlx::AssertSqlSafe(format!(
        "select {EVENT} from unnest($1::uuid[], $2::text[]) a (id, fold)
        cross join lateral (select coalesce(
            (select s.version from write.snapshot s where (s.stream, s.fold) = (a.id, a.fold)), 1) as first) s
        join write.event e on e.stream = a.id and e.version >= s.first order by stream, version"
    ));
    let rows =
        sqlx::query_as::<_, Event>(sql).bind(&ids).bind(&folds).fetch_all(connection).await?;
    let mut found: BTreeMap<Uuid, History> = BTreeMap::new();
    for event in rows {
        found.entry(event.stream).or_default().events.push(event.into());
    }
    Ok(found)
}

pub(super) async fn outcomes(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<OutcomeRow>, sqlx::Error> {
    type Row = (Uuid, i32, Vec<u8>, Vec<u8>, DateTime<Utc>);
    let sql = "select command_id, part, request_hash, body, at from write.outcome where command_id = any($1)";
    let rows: Vec<Row> = sqlx::query_as(sql).bind(ids).fetch_all(connection).await?;
    let outcome = |(command_id, part, request_hash, body, at)| OutcomeRow {
        command_id,
        part,
        request_hash,
        body,
        at,
    };
    Ok(rows.into_iter().map(outcome).collect())
}
