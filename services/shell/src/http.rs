//! What a process answers to those who watch it: whether it lives, whether it is ready, metrics, where it stands.
use crate::{
    clock::Clock,
    port::store::Reads,
    postgres::{Postgres, PostgresReads},
    service::{Service, Shell},
    status::{ContextReport, Report, Status},
    telemetry::{
        self,
        metric::{self, Metric},
    },
};
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use futures::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

#[derive(Clone)]
struct Watched {
    status: Status,
    clock: Clock,
    reads: Arc<dyn Reads>,
    postgres: Postgres,
    /// What was told before: what is gone would keep its last value.
    told: Arc<Mutex<BTreeSet<Level>>>,
}

/// A gauge, and what it is told apart by.
type Level = (&'static str, Vec<(&'static str, String)>);

/// `/live`, `/ready`, `/metrics` and `/status`.
pub fn router(shell: &Shell) -> Router {
    // Counting begins when somebody may ask.
    metric::recorder();
    Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/status", get(tell))
        .route("/metrics", get(metrics))
        .with_state(Watched::of(shell))
}

/// Finds out again and again what only is known when it is asked for, where nobody asks but a collector is told.
pub(crate) fn observer() -> Service {
    Service::new("observer", "", |shell: Shell| async move {
        let watched = Watched::of(&shell);
        loop {
            let stopped = shell.shutdown.cancelled();
            let is_over = shell.clock.timeout(OBSERVE_INTERVAL, stopped).await.is_some();
            watched.observe().await;
            if is_over {
                return Ok(());
            }
        }
    })
}

/// Answers at an address of its own.
pub(crate) fn service(address: SocketAddr) -> Service {
    Service::new("health", "", move |shell: Shell| async move {
        let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| {
            anyhow::anyhow!("cannot listen on {address}: {error}; choose another FLOTILLA_HEALTH")
        })?;
        let shutdown = shell.shutdown.clone();
        axum::serve(listener, router(&shell))
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .await?;
        Ok(())
    })
}

async fn ready(State(Watched { status, .. }): State<Watched>) -> impl IntoResponse {
    let not_ready = status.not_ready();
    let code = if not_ready.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(not_ready))
}

async fn tell(State(watched): State<Watched>) -> Json<Report> {
    let contexts = watched.contexts().await;
    Json(Report { contexts, ..watched.status.report() })
}

impl Watched {
    fn of(shell: &Shell) -> Self {
        Self {
            status: shell.status.clone(),
            clock: shell.clock.clone(),
            reads: Arc::new(PostgresReads::new(shell.postgres.clone())),
            postgres: shell.postgres.clone(),
            told: Arc::default(),
        }
    }

    /// What the contexts that the process works for keep aside.
    async fn contexts(&self) -> BTreeMap<String, ContextReport> {
        let contexts = self.status.contexts().into_iter().map(|context| async {
            let asked = self.clock.timeout(STORE_PATIENCE, self.reads.troubles(&context)).await;
            let report = match asked {
                Some(Ok(it)) => it,
                Some(Err(error)) => unknown(error.to_string()),
                None => unknown(format!("the store does not answer within {STORE_PATIENCE:?}")),
            };
            (context, report)
        });
        join_all(contexts).await.into_iter().collect()
    }
}

fn unknown(why: String) -> ContextReport {
    ContextReport { error: Some(why), ..ContextReport::default() }
}

async fn metrics(State(watched): State<Watched>) -> String {
    watched.observe().await;
    metric::recorder().render()
}

impl Watched {
    async fn observe(&self) {
        let revision = telemetry::REVISION.unwrap_or("unknown");
        metrics::gauge!(metric::BUILD.name, "version" => telemetry::VERSION, "revision" => revision)
            .set(1.0);
        let mut levels: BTreeMap<Level, f64> = BTreeMap::new();
        let mut unknown: BTreeSet<String> = BTreeSet::new();
        let contexts = self.contexts().await;
        let mut set = |of: Metric, labels: &[(&'static str, &str)], value: f64| {
            let labels = labels.iter().map(|(name, it)| (*name, (*it).to_owned())).collect();
            levels.insert((of.name, labels), value);
        };
        for (context, it) in contexts {
            if it.error.is_some() {
                unknown.insert(context);
                continue;
            }
            let open = it.dead_letters.iter().map(|it| it.count).sum();
            set(metric::DEAD_LETTERS_OPEN, &[("context", &context)], float(open));
            for it in it.parked {
                let labels = [("context", context.as_str()), ("view", &it.view)];
                set(metric::PARKED_EVENTS_OPEN, &labels, float(it.events));
            }
        }
        for (context, (used, idle)) in self.postgres.connections() {
            for (state, count) in [("used", used), ("idle", idle)] {
                let labels = [
                    ("db.client.connection.pool.name", context.as_str()),
                    ("db.client.connection.state", state),
                ];
                set(
                    metric::POOL_CONNECTIONS,
                    &labels,
                    float(i64::try_from(count).unwrap_or(i64::MAX)),
                );
            }
        }
        let now = self.clock.elapsed();
        for (name, service) in self.status.services() {
            for ((topic, part), it) in &service.parts {
                let place = format!("{topic}/{part}");
                let labels = [("service", name.as_str()), ("partition", &place)];
                if let Some(lag) = it.lag {
                    set(metric::LAG, &labels, float(lag));
                }
                let waiting = it.waiting_since.map_or(Duration::ZERO, |it| now.saturating_sub(it));
                set(metric::WAITING, &labels, waiting.as_secs_f64());
                set(metric::PSEQ, &labels, float(it.pseq));
                if let Some(published) = it.published {
                    set(metric::PUBLISHED, &labels, float(published));
                }
            }
            let is_ready = service.not_ready().is_none();
            set(metric::READY, &[("service", &name)], f64::from(u8::from(is_ready)));
        }
        self.tell_levels(levels, &unknown);
    }

    /// What was told before and is not there any more (a partition that another process has, a view that is gone) is nothing;
    /// what is not known now keeps its last value.
    fn tell_levels(&self, levels: BTreeMap<Level, f64>, unknown: &BTreeSet<String>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_unknown = |(_, labels): &Level| {
            labels.iter().any(|(name, it)| *name == "context" && unknown.contains(it))
        };
        for gone in told.iter().filter(|it| !levels.contains_key(it) && !is_unknown(it)) {
            metrics::gauge!(gone.0, &gone.1).set(0.0);
        }
        told.retain(|it| is_unknown(it));
        for ((name, labels), value) in levels {
            metrics::gauge!(name, &labels).set(value);
            told.insert((name, labels));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn float(value: i64) -> f64 {
    value as f64
}

/// As often as metrics are sent.
const OBSERVE_INTERVAL: Duration = Duration::from_secs(10);
/// What only the store knows is told without, if the store takes longer.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
