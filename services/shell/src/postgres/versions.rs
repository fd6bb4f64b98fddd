//! What is kept of every view, also of definitions that this build does not know: for operators.
use super::{
    connection::{Postgres, away},
    table::schema,
};
use crate::{
    port::store::{Generation, StoreError},
    view::ViewDefinition,
};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// A generation of a version of a view, as it is kept.
#[derive(Clone, Debug, PartialEq, serde::Serialize, sqlx::FromRow)]
pub struct Version {
    /// The view.
    pub view: String,
    /// The hash of its definition.
    pub hash: String,
    /// Which of its generations.
    pub generation: i32,
    /// Whether it has all there was when it was begun, and its indexes.
    pub is_complete: bool,
    /// Whether it is what a BFF with this definition reads.
    pub is_live: bool,
    /// The generation that was read before this one.
    pub previous: Option<i32>,
    /// Nothing that happened later is in it.
    pub as_of: Option<DateTime<Utc>>,
    /// When it was begun.
    pub made_at: DateTime<Utc>,
    /// The events that it has.
    pub events: i64,
    /// Its rows, as the server estimates them.
    pub rows: i64,
    /// Its table and indexes.
    pub bytes: i64,
    /// Events of the context's write side that it has not.
    pub behind: i64,
}

/// How far a partition of the write side is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, sqlx::FromRow)]
pub struct PartitionState {
    /// Its number.
    #[sqlx(rename = "part")]
    pub partition: i32,
    /// How often it has had another owner.
    pub epoch: i64,
    /// The first command that is not decided.
    pub next_offset: i64,
    /// The last event that was decided.
    #[sqlx(rename = "pseq")]
    pub decided: i64,
    /// The last event that Kafka has for certain.
    pub published: i64,
}

impl Postgres {
    /// Every generation of every view of a context.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn versions(&self, context: &str) -> Result<Vec<Version>, StoreError> {
        let options = self.options(Some(context))?;
        let mut connection =
            PgConnection::connect_with(&options).await.map_err(|error| away(&error))?;
        let topic = format!("{context}.events");
        let versions = sqlx::query_as(VERSIONS).bind(topic).fetch_all(&mut connection).await;
        let _ = connection.close().await;
        versions.map_err(|error| away(&error))
    }

    /// Every partition of a context's write side.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn partitions(&self, context: &str) -> Result<Vec<PartitionState>, StoreError> {
        let options = self.options(Some(context))?;
        let mut connection =
            PgConnection::connect_with(&options).await.map_err(|error| away(&error))?;
        let sql =
            "select part, epoch, next_offset, pseq, published from write.ledger order by part";
        let partitions = sqlx::query_as(sql).fetch_all(&mut connection).await;
        let _ = connection.close().await;
        partitions.map_err(|error| away(&error))
    }

    /// Forgets every generation of a definition, also the one that is read: no build in use may have this definition any
    /// more, or it begins it again. How many there were.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn forget_version(
        &self,
        view: &ViewDefinition,
        hash: &str,
    ) -> Result<usize, StoreError> {
        let options = self.options(Some(view.context))?;
        let failed = |error: sqlx::Error| away(&error);
        let mut connection = PgConnection::connect_with(&options).await.map_err(failed)?;
        let mut transaction = connection.begin().await.map_err(failed)?;
        let sql = "delete from read.live where (view, hash) = ($1, $2)";
        sqlx::query(sql)
            .bind(view.table)
            .bind(hash)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let sql = "delete from read.generation where (view, hash) = ($1, $2) returning generation";
        let generations: Vec<i32> = sqlx::query_scalar(sql)
            .bind(view.table)
            .bind(hash)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        for generation in &generations {
            let of =
                Generation { table: view.table, hash: hash.to_owned(), generation: *generation };
            let sql = format!("drop schema if exists {} cascade", schema(&of));
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        let _ = connection.close().await;
        Ok(generations.len())
    }
}

const VERSIONS: &str = "select g.view, g.hash, g.generation, g.is_complete, l.generation is not null as is_live, l.previous,
        g.as_of, g.made_at,
        (select coalesce(sum(c.pseq), 0)::bigint from read.checkpoint c
            where (c.view, c.hash, c.generation) = (g.view, g.hash, g.generation)) as events,
        coalesce(greatest(t.reltuples, 0), 0)::bigint as rows, coalesce(pg_total_relation_size(t.oid), 0) as bytes,
        (select coalesce(sum(greatest(w.pseq - coalesce(c.pseq, 0), 0)), 0)::bigint
            from write.ledger w left join read.checkpoint c
                on (c.view, c.hash, c.generation, c.topic, c.part) = (g.view, g.hash, g.generation, $1, w.part)) as behind
    from read.generation g
    left join read.live l using (view, hash, generation)
    left join pg_class t on t.oid = to_regclass(format('view_%s_%s_%s.%I', g.view, g.hash, g.generation, g.view))
    order by g.view, g.made_at, g.generation";
