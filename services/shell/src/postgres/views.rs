//! The read side of a context in Postgres.
use super::{
    again, changes,
    connection::{Link, in_time, write_error},
    news, table,
};
use crate::{
    port::store::{
        Aside, Asked, CheckpointRow, Generation, StoreError, ViewBatch, Views, WriteError,
    },
    view::ViewDefinition,
};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;

/// The read side of a context in Postgres, over one connection.
pub struct PostgresViews {
    pub(super) link: Link,
    /// Between a load with locks and its write.
    pub(super) is_in_transaction: bool,
}

impl PostgresViews {
    pub(super) async fn run<T>(
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

pub(super) type Checkpoint = (String, i32, i64, i64, i64, i64, bool);

pub(super) fn checkpoint(it: Checkpoint) -> CheckpointRow {
    let (topic, part, incarnation, epoch, pseq, next_offset, caught_up) = it;
    CheckpointRow { topic, part, incarnation, epoch, pseq, next_offset, caught_up }
}

/// The checkpoints that [`CHECKPOINTS`](super::select::CHECKPOINTS) selects.
pub(super) fn checkpoints(json: &str, table: &str) -> Result<Vec<CheckpointRow>, StoreError> {
    let rows: Vec<Checkpoint> = serde_json::from_str(json)
        .map_err(|error| StoreError::Broken(format!("checkpoints of {table}: {error}")))?;
    Ok(rows.into_iter().map(checkpoint).collect())
}

impl Views for PostgresViews {
    async fn acquire(
        &mut self,
        of: &Generation,
        parts: &[(String, i32)],
    ) -> Result<Vec<CheckpointRow>, StoreError> {
        let (topics, numbers): (Vec<&str>, Vec<i32>) =
            parts.iter().map(|(topic, part)| (topic.as_str(), *part)).unzip();
        let query = async |it: &mut PgConnection| {
            let sql = "insert into read.checkpoint (view, hash, generation, topic, part, incarnation, epoch, pseq, next_offset, caught_up)
                select $1, $2, $3, p.topic, p.part, 0, 1, 0, 0, false
                from unnest($4::text[], $5::int[]) p (topic, part) order by p.topic, p.part
                on conflict (view, hash, generation, topic, part) do update set epoch = checkpoint.epoch + 1
                returning topic, part, incarnation, epoch, pseq, next_offset, caught_up";
            sqlx::query_as::<_, Checkpoint>(sql)
                .bind(of.table)
                .bind(&of.hash)
                .bind(of.generation)
                .bind(&topics)
                .bind(&numbers)
                .fetch_all(it)
                .await
        };
        Ok(self.run(query).await?.into_iter().map(checkpoint).collect())
    }

    async fn aside(
        &mut self,
        of: &Generation,
        parts: &[(String, i32)],
    ) -> Result<Aside, StoreError> {
        self.run(async |it: &mut PgConnection| again::aside(it, of, parts).await).await
    }

    async fn asked(
        &mut self,
        of: &Generation,
        parts: &[(String, i32)],
    ) -> Result<Vec<Asked>, StoreError> {
        self.run(async |it: &mut PgConnection| again::asked(it, of, parts).await).await
    }

    async fn load(
        &mut self,
        view: &ViewDefinition,
        of: &Generation,
        keys: &[String],
        lock: bool,
    ) -> Result<BTreeMap<String, serde_json::Value>, StoreError> {
        self.is_in_transaction |= lock;
        let sql = AssertSqlSafe(table::load(view, of));
        let query = async |it: &mut PgConnection| {
            if lock {
                sqlx::raw_sql("begin").execute(&mut *it).await?;
                // In order, so that two processes cannot wait for each other (V3).
                let locks = "select count(pg_advisory_xact_lock(h)) from
                    (select distinct hashtextextended($1 || ' ' || k, 0) h from unnest($2::text[]) k order by h) x";
                sqlx::query(locks).bind(view.table).bind(keys).execute(&mut *it).await?;
            }
            sqlx::query_as::<_, (String, serde_json::Value)>(sql).bind(keys).fetch_all(it).await
        };
        Ok(self.run(query).await?.into_iter().collect())
    }

    async fn write(
        &mut self,
        view: &ViewDefinition,
        of: &Generation,
        batch: &ViewBatch,
    ) -> Result<(), WriteError> {
        let has_begun = std::mem::take(&mut self.is_in_transaction);
        let commit = has_begun || !batch.tried.is_empty();
        let connection = self.link.connection().await?;
        let written = async {
            if commit && !has_begun {
                sqlx::raw_sql("begin").execute(&mut *connection).await?;
            }
            write(connection, view, of, batch).await?;
            if !batch.tried.is_empty() {
                again::settle(connection, of, &batch.tried).await?;
            }
            if commit {
                sqlx::raw_sql("commit").execute(connection).await?;
            }
            Ok(())
        };
        match in_time(written).await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.is_in_transaction = commit;
                let store = self.link.failed(&error);
                Err(match write_error(&error) {
                    WriteError::Store(_) => store.into(),
                    other => other,
                })
            }
        }
    }

    async fn forget_changes(
        &mut self,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<u64, StoreError> {
        self.run(async |it: &mut PgConnection| changes::forget(it, before, limit).await).await
    }

    async fn roll_back(&mut self) {
        if std::mem::take(&mut self.is_in_transaction) {
            let query = async |it: &mut PgConnection| sqlx::raw_sql("rollback").execute(it).await;
            if self.run(query).await.is_err() {
                self.link.drop_connection();
            }
        }
    }
}

async fn write(
    connection: &mut PgConnection,
    view: &ViewDefinition,
    of: &Generation,
    batch: &ViewBatch,
) -> Result<(), sqlx::Error> {
    macro_rules! column {
        ($rows:ident, $value:expr) => {
            batch.$rows.iter().map($value).collect::<Vec<_>>()
        };
    }
    let gone: Vec<&str> =
        batch.rows.iter().filter(|(_, row)| row.is_none()).map(|(key, _)| key.as_str()).collect();
    let mut query = sqlx::query(AssertSqlSafe(table::write(view, of)))
        .bind(column!(checkpoints, |it| it.to.topic.as_str()))
        .bind(column!(checkpoints, |it| it.to.part))
        .bind(column!(checkpoints, |it| it.to.epoch))
        .bind(column!(checkpoints, |it| it.from_pseq))
        .bind(column!(checkpoints, |it| it.to.pseq))
        .bind(column!(checkpoints, |it| it.to.next_offset))
        .bind(column!(checkpoints, |it| it.to.incarnation))
        .bind(column!(checkpoints, |it| it.to.caught_up))
        .bind(i64::try_from(batch.checkpoints.len()).unwrap_or(i64::MAX))
        .bind(of.table)
        .bind(&of.hash)
        .bind(of.generation)
        .bind(column!(parked, |it| it.topic.as_str()))
        .bind(column!(parked, |it| it.part))
        .bind(column!(parked, |it| it.pseq))
        .bind(column!(parked, |it| it.stream))
        .bind(column!(parked, |it| it.reason.as_str()))
        .bind(column!(parked, |it| it.headers.as_str()))
        .bind(column!(parked, |it| it.payload.as_deref()))
        .bind(column!(parked, |it| it.at))
        .bind(gone);
    for it in &view.columns {
        let values: Vec<Option<String>> =
            batch.rows.values().flatten().map(|row| table::text(row, it)).collect();
        query = query.bind(values);
    }
    if !view.searched.is_empty() {
        let values: Vec<String> =
            batch.rows.values().flatten().map(|row| table::words(row, view)).collect();
        query = query.bind(values);
    }
    let news = news::payload(of, batch.checkpoints.iter().map(|it| &it.to));
    let query = query.bind(news).bind(changes::keys(batch)).bind(changes::traces(batch));
    query.fetch_one(connection).await?;
    Ok(())
}
