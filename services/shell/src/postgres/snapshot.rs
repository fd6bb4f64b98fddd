//! One instant of a context's store, read by as many connections as there are things to read in order.
//!
//! Each thing is read by a connection of its own, a little ahead of whoever asks, so that Postgres and whoever compares
//! work at the same time; nothing is ever in memory as a whole.
use super::{
    connection::{Postgres, away},
    ledger::Event,
    select::columns,
    table::{WORDS, schema},
    views::checkpoint,
};
use crate::{
    port::store::{
        CheckpointRow, ClaimChange, EventRow, Generation, Holder, LedgerRow, OutcomeRow,
        SnapshotRow, StoreError,
    },
    view::ViewDefinition,
};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use shared_events::Fingerprint;
use sqlx::{
    AssertSqlSafe, Connection as _, FromRow, PgConnection,
    postgres::{PgArguments, PgConnectOptions, PgRow},
    query::QueryAs,
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

/// One instant of a context's store. Postgres keeps old rows for as long as it is there. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    options: PgConnectOptions,
    id: String,
    /// While its transaction is open, others can join it.
    keeper: Arc<Mutex<PgConnection>>,
}

/// Rows in order, read a little ahead.
pub struct Rows<T> {
    chunks: mpsc::Receiver<Result<Vec<T>, StoreError>>,
    ahead: VecDeque<T>,
}

impl<T> Rows<T> {
    /// Some of the rows that come next; `None` after the last.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn chunk(&mut self) -> Result<Option<Vec<T>>, StoreError> {
        if !self.ahead.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ahead).into()));
        }
        self.chunks.recv().await.transpose()
    }

    /// The row that comes next.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn peek(&mut self) -> Result<Option<&T>, StoreError> {
        while self.ahead.is_empty() {
            match self.chunks.recv().await.transpose()? {
                Some(chunk) => self.ahead = chunk.into(),
                None => return Ok(None),
            }
        }
        Ok(self.ahead.front())
    }

    /// The next row.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn next(&mut self) -> Result<Option<T>, StoreError> {
        self.peek().await?;
        Ok(self.ahead.pop_front())
    }
}

/// A row of a view as it stands.
#[derive(Debug, FromRow)]
pub struct ShownRow {
    /// Its key, as text.
    pub key: String,
    /// JSON.
    pub row: String,
    /// The words that it is found by, if any are searched.
    pub words: Option<String>,
}

/// What an event says about the command that made it happen.
#[derive(Debug, FromRow)]
pub struct Effect {
    /// The command's id, as it stands there.
    pub causation: Option<String>,
    /// The partition.
    pub part: i32,
    /// Its number there.
    pub pseq: i64,
    /// The stream.
    pub stream: Uuid,
    /// Its number there.
    pub version: i64,
    /// When it was decided.
    pub at: DateTime<Utc>,
}

/// Which events a replay is of.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// The first number of each partition.
    pub from_pseq: Option<i64>,
    /// The last number of each partition.
    pub until_pseq: Option<i64>,
    /// Decided at this instant or later.
    pub from: Option<DateTime<Utc>>,
    /// Decided before this instant.
    pub until: Option<DateTime<Utc>>,
    /// The full names of their records; all if none is named.
    pub records: Vec<String>,
}

impl Postgres {
    /// Takes the store of a context as it is now.
    ///
    /// # Errors
    /// If it does not answer, or was not migrated.
    pub async fn snapshot(&self, context: &str) -> Result<Snapshot, StoreError> {
        let options = self.options(Some(context))?.options([
            ("statement_timeout", "0"),
            ("idle_in_transaction_session_timeout", "0"),
            ("work_mem", "64MB"),
            ("jit", "off"),
        ]);
        let failed = |error: sqlx::Error| away(&error);
        let mut keeper = PgConnection::connect_with(&options).await.map_err(failed)?;
        sqlx::raw_sql(BEGIN).execute(&mut keeper).await.map_err(failed)?;
        let id = sqlx::query_scalar("select pg_export_snapshot()");
        let id: String = id.fetch_one(&mut keeper).await.map_err(failed)?;
        Ok(Snapshot { options, id, keeper: Arc::new(Mutex::new(keeper)) })
    }
}

const BEGIN: &str = "begin isolation level repeatable read, read only";

impl Snapshot {
    /// Another connection that sees the same.
    pub(super) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        sqlx::raw_sql(BEGIN).execute(&mut connection).await?;
        let join = format!("set transaction snapshot '{}'", self.id);
        sqlx::raw_sql(AssertSqlSafe(join)).execute(&mut connection).await?;
        Ok(connection)
    }

    /// Reads rows by a connection of their own. `weigh` tells the bytes of a row.
    fn rows<R, T>(
        &self,
        query: QueryAs<'static, sqlx::Postgres, R, PgArguments>,
        weigh: fn(&T) -> usize,
    ) -> Rows<T>
    where
        R: for<'r> FromRow<'r, PgRow> + Into<T> + Send + Unpin + 'static,
        T: Send + 'static,
    {
        let (send, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let it = self.clone();
        drop(tokio::spawn(async move {
            let read = async {
                let mut connection = it.connect().await?;
                let mut rows = query.fetch(&mut connection);
                let (mut chunk, mut bytes) = (Vec::new(), 0);
                while let Some(row) = rows.try_next().await? {
                    let row = row.into();
                    bytes += weigh(&row);
                    chunk.push(row);
                    if chunk.len() >= CHUNK_ROWS || bytes >= CHUNK_BYTES {
                        bytes = 0;
                        if send.send(Ok(std::mem::take(&mut chunk))).await.is_err() {
                            // Nobody wants the rest.
                            return Ok(());
                        }
                    }
                }
                if !chunk.is_empty() {
                    let _ = send.send(Ok(chunk)).await;
                }
                Ok::<(), sqlx::Error>(())
            };
            if let Err(error) = read.await {
                let _ = send.send(Err(away(&error))).await;
            }
        }));
        Rows { chunks, ahead: VecDeque::new() }
    }

    /// The ledger, in order of partitions.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn ledger(&self) -> Result<Vec<LedgerRow>, StoreError> {
        type Row = (i32, i64, i64, i64, i64, i64, i64);
        let sql = "select part, incarnation, epoch, next_offset, pseq, published, published_offset
            from write.ledger order by part";
        let rows: Vec<Row> = self.few(sqlx::query_as(sql)).await?;
        let row = |(part, incarnation, epoch, next_offset, pseq, published, published_offset)| {
            LedgerRow { part, incarnation, epoch, next_offset, pseq, published, published_offset }
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// The schemas that events were written with, by fingerprint.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn schemas(&self) -> Result<HashMap<Fingerprint, String>, StoreError> {
        let sql = "select fingerprint, avsc from write.schema";
        let rows: Vec<(i64, String)> = self.few(sqlx::query_as(sql)).await?;
        Ok(rows.into_iter().map(|(id, avsc)| (Fingerprint(id.cast_unsigned()), avsc)).collect())
    }

    /// What time it is, by the store's clock.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        let rows: Vec<(DateTime<Utc>,)> = self.few(sqlx::query_as("select now()")).await?;
        Ok(rows.first().map(|it| it.0).unwrap_or_default())
    }

    /// The generation of the view that is read, or another one; `None` if there is none.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn generation(
        &self,
        view: &ViewDefinition,
        other: Option<i32>,
    ) -> Result<Option<Generation>, StoreError> {
        let sql = "select max(generation) from read.generation g
            where (view, hash) = ($1, $2) and generation = coalesce($3,
                (select l.generation from read.live l where (l.view, l.hash) = (g.view, g.hash)), generation)";
        let query = sqlx::query_as(sql).bind(view.table).bind(view.hash.clone()).bind(other);
        let rows: Vec<(Option<i32>,)> = self.few(query).await?;
        let of = |generation| Generation { table: view.table, hash: view.hash.clone(), generation };
        Ok(rows.first().and_then(|it| it.0).map(of))
    }

    /// How far a generation of a view has come.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn checkpoints(&self, of: &Generation) -> Result<Vec<CheckpointRow>, StoreError> {
        let sql = "select topic, part, incarnation, epoch, pseq, next_offset, caught_up
            from read.checkpoint where (view, hash, generation) = ($1, $2, $3) order by topic, part";
        let query = sqlx::query_as(sql).bind(of.table).bind(of.hash.clone()).bind(of.generation);
        Ok(self.few(query).await?.into_iter().map(checkpoint).collect())
    }

    /// The instant after which nothing is folded in a generation of a view, if there is one.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn as_of(&self, of: &Generation) -> Result<Option<DateTime<Utc>>, StoreError> {
        let sql = "select as_of from read.generation where (view, hash, generation) = ($1, $2, $3)";
        let query = sqlx::query_as(sql).bind(of.table).bind(of.hash.clone()).bind(of.generation);
        let rows: Vec<(Option<DateTime<Utc>>,)> = self.few(query).await?;
        Ok(rows.first().and_then(|it| it.0))
    }

    /// The events that are not in a generation of a view although it has passed them, by topic, partition and number:
    /// they wait, or were discarded (protocol.md V6). Few, as somebody is told of each.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn left_out(
        &self,
        of: &Generation,
    ) -> Result<HashSet<(String, i32, i64)>, StoreError> {
        let sql = "select topic, part, pseq from read.parked_event
            where (view, hash, generation) = ($1, $2, $3)";
        let query = sqlx::query_as(sql).bind(of.table).bind(of.hash.clone()).bind(of.generation);
        let mut all: HashSet<(String, i32, i64)> = self.few(query).await?.into_iter().collect();
        let sql = "select to_regclass('read.discard') is not null";
        let is_there: Vec<(bool,)> = self.few(sqlx::query_as(sql)).await?;
        if is_there.first().is_some_and(|it| it.0) {
            let sql = "select topic, part, pseq from read.discard where view = $1";
            all.extend(self.few(sqlx::query_as(sql).bind(of.table)).await?);
        }
        Ok(all)
    }

    /// All events, one stream after another, each in order; without what of the envelope has no column.
    #[must_use]
    pub fn events_by_stream(&self) -> Rows<EventRow> {
        let sql = "select part, pseq, stream, version, type, schema, data, '' as meta, at
            from write.event order by stream, version";
        self.rows::<Event, _>(sqlx::query_as(sql), event_bytes)
    }

    /// The events of a replay, one partition after another, each in order.
    #[must_use]
    pub fn events_in_order(&self, span: &Span) -> Rows<EventRow> {
        let sql = "select part, pseq, stream, version, type, schema, data, meta::text as meta, at
            from write.event
            where pseq >= coalesce($1, pseq) and pseq <= coalesce($2, pseq)
                and at >= coalesce($3, at) and ($4::timestamptz is null or at < $4)
                and (cardinality($5::text[]) = 0 or type = any($5))
            order by part, pseq";
        let query = sqlx::query_as(sql)
            .bind(span.from_pseq)
            .bind(span.until_pseq)
            .bind(span.from)
            .bind(span.until)
            .bind(span.records.clone());
        self.rows::<Event, _>(query, event_bytes)
    }

    /// What events say about the commands that made them happen, one command after another, in the order of the text
    /// of their ids.
    #[must_use]
    pub fn effects(&self) -> Rows<Effect> {
        let sql = "select meta->>'causation' as causation, part, pseq, stream, version, at
            from write.event order by meta->>'causation' collate \"C\" nulls first, part, pseq";
        self.rows::<Effect, _>(sqlx::query_as(sql), |_| 64)
    }

    /// The outcomes in the order of their commands' ids.
    #[must_use]
    pub fn outcomes(&self) -> Rows<OutcomeRow> {
        let sql = "select command_id, part, request_hash, body, at from write.outcome
            order by command_id";
        self.rows::<Outcome, _>(sqlx::query_as(sql), |it| it.body.len() + 64)
    }

    /// The unique values that are taken, in the order of the streams that hold them.
    #[must_use]
    pub fn claims(&self) -> Rows<ClaimChange> {
        let sql = "select kind, value, stream, part, pseq from write.claim
            order by stream, kind collate \"C\", value collate \"C\"";
        self.rows::<Claim, _>(sqlx::query_as(sql), |it| it.value.len() + 64)
    }

    /// The snapshots in the order of their streams.
    #[must_use]
    pub fn snapshots(&self) -> Rows<SnapshotRow> {
        let sql = "select stream, fold, version, state, at from write.snapshot
            order by stream, version";
        self.rows::<SnapshotOf, _>(sqlx::query_as(sql), |it| it.state.len() + 64)
    }

    /// All rows of a generation of a view, in the order of their keys.
    #[must_use]
    pub fn shown(&self, view: &ViewDefinition, of: &Generation) -> Rows<ShownRow> {
        let words = if view.searched.is_empty() {
            "null::text".to_owned()
        } else {
            format!("t.\"{WORDS}\"::text")
        };
        let sql = format!(
            "select t.\"{key}\"::text as key, (select to_json(r)::text from (select {columns}) r) as row, {words} as words
            from {schema}.{table} t order by t.\"{key}\"",
            key = view.key,
            columns = columns(view),
            schema = schema(of),
            table = view.table,
        );
        self.rows::<ShownRow, _>(sqlx::query_as(AssertSqlSafe(sql)), |it| it.row.len() + 64)
    }

    async fn few<R>(
        &self,
        query: QueryAs<'static, sqlx::Postgres, R, PgArguments>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut keeper = self.keeper.lock().await;
        query.fetch_all(&mut *keeper).await.map_err(|error| away(&error))
    }
}

fn event_bytes(it: &EventRow) -> usize {
    it.data.len() + it.meta.len() + 128
}

#[derive(FromRow)]
struct Outcome {
    command_id: Uuid,
    part: i32,
    request_hash: Vec<u8>,
    body: Vec<u8>,
    at: DateTime<Utc>,
}

impl From<Outcome> for OutcomeRow {
    fn from(it: Outcome) -> Self {
        let Outcome { command_id, part, request_hash, body, at } = it;
        Self { command_id, part, request_hash, body, at }
    }
}

#[derive(FromRow)]
struct Claim {
    kind: String,
    value: String,
    stream: Uuid,
    part: i32,
    pseq: i64,
}

impl From<Claim> for ClaimChange {
    fn from(it: Claim) -> Self {
        let Claim { kind, value, stream, part, pseq } = it;
        Self { kind, value, expected: None, next: Some(Holder { stream, part, pseq }) }
    }
}

#[derive(FromRow)]
struct SnapshotOf {
    stream: Uuid,
    fold: String,
    version: i64,
    state: String,
    at: DateTime<Utc>,
}

impl From<SnapshotOf> for SnapshotRow {
    fn from(it: SnapshotOf) -> Self {
        let SnapshotOf { stream, fold, version, state, at } = it;
        Self { stream, fold, version, state, at }
    }
}

const CHUNK_ROWS: usize = 1_000;
const CHUNK_BYTES: usize = 1 << 20;
const CHUNKS_AHEAD: usize = 2;
