//! Rows by their keys, for all who ask at the same time: one statement answers all of them.
//!
//! Whoever sent a mutation asks for its row as soon as the view has it, so that with many mutations many ask at once.
use super::{
    connection::{away, is_gone},
    reads::Seen,
    select::{CHECKPOINTS, LIVE, columns},
    table::{key_type, schema},
    views::checkpoints as checkpoints_of,
};
use crate::{
    port::store::{CheckpointRow, Generation, RawRows, StoreError},
    reads::{Filter, Query, Test},
    view::ViewDefinition,
};
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, PgPool};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// Statements at work at the same time: while they are, who asks is gathered for the next one.
const WORKERS: usize = 2;
/// Keys of one statement.
const KEYS_MAX: usize = 1_000;

/// Looks up rows of one generation of a view.
pub(super) struct Gatherer {
    pool: PgPool,
    of: Generation,
    sql: String,
    desk: Mutex<Desk>,
}

#[derive(Default)]
struct Desk {
    waiting: Vec<Ask>,
    working: usize,
}

struct Ask {
    keys: Vec<String>,
    answer: oneshot::Sender<Result<Seen<RawRows>, StoreError>>,
}

/// What one statement found.
struct Found {
    rows: BTreeMap<String, Box<RawValue>>,
    checkpoints: Vec<CheckpointRow>,
    live: Option<i32>,
}

/// The keys that a query asks for, if it asks for nothing else.
pub(super) fn keys(query: &Query, view: &ViewDefinition) -> Option<Vec<String>> {
    let Query { filter, order, after, before, limit, backward, count } = query;
    let Filter::Field { column, test: Test::In(values) } = filter else { return None };
    let is_plain =
        order.is_empty() && (after, before, limit) == (&None, &None, &None) && !backward && !count;
    if *column != view.key || !is_plain {
        return None;
    }
    let mut keys: Vec<String> = values.iter().map(ToString::to_string).collect();
    // In the order of the keys, as an answer has them.
    keys.sort_unstable();
    keys.dedup();
    (keys.len() <= KEYS_MAX).then_some(keys)
}

impl Gatherer {
    pub(super) fn new(pool: PgPool, view: &ViewDefinition, of: Generation) -> Self {
        let (key, cast, table) = (view.key, key_type(view), view.table);
        let sql = format!(
            "select
    (select coalesce(json_object_agg(r.\"{key}\"::text, to_json(r)), '{{}}')::text
        from (select {columns} from {schema}.{table} t where t.\"{key}\" = any($4::text[]::{cast}[])) r) as rows,
    {CHECKPOINTS} as checkpoints,
    {LIVE} as live",
            columns = columns(view),
            schema = schema(&of),
        );
        Self { pool, of, sql, desk: Mutex::default() }
    }

    /// The rows with these keys, which are in order, as they are after this call.
    pub(super) async fn rows(
        self: Arc<Self>,
        keys: Vec<String>,
    ) -> Result<Seen<RawRows>, StoreError> {
        let (answer, told) = oneshot::channel();
        let begins = {
            let mut desk = self.desk();
            desk.waiting.push(Ask { keys, answer });
            let begins = desk.working < WORKERS;
            desk.working += usize::from(begins);
            begins
        };
        if begins {
            // A task of its own: whoever asked first may go away, and the others wait all the same.
            drop(tokio::spawn(self.work()));
        }
        told.await.unwrap_or_else(|_| Err(StoreError::Away("the look-up was given up".into())))
    }

    async fn work(self: Arc<Self>) {
        while let Some(asks) = self.gathered() {
            let keys: Vec<&str> =
                asks.iter().flat_map(|it| it.keys.iter().map(String::as_str)).collect();
            let found = self.look_up(&keys).await;
            for Ask { keys, answer } in asks {
                // Who does not wait any more misses nothing.
                let _ = answer.send(found.as_ref().map(|it| it.of(&keys)).map_err(Clone::clone));
            }
        }
    }

    /// Those who wait; if nobody does, the worker ends.
    fn gathered(&self) -> Option<Vec<Ask>> {
        let mut desk = self.desk();
        let mut keys = 0;
        let fits = |it: &Ask| {
            keys += it.keys.len();
            keys <= KEYS_MAX
        };
        let count = desk.waiting.iter().map(fits).take_while(|it| *it).count();
        if count == 0 {
            desk.working -= 1;
            return None;
        }
        Some(desk.waiting.drain(..count).collect())
    }

    async fn look_up(&self, keys: &[&str]) -> Result<Found, StoreError> {
        let found = sqlx::query_as(AssertSqlSafe(self.sql.as_str()))
            .bind(self.of.table)
            .bind(&self.of.hash)
            .bind(self.of.generation)
            .bind(keys)
            .fetch_one(&self.pool)
            .await;
        let (rows, checkpoints, live): (String, String, Option<i32>) = match found {
            Ok(it) => it,
            Err(error) if is_gone(&error) => ("{}".into(), "[]".into(), None),
            Err(error) => return Err(away(&error)),
        };
        let table = self.of.table;
        let rows = serde_json::from_str(&rows)
            .map_err(|error| StoreError::Broken(format!("rows of {table}: {error}")))?;
        let checkpoints = checkpoints_of(&checkpoints, table)?;
        Ok(Found { rows, checkpoints, live })
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn of(&self, keys: &[String]) -> Seen<RawRows> {
        let rows: Vec<&str> =
            keys.iter().filter_map(|it| self.rows.get(it)).map(|it| it.get()).collect();
        let rows = RawRows {
            rows: format!("[{}]", rows.join(",")),
            total: None,
            checkpoints: self.checkpoints.clone(),
        };
        Seen { it: rows, live: self.live }
    }
}
