//! Two generations of a view side by side: the rows in which they differ, both as of the same events.
use super::{
    connection::{Postgres, away},
    table::schema,
};
use crate::{
    port::store::{Generation, StoreError},
    view::ViewDefinition,
};
use futures::{StreamExt as _, stream::BoxStream, stream::try_unfold};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// A row that two generations do not have alike.
#[derive(Clone, Debug, PartialEq)]
pub struct RowDifference {
    /// The row's key.
    pub key: String,
    /// As the one has it; `None`: it has no such row.
    pub old: Option<Value>,
    /// As the other one has it.
    pub new: Option<Value>,
}

/// How two generations differ.
pub struct Differences {
    /// Events that only one of the two had when they were compared: rows that these are about may differ for that. Zero
    /// unless events came in without a pause.
    pub events_apart: i64,
    /// The view's columns that one of the two does not have: they are not compared. There are some only where the two
    /// are of different definitions.
    pub columns_of_one: Vec<&'static str>,
    /// In the order of the keys.
    pub rows: BoxStream<'static, Result<RowDifference, StoreError>>,
}

impl Postgres {
    /// Compares two generations of a view, row by row, while both go on. Neither moves for some milliseconds. The old one
    /// may be of another definition.
    ///
    /// # Errors
    /// If the server does not answer, or there is no such generation (any more).
    pub async fn differences(
        &self,
        view: &ViewDefinition,
        old: &Generation,
        new: &Generation,
    ) -> Result<Differences, StoreError> {
        let options = self.options(Some(view.context))?;
        let patient = options.clone().options([("statement_timeout", "0")]);
        let failed = |error: sqlx::Error| away(&error);
        let mut holder = PgConnection::connect_with(&options).await.map_err(failed)?;
        let mut reader = PgConnection::connect_with(&patient).await.map_err(failed)?;
        let mut looks = LOOKS;
        let events_apart = loop {
            let mut held = holder.begin().await.map_err(failed)?;
            let events: i64 = sqlx::query_scalar(HOLD)
                .bind(view.table)
                .bind([&*old.hash, &*new.hash])
                .bind([old.generation, new.generation])
                .fetch_one(&mut *held)
                .await
                .map_err(failed)?;
            looks -= 1;
            if events == 0 || looks == 0 {
                // What the reader sees from now on is what both are now.
                sqlx::raw_sql(SNAPSHOT).execute(&mut reader).await.map_err(failed)?;
                break events;
            }
            held.rollback().await.map_err(failed)?;
            sqlx::raw_sql(PAUSE).execute(&mut holder).await.map_err(failed)?;
        };
        let _ = holder.close().await;
        let common: Vec<String> = sqlx::query_scalar(COMMON)
            .bind(view.table)
            .bind([schema(old), schema(new)])
            .fetch_all(&mut reader)
            .await
            .map_err(failed)?;
        let is_common = |name: &&str| common.iter().any(|it| it == name);
        let (compared, columns_of_one): (Vec<&str>, Vec<&str>) =
            view.columns.iter().map(|it| it.name).partition(is_common);
        let sql = AssertSqlSafe(compare(view, &compared, old, new));
        sqlx::raw_sql(sql).execute(&mut reader).await.map_err(failed)?;
        let rows = try_unfold(reader, |mut reader| async move {
            let rows: Vec<(String, Option<Value>, Option<Value>)> =
                sqlx::query_as("fetch 500 from differences")
                    .fetch_all(&mut reader)
                    .await
                    .map_err(|error| away(&error))?;
            let rows: Vec<RowDifference> =
                rows.into_iter().map(|(key, old, new)| RowDifference { key, old, new }).collect();
            Ok((!rows.is_empty()).then_some((rows, reader)))
        });
        let rows = rows.map(|rows| match rows {
            Ok(rows) => futures::stream::iter(rows.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => futures::stream::iter(vec![Err(error)]),
        });
        Ok(Differences { events_apart, columns_of_one, rows: rows.flatten().boxed() })
    }
}

fn compare(view: &ViewDefinition, columns: &[&str], old: &Generation, new: &Generation) -> String {
    let (key, table) = (view.key, view.table);
    let columns: Vec<String> = columns.iter().map(|it| format!("t.\"{it}\"")).collect();
    let columns = columns.join(", ");
    format!(
        "declare differences no scroll cursor for
    select coalesce(o.\"{key}\", n.\"{key}\")::text, to_jsonb(o), to_jsonb(n)
    from (select {columns} from {old}.{table} t) o
    full join (select {columns} from {new}.{table} t) n on o.\"{key}\" = n.\"{key}\"
    where o is distinct from n
    order by coalesce(o.\"{key}\", n.\"{key}\")",
        old = schema(old),
        new = schema(new),
    )
}

/// Holds the checkpoints of both, in order, and tells by how many events they are apart.
const HOLD: &str = "with held as materialized (
    select c.topic, c.part, c.pseq from read.checkpoint c
    where c.view = $1 and (c.hash, c.generation) in (select * from unnest($2::text[], $3::integer[]))
    order by c.hash, c.generation, c.topic, c.part for update
), place as (
    select max(pseq) - case when count(*) = 2 then min(pseq) else 0 end as events from held group by topic, part
)
select coalesce(sum(events), 0)::bigint from place";

/// The columns that both tables have alike.
const COMMON: &str = "select column_name::text from information_schema.columns
where table_name = $1 and table_schema = any($2)
group by column_name having count(*) = 2 and count(distinct udt_name) = 1";

const SNAPSHOT: &str =
    "begin isolation level repeatable read, read only; select pg_current_snapshot()";
const LOOKS: usize = 200;
const PAUSE: &str = "select pg_sleep(0.01)";
