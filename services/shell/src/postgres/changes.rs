//! The log of what changed in views (protocol.md V7).
use super::{
    connection::away,
    reads::Seen,
    select::{CHECKPOINTS, LIVE},
    views::checkpoints as checkpoints_of,
};
use crate::port::store::{Change, Changes, Generation, Mark, StoreError, Touched, ViewBatch};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

/// For each checkpoint of the batch: the keys of its rows, a JSON array; `None`: they are not logged.
pub(super) fn keys(batch: &ViewBatch) -> Vec<Option<String>> {
    of_checkpoints(batch, |it| serde_json::to_string(&it.keys).ok())
}

/// For each checkpoint of the batch: who asked for it, a JSON array; `None`: nobody who is traced.
pub(super) fn traces(batch: &ViewBatch) -> Vec<Option<String>> {
    of_checkpoints(batch, |it| {
        (!it.traces.is_empty()).then(|| serde_json::to_string(&it.traces).ok()).flatten()
    })
}

fn of_checkpoints(
    batch: &ViewBatch,
    column: impl Fn(&Touched) -> Option<String>,
) -> Vec<Option<String>> {
    let touched = |place: (String, i32)| batch.changes.get(&place).and_then(&column);
    batch.checkpoints.iter().map(|it| touched((it.to.topic.clone(), it.to.part))).collect()
}

/// A change as JSON: topic, partition, `from_pseq`, `pseq`, number, keys, traces.
type Line = (String, i32, i64, i64, i64, Vec<String>, Option<Vec<String>>);

/// What changed after these marks, at most `limit` batches of each partition.
pub(super) async fn after(
    pool: PgPool,
    of: Generation,
    marks: &[Mark],
    limit: i64,
) -> Result<Seen<Changes>, StoreError> {
    let sql = format!(
        "select
    (select coalesce(json_agg(json_build_array(l.topic, l.part, l.from_pseq, l.pseq, l.number, l.keys, l.traces)),
            '[]')::text
        from unnest($4::text[], $5::int[], $6::bigint[], $7::bigint[]) m (topic, part, pseq, number)
        cross join lateral (
            select * from read.change c
            where (c.view, c.hash, c.generation, c.topic, c.part) = ($1, $2, $3, m.topic, m.part) and c.pseq >= m.pseq
                and (c.pseq > m.pseq or (c.from_pseq = c.pseq and c.number > m.number))
            order by c.pseq, c.number limit $8) l) as changes,
    {CHECKPOINTS} as checkpoints,
    {LIVE} as live"
    );
    let topics: Vec<&str> = marks.iter().map(|it| it.topic.as_str()).collect();
    let number = |of: fn(&Mark) -> i64| marks.iter().map(of).collect::<Vec<_>>();
    let (lines, checkpoints, live): (String, String, Option<i32>) =
        sqlx::query_as(AssertSqlSafe(sql))
            .bind(of.table)
            .bind(&of.hash)
            .bind(of.generation)
            .bind(topics)
            .bind(marks.iter().map(|it| it.part).collect::<Vec<_>>())
            .bind(number(|it| it.pseq))
            .bind(number(|it| it.number))
            .bind(limit)
            .fetch_one(&pool)
            .await
            .map_err(|error| away(&error))?;
    let lines: Vec<Line> = serde_json::from_str(&lines)
        .map_err(|error| StoreError::Broken(format!("changes of {}: {error}", of.table)))?;
    let change = |(topic, part, from_pseq, pseq, number, keys, traces): Line| {
        let traces = traces.unwrap_or_default();
        Change { topic, part, from_pseq, pseq, number, keys, traces }
    };
    let mut batches: Vec<Change> = lines.into_iter().map(change).collect();
    batches.sort_by_key(|it| (it.pseq, it.number));
    let checkpoints = checkpoints_of(&checkpoints, of.table)?;
    Ok(Seen { it: Changes { generation: of.generation, batches, checkpoints }, live })
}

/// Forgets changes of before this instant, whichever view they are of, at most `limit` of them.
pub(super) async fn forget(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    // Whoever else is at it takes others: nobody waits.
    let sql = "delete from read.change where ctid = any(array(
        select ctid from read.change where at < $1 order by at limit $2 for update skip locked))";
    let done = sqlx::query(sql).bind(before).bind(limit).execute(connection).await?;
    Ok(done.rows_affected())
}
