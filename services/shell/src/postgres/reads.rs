//! What the BFF reads from Postgres: pooled connections, and a listener for each context.
use super::{
    connection::{Postgres, away},
    export::export,
    gather::{self, Gatherer},
    ledger::outcomes,
    news::{CHANNEL, Heard},
    select::{self, Parameter, Statement},
    troubles::troubles,
    views::checkpoints as checkpoints_of,
};
use crate::{
    port::store::{Export, Generation, Head, OutcomeRow, RawRows, Reads, StoreError},
    reads::{Counts, Query},
    status::ContextReport,
    view::ViewDefinition,
};
use functions::Unique;
use futures::future::BoxFuture;
use sqlx::{
    AssertSqlSafe, PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;
use uuid::Uuid;

/// What the BFF reads from Postgres.
pub struct PostgresReads {
    server: Postgres,
    contexts: Mutex<BTreeMap<String, Context>>,
    generations: Mutex<BTreeMap<(&'static str, String), i32>>,
    gatherers: Mutex<BTreeMap<Generation, Arc<Gatherer>>>,
}

#[derive(Clone)]
struct Context {
    pool: PgPool,
    changed: Arc<Notify>,
    heard: Arc<Mutex<Heard>>,
    /// Nobody listens before somebody waits.
    listens: Arc<Once>,
}

impl PostgresReads {
    /// Opens nothing until something is read.
    #[must_use]
    pub fn new(server: Postgres) -> Self {
        Self {
            server,
            contexts: Mutex::default(),
            generations: Mutex::default(),
            gatherers: Mutex::default(),
        }
    }

    fn context(&self, name: &str) -> Result<Context, StoreError> {
        let mut contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(it) = contexts.get(name) {
            return Ok(it.clone());
        }
        let options = self.server.options(Some(name))?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        let (changed, heard, listens) = (Arc::default(), Arc::default(), Arc::new(Once::new()));
        let it = Context { pool, changed, heard, listens };
        contexts.insert(name.to_owned(), it.clone());
        Ok(it)
    }

    /// The newest generation of the version that this build knows.
    async fn generation(
        &self,
        pool: &PgPool,
        view: &ViewDefinition,
    ) -> Result<Option<Generation>, StoreError> {
        let name = (view.table, view.hash.clone());
        let known = {
            let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
            generations.get(&name).copied()
        };
        let generation = if known.is_some() {
            known
        } else {
            let sql = "select max(generation) from read.generation where (view, hash) = ($1, $2)";
            let query = sqlx::query_scalar(sql).bind(view.table).bind(&view.hash).fetch_one(pool);
            query.await.map_err(|error| away(&error))?
        };
        if let (None, Some(generation)) = (known, generation) {
            let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
            generations.insert(name, generation);
        }
        let of = |generation| Generation { table: view.table, hash: view.hash.clone(), generation };
        Ok(generation.map(of))
    }

    fn gatherer(&self, pool: PgPool, view: &ViewDefinition, of: Generation) -> Arc<Gatherer> {
        let mut gatherers = self.gatherers.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = gatherers.entry(of.clone());
        Arc::clone(entry.or_insert_with(|| Arc::new(Gatherer::new(pool, view, of))))
    }

    async fn read(
        &self,
        context: &str,
        view: &ViewDefinition,
        query: &Query,
    ) -> Result<Option<RawRows>, StoreError> {
        let Context { pool, .. } = self.context(context)?;
        let Some(of) = self.generation(&pool, view).await? else { return Ok(None) };
        if let Some(keys) = gather::keys(query, view) {
            return self.gatherer(pool, view, of).rows(keys).await.map(Some);
        }
        self.ask(&pool, view, &of, select::read(view, &of, query)).await.map(Some)
    }

    async fn count(
        &self,
        context: &str,
        view: &ViewDefinition,
        counts: &Counts,
    ) -> Result<Option<RawRows>, StoreError> {
        let Context { pool, .. } = self.context(context)?;
        let Some(of) = self.generation(&pool, view).await? else { return Ok(None) };
        self.ask(&pool, view, &of, select::count(view, &of, counts)).await.map(Some)
    }

    async fn ask(
        &self,
        pool: &PgPool,
        view: &ViewDefinition,
        of: &Generation,
        Statement { sql, parameters }: Statement,
    ) -> Result<RawRows, StoreError> {
        let sql = AssertSqlSafe(sql);
        let mut statement = sqlx::query_as::<_, (String, Option<i64>, String, Option<bool>)>(sql)
            .bind(of.table)
            .bind(&of.hash)
            .bind(of.generation);
        for it in parameters {
            statement = match it {
                Parameter::One(text) => statement.bind(text),
                Parameter::Many(texts) => statement.bind(texts),
            };
        }
        let (rows, total, checkpoints, live) =
            statement.fetch_one(pool).await.map_err(|error| away(&error))?;
        let checkpoints = checkpoints_of(&checkpoints, view.table)?;
        Ok(RawRows { rows, total, checkpoints, live: live.unwrap_or(false) })
    }
}

impl Reads for PostgresReads {
    fn outcomes<'a>(
        &'a self,
        context: &'a str,
        command_ids: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<OutcomeRow>, StoreError>> {
        Box::pin(async move {
            let Context { pool, .. } = self.context(context)?;
            let mut connection = pool.acquire().await.map_err(|error| away(&error))?;
            outcomes(&mut connection, command_ids).await.map_err(|error| away(&error))
        })
    }

    fn heads<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<Vec<Head>, StoreError>> {
        Box::pin(async move {
            let Context { pool, .. } = self.context(context)?;
            let query = sqlx::query_as("select part, incarnation, pseq from write.ledger");
            let rows: Vec<(i32, i64, i64)> =
                query.fetch_all(&pool).await.map_err(|error| away(&error))?;
            let head = |(part, incarnation, pseq)| Head { part, incarnation, pseq };
            Ok(rows.into_iter().map(head).collect())
        })
    }

    fn holder<'a>(
        &'a self,
        context: &'a str,
        unique: &'a Unique,
    ) -> BoxFuture<'a, Result<Option<Uuid>, StoreError>> {
        Box::pin(async move {
            let Context { pool, .. } = self.context(context)?;
            let sql = "select stream from write.claim where (kind, value) = ($1, $2)";
            let query = sqlx::query_scalar(sql).bind(unique.kind).bind(&unique.value);
            query.fetch_optional(&pool).await.map_err(|error| away(&error))
        })
    }

    fn troubles<'a>(
        &'a self,
        context: &'a str,
    ) -> BoxFuture<'a, Result<ContextReport, StoreError>> {
        Box::pin(async move {
            let Context { pool, .. } = self.context(context)?;
            troubles(&pool).await.map_err(|error| away(&error))
        })
    }

    fn rows<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        query: &'a Query,
    ) -> BoxFuture<'a, Result<Option<RawRows>, StoreError>> {
        Box::pin(self.read(context, view, query))
    }

    fn counts<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        counts: &'a Counts,
    ) -> BoxFuture<'a, Result<Option<RawRows>, StoreError>> {
        Box::pin(self.count(context, view, counts))
    }

    fn export<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        query: &'a Query,
    ) -> BoxFuture<'a, Result<Option<Export>, StoreError>> {
        Box::pin(async move {
            let Context { pool, .. } = self.context(context)?;
            let Some(of) = self.generation(&pool, view).await? else { return Ok(None) };
            let options = self.server.options(Some(context))?;
            export(&options, view, &of, query).await.map(Some)
        })
    }

    fn heard(
        &self,
        context: &str,
        view: &ViewDefinition,
        topic: &str,
        part: i32,
    ) -> Option<(i64, i64)> {
        let known = {
            let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
            generations.get(&(view.table, view.hash.clone())).copied()
        };
        let of = Generation { table: view.table, hash: view.hash.clone(), generation: known? };
        heard(&self.context(context).ok()?).at(&of, topic, part)
    }

    fn changed<'a>(&'a self, context: &'a str) -> BoxFuture<'a, ()> {
        match self.context(context) {
            // Made here and not when it is polled: it resolves for every change from now on.
            Ok(it) => {
                it.listens.call_once(|| drop(tokio::spawn(listen(it.clone()))));
                Box::pin(it.changed.notified_owned())
            }
            Err(_) => Box::pin(std::future::pending()),
        }
    }
}

fn heard(context: &Context) -> MutexGuard<'_, Heard> {
    context.heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes those who wait whenever a view has changed, and after every reconnect (R4).
async fn listen(context: Context) {
    loop {
        if let Ok(mut listener) = PgListener::connect_with(&context.pool).await
            && listener.listen(CHANNEL).await.is_ok()
        {
            // `None`: the connection broke, and what was told meanwhile is lost.
            while let Ok(Some(news)) = listener.try_recv().await {
                heard(&context).take(news.payload());
                context.changed.notify_waiters();
            }
        }
        heard(&context).forget();
        context.changed.notify_waiters();
        if context.pool.is_closed() {
            return;
        }
        let _ = tokio::time::timeout(RECONNECT_PAUSE, std::future::pending::<()>()).await;
    }
}

const CONNECTIONS_MAX: u32 = 16;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
const RECONNECT_PAUSE: Duration = Duration::from_millis(300);
