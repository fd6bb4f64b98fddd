//! A page of a view, in SQL that somebody wrote for this question.
use chrono::{DateTime, Utc};
use common::Arguments;
use serde_json::Value;
use uuid::Uuid;

type Row = (Uuid, String, String, DateTime<Utc>, Option<DateTime<Utc>>, i64);

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Value> {
    let (database, question): (String, String) =
        (arguments.get("database")?, arguments.get("question")?);
    let pool = arguments.pool(&database, 1).await?;
    let sql = format!("select id, email, status, invited_at, verified_at, version from {question}");
    common::at_rate(arguments, || {
        let (pool, sql) = (pool.clone(), sql.clone());
        async move {
            let rows: Vec<Row> = sqlx::query_as(&sql).fetch_all(&pool).await?;
            anyhow::ensure!(rows.len() == 51, "{} rows", rows.len());
            Ok(())
        }
    })
    .await
}
