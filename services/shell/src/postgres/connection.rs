//! Connections: one for each loop, opened when needed, dropped when in doubt.
use super::{ledger::PostgresLedger, views::PostgresViews};
use crate::{
    config::{Config, DatabaseUrl, SecretFile},
    names::Names,
    port::store::{Store, StoreError, WriteError},
    telemetry::metric,
};
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgDatabaseError},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A Postgres server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Postgres {
    url: DatabaseUrl,
    password: Option<SecretFile>,
    names: Names,
    /// Of this process, by the contexts that they are for.
    pools: Arc<Mutex<Vec<(String, PgPool)>>>,
}

impl Postgres {
    /// The server that the configuration names.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            url: config.database_url.clone(),
            password: config.database_password_file.clone(),
            names: Names::new(config.namespace.as_str()),
            pools: Arc::default(),
        }
    }

    pub(super) fn has_pool(&self, context: &str, pool: &PgPool) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.push((context.to_owned(), pool.clone()));
    }

    /// For each context that something reads: connections at work, and idle ones.
    pub(crate) fn connections(&self) -> BTreeMap<String, (usize, usize)> {
        let mut all: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for (context, pool) in &*self.pools.lock().unwrap_or_else(PoisonError::into_inner) {
            let (open, idle) =
                (usize::try_from(pool.size()).unwrap_or(usize::MAX), pool.num_idle());
            let (used_all, idle_all) = all.entry(context.clone()).or_default();
            *used_all += open.saturating_sub(idle);
            *idle_all += idle;
        }
        all
    }

    /// How to reach a context's database; without a context, the one that the address names.
    pub(super) fn options(&self, context: Option<&str>) -> Result<PgConnectOptions, StoreError> {
        let options: PgConnectOptions =
            self.url.secret().parse().map_err(|_| {
                StoreError::Broken(format!("{} is no address of a server", self.url))
            })?;
        let options = match &self.password {
            Some(it) => options.password(it.secret()),
            None => options,
        };
        let options = match context {
            Some(context) => options.database(&self.names.database(context)),
            None => options,
        };
        Ok(options
            .application_name("flotilla")
            .options([
                ("idle_in_transaction_session_timeout", "5s"),
                ("lock_timeout", "2s"),
                ("statement_timeout", "10s"),
                ("timezone", "utc"),
            ])
            .disable_statement_logging())
    }

    pub(super) fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    fn link(&self, context: &str, is_durable: bool) -> Link {
        Link { server: self.clone(), context: context.to_owned(), is_durable, open: None }
    }
}

impl Store for Postgres {
    type Ledger = PostgresLedger;
    type Views = PostgresViews;

    fn ledger(&self, context: &str) -> PostgresLedger {
        PostgresLedger { link: self.link(context, true) }
    }

    fn views(&self, context: &str) -> PostgresViews {
        PostgresViews { link: self.link(context, false), is_in_transaction: false }
    }
}

/// A connection that opens by itself.
pub(super) struct Link {
    server: Postgres,
    context: String,
    /// Whether a commit waits for the disk. Rows of views and their checkpoints are lost together, and folded
    /// again: they need not.
    is_durable: bool,
    open: Option<PgConnection>,
}

impl Link {
    /// How to open another connection to the same database.
    pub(super) fn options(&self) -> Result<PgConnectOptions, StoreError> {
        self.server.options(Some(&self.context))
    }

    /// The connection; opened if there is none.
    pub(super) async fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        if self.open.is_none() {
            let mut options = self.server.options(Some(&self.context))?.options(PLANS);
            if !self.is_durable {
                options = options.options([("synchronous_commit", "off")]);
            }
            let opening =
                tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options));
            let connection = match opening.await {
                Ok(connection) => connection.map_err(|error| away(&error))?,
                Err(_) => return Err(StoreError::Away("no connection in time".into())),
            };
            self.open = Some(connection);
        }
        self.open.as_mut().ok_or_else(|| StoreError::Away("no connection".into()))
    }

    /// After an error that leaves the connection in doubt: the next call opens another one.
    pub(super) fn failed(&mut self, error: &sqlx::Error) -> StoreError {
        // Only what a statement itself can cause leaves the connection as it was.
        let is_ours = |code: &str| {
            code == "55P03" || ["22", "23", "40", "54", "FL"].iter().any(|it| code.starts_with(it))
        };
        if !error.as_database_error().is_some_and(|it| it.code().is_some_and(|it| is_ours(&it))) {
            self.open = None;
        }
        away(error)
    }

    /// Forgets the connection, and with it a transaction that is open.
    pub(super) fn drop_connection(&mut self) {
        self.open = None;
    }
}

/// The answer, unless it takes longer than the server's own time-outs allow: then the connection leads nowhere.
pub(super) async fn in_time<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Waits no longer than this for a server that does not even refuse.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Every statement of a loop finds its rows by a key, as many as the batch has, in a table that may have been empty when
/// the statement was planned. Left to itself the planner joins such a batch with the whole table, and plans anew each
/// time: at 100,000 events that took two thirds of the time of a batch.
const PLANS: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// Class 08: connection; 57P: shutting down; 53: out of resources; 25P03, 57014: time-outs.
fn is_away(code: Option<&str>) -> bool {
    code.is_none_or(|it| {
        it.starts_with("08") || it.starts_with("57") || it.starts_with("53") || it == "25P03"
    })
}

/// Whether a table is gone: that of a generation that was dropped.
pub(super) fn is_gone(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|it| it.code().as_deref() == Some("42P01"))
}

pub(super) fn away(error: &sqlx::Error) -> StoreError {
    match error.as_database_error() {
        // No such database, schema or table: not migrated yet, or somebody took it away.
        Some(it) if matches!(it.code().as_deref(), Some("3D000" | "3F000" | "42P01")) => {
            let of_a_view = it.message().contains("\"view_");
            let remedy = if of_a_view {
                "`flotilla rebuild <view>` makes it again"
            } else {
                "run `flotilla migrate` first"
            };
            StoreError::Away(format!("{}: {remedy}", it.message()))
        }
        Some(it) if !is_away(it.code().as_deref()) => StoreError::Broken(it.to_string()),
        _ => {
            metrics::counter!(metric::SERVER_ERRORS.name, "server" => "postgres").increment(1);
            StoreError::Away(error.to_string())
        }
    }
}

/// What a failed write means.
pub(super) fn write_error(error: &sqlx::Error) -> WriteError {
    let Some(it) = error.as_database_error() else { return away(error).into() };
    let code = it.code();
    let code = code.as_deref().unwrap_or_default();
    let detail = || {
        let detail = it.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::detail);
        format!("{}: {}", it.message(), detail.unwrap_or_default())
    };
    match (code, it.constraint()) {
        (FENCED, _) => WriteError::Fenced,
        (CLAIM_TAKEN, _) | ("23505", Some("claim_value")) => WriteError::ClaimTaken,
        ("23505", Some("outcome_command")) => WriteError::OutcomeExists,
        ("23505", _) => WriteError::Corrupt(detail()),
        // Deadlock, serialization failure, a lock that did not come in time.
        ("40P01" | "40001" | "55P03", _) => WriteError::Again(it.message().to_owned()),
        (data, _) if data.starts_with("22") || data.starts_with("54") || data == "23514" => {
            WriteError::Data(detail())
        }
        _ => away(error).into(),
    }
}

/// Our own: a partition is somebody else's.
pub(super) const FENCED: &str = "FL001";
/// Our own: a unique value has another holder.
pub(super) const CLAIM_TAKEN: &str = "FL002";
