//! What the BFF reads from Postgres: pooled connections, and a listener for each context.
use super::{
    changes,
    connection::{Postgres, away, is_gone},
    export::export,
    gather::{self, Gatherer},
    ledger::outcomes,
    news::{CHANNEL, Heard},
    select::{self, Parameter, Statement},
    troubles::troubles,
    views::checkpoints as checkpoints_of,
};
use crate::{
    port::store::{
        Changes, Export, Generation, Head, Mark, OutcomeRow, RawRows, Reads, StoreError,
    },
    reads::{Counts, Query},
    status::ContextReport,
    view::ViewDefinition,
};
use functions::Unique;
use futures::{FutureExt as _, future::BoxFuture};
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
        let mut contexts = lock(&self.contexts);
        if let Some(it) = contexts.get(name) {
            return Ok(it.clone());
        }
        let options = self.server.options(Some(name))?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        self.server.has_pool(name, &pool);
        let (changed, heard, listens) = (Arc::default(), Arc::default(), Arc::new(Once::new()));
        let it = Context { pool, changed, heard, listens };
        contexts.insert(name.to_owned(), it.clone());
        Ok(it)
    }

    /// Connections to the database of a context.
    pub(super) fn pool(&self, context: &str) -> Result<PgPool, StoreError> {
        Ok(self.context(context)?.pool)
    }

    /// The generation that is read of the version that this build knows, as far as is known here.
    async fn generation(
        &self,
        pool: &PgPool,
        view: &ViewDefinition,
    ) -> Result<Option<Generation>, StoreError> {
        if let Some(known) = self.known(view) {
            return Ok(Some(known));
        }
        let sql = "select generation from read.live where (view, hash) = ($1, $2)";
        let query = sqlx::query_scalar(sql).bind(view.table).bind(&view.hash).fetch_optional(pool);
        let generation: Option<i32> = query.await.map_err(|error| away(&error))?;
        if let Some(generation) = generation {
            let name = (view.table, view.hash.clone());
            lock(&self.generations).insert(name, generation);
        }
        Ok(self.known(view))
    }

    fn known(&self, view: &ViewDefinition) -> Option<Generation> {
        let generation = *lock(&self.generations).get(&(view.table, view.hash.clone()))?;
        Some(Generation { table: view.table, hash: view.hash.clone(), generation })
    }

    /// Another generation is read meanwhile.
    fn forget(&self, of: &Generation) {
        lock(&self.generations).remove(&(of.table, of.hash.clone()));
        lock(&self.gatherers).remove(of);
    }

    /// What is seen in the generation that is read at that very moment; `None`: none is, yet.
    async fn see<'a, T>(
        &self,
        context: &str,
        view: &ViewDefinition,
        ask: impl Fn(PgPool, Generation) -> BoxFuture<'a, Result<Seen<T>, StoreError>>,
    ) -> Result<Option<T>, StoreError> {
        let Context { pool, .. } = self.context(context)?;
        while let Some(of) = self.generation(&pool, view).await? {
            let Seen { it, live } = ask(pool.clone(), of.clone()).await?;
            if live == Some(of.generation) {
                return Ok(Some(it));
            }
            self.forget(&of);
        }
        Ok(None)
    }

    fn gatherer(&self, pool: PgPool, view: &ViewDefinition, of: Generation) -> Arc<Gatherer> {
        let mut gatherers = lock(&self.gatherers);
        let entry = gatherers.entry(of.clone());
        Arc::clone(entry.or_insert_with(|| Arc::new(Gatherer::new(pool, view, of))))
    }
}

/// What a statement saw, and the generation that was read at that moment.
pub(super) struct Seen<T> {
    pub(super) it: T,
    pub(super) live: Option<i32>,
}

async fn ask(
    pool: PgPool,
    view: &ViewDefinition,
    Statement { sql, parameters }: Statement,
    of: Generation,
) -> Result<Seen<RawRows>, StoreError> {
    let sql = AssertSqlSafe(sql);
    let mut statement = sqlx::query_as::<_, (String, Option<i64>, String, Option<i32>)>(sql)
        .bind(of.table)
        .bind(&of.hash)
        .bind(of.generation);
    for it in parameters {
        statement = match it {
            Parameter::One(text) => statement.bind(text),
            Parameter::Many(texts) => statement.bind(texts),
        };
    }
    match statement.fetch_one(&pool).await {
        Ok((rows, total, checkpoints, live)) => {
            let checkpoints = checkpoints_of(&checkpoints, view.table)?;
            Ok(Seen { it: RawRows { rows, total, checkpoints }, live })
        }
        Err(error) if is_gone(&error) => Ok(Seen { it: RawRows::default(), live: None }),
        Err(error) => Err(away(&error)),
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
        Box::pin(self.see(context, view, move |pool, of| match gather::keys(query, view) {
            Some(keys) => Box::pin(self.gatherer(pool, view, of).rows(keys)),
            None => Box::pin(ask(pool, view, select::read(view, &of, query), of)),
        }))
    }

    fn counts<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        counts: &'a Counts,
    ) -> BoxFuture<'a, Result<Option<RawRows>, StoreError>> {
        Box::pin(self.see(context, view, move |pool, of| {
            Box::pin(ask(pool, view, select::count(view, &of, counts), of))
        }))
    }

    fn export<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        query: &'a Query,
    ) -> BoxFuture<'a, Result<Option<Export>, StoreError>> {
        Box::pin(async move {
            let options = self.server.options(Some(context))?;
            let ask = |_, of| export(options.clone(), view, of, query).boxed();
            self.see(context, view, ask).await
        })
    }

    fn changes<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        after: &'a [Mark],
        limit: i64,
    ) -> BoxFuture<'a, Result<Option<Changes>, StoreError>> {
        Box::pin(
            self.see(context, view, move |pool, of| {
                Box::pin(changes::after(pool, of, after, limit))
            }),
        )
    }

    fn heard(
        &self,
        context: &str,
        view: &ViewDefinition,
        topic: &str,
        part: i32,
    ) -> Option<(i64, i64)> {
        let of = self.known(view)?;
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
    lock(&context.heard)
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
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
