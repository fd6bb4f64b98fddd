//! The generations of a view in Postgres: each has a schema of its own, and a row says which one is read.
use super::{
    connection::away,
    news,
    select::CHECKPOINTS,
    table::{self, schema},
    views::{PostgresViews, checkpoints as checkpoints_of},
};
use crate::{
    port::store::{
        BuildOrder, CheckpointRow, CutOver, Generation, GenerationRow, GenerationState,
        Generations, StoreError, Switched,
    },
    view::ViewDefinition,
};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgTransaction};

impl Generations for PostgresViews {
    async fn prepare(
        &mut self,
        view: &ViewDefinition,
        parts: usize,
    ) -> Result<Generation, StoreError> {
        let query = async |it: &mut PgConnection| {
            let mut transaction = it.begin().await?;
            one_at_a_time(&mut transaction, view).await?;
            let newest = match newest(&mut transaction, view).await? {
                Some(newest) => newest,
                None => make(&mut transaction, view, parts, 1, &BuildOrder::default()).await?,
            };
            transaction.commit().await?;
            Ok(newest)
        };
        self.run(query).await
    }

    async fn begin(
        &mut self,
        view: &ViewDefinition,
        parts: usize,
        order: &BuildOrder,
    ) -> Result<Generation, StoreError> {
        let query = async |it: &mut PgConnection| {
            let mut transaction = it.begin().await?;
            one_at_a_time(&mut transaction, view).await?;
            let newest = newest(&mut transaction, view).await?;
            let number = newest.map_or(1, |it| it.generation + 1);
            let of = make(&mut transaction, view, parts, number, order).await?;
            transaction.commit().await?;
            Ok(of)
        };
        self.run(query).await
    }

    async fn generations(
        &mut self,
        view: &ViewDefinition,
    ) -> Result<Vec<GenerationRow>, StoreError> {
        type Row = (i32, bool, String, Option<DateTime<Utc>>, Option<i32>, bool);
        let query = async |it: &mut PgConnection| {
            let sql = "select generation, is_complete, cut_over, as_of, events_per_second_max,
                    exists (select from read.live l where (l.view, l.hash, l.generation) = (g.view, g.hash, g.generation))
                from read.generation g where (view, hash) = ($1, $2) order by generation";
            sqlx::query_as::<_, Row>(sql).bind(view.table).bind(&view.hash).fetch_all(it).await
        };
        let row =
            |(generation, is_complete, cut_over, as_of, events_per_second_max, is_live): Row| {
                let state = match (is_live, is_complete) {
                    (true, _) => GenerationState::Live,
                    (false, true) => GenerationState::Complete,
                    (false, false) => GenerationState::Building,
                };
                let cut_over = if cut_over == "ask" { CutOver::Ask } else { CutOver::Auto };
                let events_per_second_max =
                    events_per_second_max.and_then(|it| u32::try_from(it).ok());
                let order = BuildOrder { cut_over, as_of, events_per_second_max };
                let of = Generation { table: view.table, hash: view.hash.clone(), generation };
                GenerationRow { of, order, state }
            };
        Ok(self.run(query).await?.into_iter().map(row).collect())
    }

    async fn checkpoints(&mut self, of: &Generation) -> Result<Vec<CheckpointRow>, StoreError> {
        let query = async |it: &mut PgConnection| {
            let sql = format!("select {CHECKPOINTS}");
            sqlx::query_scalar::<_, String>(AssertSqlSafe(sql))
                .bind(of.table)
                .bind(&of.hash)
                .bind(of.generation)
                .fetch_one(it)
                .await
        };
        checkpoints_of(&self.run(query).await?, of.table)
    }

    async fn complete(
        &mut self,
        view: &ViewDefinition,
        of: &Generation,
    ) -> Result<bool, StoreError> {
        let query = async |it: &mut PgConnection| {
            sqlx::query_scalar::<_, bool>(HAS_CAUGHT_UP)
                .bind(of.table)
                .bind(&of.hash)
                .bind(of.generation)
                .fetch_one(it)
                .await
        };
        if !self.run(query).await? {
            return Ok(false);
        }
        // On a connection of its own: it may take minutes, and the loops' connections are not patient.
        let options = self.link.options()?.options(PATIENT);
        let mut connection = PgConnection::connect_with(&options).await.map_err(|it| away(&it))?;
        let completed = complete(&mut connection, view, of).await.map_err(|error| away(&error));
        let _ = connection.close().await;
        completed
    }

    async fn cut_over(
        &mut self,
        view: &ViewDefinition,
        of: &Generation,
    ) -> Result<Switched, StoreError> {
        let query = async |it: &mut PgConnection| {
            let mut transaction = it.begin().await?;
            one_at_a_time(&mut transaction, view).await?;
            let events = events_behind(&mut transaction, of).await?;
            if events > 0 {
                transaction.rollback().await?;
                return Ok(Switched::Behind { events });
            }
            sqlx::query(SWITCH)
                .bind(of.table)
                .bind(&of.hash)
                .bind(of.generation)
                .bind(news::payload(of, std::iter::empty()))
                .bind(news::CHANNEL)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(Switched::Done)
        };
        self.run(query).await
    }

    async fn drop_generation(&mut self, of: &Generation) -> Result<bool, StoreError> {
        let query = async |it: &mut PgConnection| {
            let mut transaction = it.begin().await?;
            let sql = "delete from read.generation g where (view, hash, generation) = ($1, $2, $3) and not exists (
                select from read.live l where (l.view, l.hash, l.generation) = (g.view, g.hash, g.generation))";
            let forgotten = sqlx::query(sql)
                .bind(of.table)
                .bind(&of.hash)
                .bind(of.generation)
                .execute(&mut *transaction)
                .await?;
            if forgotten.rows_affected() == 0 {
                return Ok(false);
            }
            let sql = format!("drop schema if exists {} cascade", schema(of));
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(true)
        };
        self.run(query).await
    }
}

/// Two processes that start at once make it once.
async fn one_at_a_time(
    transaction: &mut PgTransaction<'_>,
    view: &ViewDefinition,
) -> Result<(), sqlx::Error> {
    let sql = "select pg_advisory_xact_lock(hashtextextended('view ' || $1, 0))";
    sqlx::query(sql).bind(view.table).execute(&mut **transaction).await?;
    Ok(())
}

async fn newest(
    transaction: &mut PgTransaction<'_>,
    view: &ViewDefinition,
) -> Result<Option<Generation>, sqlx::Error> {
    let sql = "select max(generation) from read.generation where (view, hash) = ($1, $2)";
    let query = sqlx::query_scalar::<_, Option<i32>>(sql).bind(view.table).bind(&view.hash);
    let newest = query.fetch_one(&mut **transaction).await?;
    let of = |generation| Generation { table: view.table, hash: view.hash.clone(), generation };
    Ok(newest.map(of))
}

async fn make(
    transaction: &mut PgTransaction<'_>,
    view: &ViewDefinition,
    parts: usize,
    generation: i32,
    order: &BuildOrder,
) -> Result<Generation, sqlx::Error> {
    let of = Generation { table: view.table, hash: view.hash.clone(), generation };
    sqlx::raw_sql(AssertSqlSafe(table::create(view, &of))).execute(&mut **transaction).await?;
    let BuildOrder { cut_over, as_of, events_per_second_max } = order;
    let sql = "insert into read.generation (view, hash, generation, parts, cut_over, as_of, events_per_second_max)
        values ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(sql)
        .bind(of.table)
        .bind(&of.hash)
        .bind(generation)
        .bind(i32::try_from(parts).unwrap_or(i32::MAX))
        .bind(match cut_over {
            CutOver::Auto => "auto",
            CutOver::Ask => "ask",
        })
        .bind(as_of)
        .bind(events_per_second_max.map(|it| i32::try_from(it).unwrap_or(i32::MAX)))
        .execute(&mut **transaction)
        .await?;
    Ok(of)
}

async fn complete(
    connection: &mut PgConnection,
    view: &ViewDefinition,
    of: &Generation,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let sql = "select pg_try_advisory_xact_lock(hashtextextended('complete ' || $1, 0))";
    let is_ours: bool =
        sqlx::query_scalar(sql).bind(schema(of)).fetch_one(&mut *transaction).await?;
    let sql =
        "select is_complete from read.generation where (view, hash, generation) = ($1, $2, $3)";
    let is_complete: Option<bool> = sqlx::query_scalar(sql)
        .bind(of.table)
        .bind(&of.hash)
        .bind(of.generation)
        .fetch_optional(&mut *transaction)
        .await?;
    if !is_ours || is_complete != Some(false) {
        return Ok(is_complete == Some(true));
    }
    sqlx::raw_sql(AssertSqlSafe(table::indexes(view, of))).execute(&mut *transaction).await?;
    let sql = "update read.generation set is_complete = true where (view, hash, generation) = ($1, $2, $3)";
    sqlx::query(sql)
        .bind(of.table)
        .bind(&of.hash)
        .bind(of.generation)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

/// How many events the generation lacks of what is shown now. What is shown now does not move until the transaction
/// ends, so that waiting for a moment is enough. Another life of the write side is no place to go back to: it does not
/// count.
async fn events_behind(
    transaction: &mut PgTransaction<'_>,
    of: &Generation,
) -> Result<i64, sqlx::Error> {
    sqlx::query(HOLD).bind(of.table).bind(&of.hash).execute(&mut **transaction).await?;
    let mut behind = 0;
    for _ in 0..LOOKS {
        behind = sqlx::query_scalar(BEHIND)
            .bind(of.table)
            .bind(&of.hash)
            .bind(of.generation)
            .fetch_one(&mut **transaction)
            .await?;
        if behind == 0 {
            break;
        }
        sqlx::query(PAUSE).execute(&mut **transaction).await?;
    }
    Ok(behind)
}

const HAS_CAUGHT_UP: &str = "select coalesce((
    select g.parts <= (select count(*) from read.checkpoint c
        where (c.view, c.hash, c.generation) = (g.view, g.hash, g.generation) and c.caught_up)
    from read.generation g where (g.view, g.hash, g.generation) = ($1, $2, $3)), false)";

/// In the order of partitions, as whoever locks several of them.
const HOLD: &str = "select from read.checkpoint c join read.live l using (view, hash, generation)
    where (c.view, c.hash) = ($1, $2) order by c.topic, c.part for update of c";

const BEHIND: &str =
    "select coalesce(sum(greatest(shown.pseq - coalesce(next.pseq, 0), 0)), 0)::bigint
    from read.live l join read.checkpoint shown using (view, hash, generation)
    left join read.checkpoint next on (next.view, next.hash, next.generation) = ($1, $2, $3)
        and (next.topic, next.part) = (shown.topic, shown.part)
    where (l.view, l.hash) = ($1, $2)
        and (next.incarnation is null or next.incarnation in (0, shown.incarnation))";

/// The loops wait for two seconds at most: what is shown now must move again before.
const LOOKS: usize = 40;
const PAUSE: &str = "select pg_sleep(0.02)";

/// It takes the place of what is read once without being asked; after a roll back it is asked for.
const SWITCH: &str = "with done as (
    update read.generation set cut_over = 'ask' where (view, hash, generation) = ($1, $2, $3)
)
insert into read.live (view, hash, generation) values ($1, $2, $3)
on conflict (view, hash) do update
set previous = case when live.generation = excluded.generation then live.previous else live.generation end,
    generation = excluded.generation, since = now()
returning pg_notify($5, $4)::text";

const PATIENT: [(&str, &str); 4] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "30s"),
    ("maintenance_work_mem", "256MB"),
    ("synchronous_commit", "off"),
];
