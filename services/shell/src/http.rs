//! What a process answers to those who watch it: whether it lives, whether it is ready, metrics, where it stands.
use crate::{
    clock::Clock,
    port::store::Reads,
    postgres::PostgresReads,
    service::{Service, Shell},
    status::{ContextReport, Report, Status},
    telemetry::{
        self,
        metric::{self, Metric},
    },
};
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use futures::future::join_all;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

#[derive(Clone)]
struct Watched {
    status: Status,
    clock: Clock,
    reads: Arc<dyn Reads>,
}

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
        // What is not known keeps its last value.
        let known = self.contexts().await.into_iter().filter(|(_, it)| it.error.is_none());
        for (context, it) in known {
            let open = it.dead_letters.iter().map(|it| it.count).sum();
            gauge(metric::DEAD_LETTERS_OPEN, &[("context", context.clone())], open);
            for it in it.parked {
                let labels = [("context", context.clone()), ("view", it.view)];
                gauge(metric::PARKED_EVENTS_OPEN, &labels, it.events);
            }
        }
        let now = self.clock.elapsed();
        for (name, service) in self.status.services() {
            for ((topic, part), it) in service.parts {
                let labels = [("service", name.clone()), ("partition", format!("{topic}/{part}"))];
                if let Some(lag) = it.lag {
                    gauge(metric::LAG, &labels, lag);
                }
                let waiting = it.waiting_since.map_or(Duration::ZERO, |it| now.saturating_sub(it));
                metrics::gauge!(metric::WAITING.name, &labels.to_vec()).set(waiting.as_secs_f64());
                gauge(metric::PSEQ, &labels, it.pseq);
                if let Some(published) = it.published {
                    gauge(metric::PUBLISHED, &labels, published);
                }
            }
            let ready = i64::from(service.joined && service.trouble.is_none());
            gauge(metric::READY, &[("service", name)], ready);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn gauge<const N: usize>(of: Metric, labels: &[(&'static str, String); N], value: i64) {
    metrics::gauge!(of.name, &labels.to_vec()).set(value as f64);
}

/// As often as metrics are sent.
const OBSERVE_INTERVAL: Duration = Duration::from_secs(10);
/// What only the store knows is told without, if the store takes longer.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
