//! What a process answers to those who watch it: whether it lives, whether it is ready, metrics, where it stands.
use crate::{
    service::{Service, Shell},
    status::{ServiceStatus, Status},
};
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::{collections::BTreeMap, net::SocketAddr, sync::OnceLock};

/// `/live`, `/ready`, `/metrics` and `/status`.
pub fn router(status: Status) -> Router {
    // Counting begins when somebody may ask.
    recorder();
    Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/status", get(tell))
        .route("/metrics", get(metrics))
        .with_state(status)
}

/// Answers at an address of its own.
pub(crate) fn service(address: SocketAddr) -> Service {
    Service::new("health", "", move |shell: Shell| async move {
        let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| {
            anyhow::anyhow!("cannot listen on {address}: {error}; choose another FLOTILLA_HEALTH")
        })?;
        let shutdown = shell.shutdown.clone();
        axum::serve(listener, router(shell.status.clone()))
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .await?;
        Ok(())
    })
}

async fn ready(State(status): State<Status>) -> impl IntoResponse {
    let not_ready = status.not_ready();
    let code = if not_ready.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(not_ready))
}

async fn tell(State(status): State<Status>) -> Json<BTreeMap<String, ServiceStatus>> {
    Json(status.services())
}

async fn metrics(State(status): State<Status>) -> String {
    for (name, service) in status.services() {
        for (part, it) in service.parts {
            let labels = [("service", name.clone()), ("partition", part)];
            if let Some(lag) = it.lag {
                gauge("flotilla_lag", &labels, lag);
            }
            gauge("flotilla_pseq", &labels, it.pseq);
            gauge("flotilla_published", &labels, it.published);
        }
        let ready = i64::from(service.joined && service.trouble.is_none());
        gauge("flotilla_ready", &[("service", name)], ready);
    }
    recorder().render()
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn gauge<const N: usize>(name: &'static str, labels: &[(&'static str, String); N], value: i64) {
    metrics::gauge!(name, &labels.to_vec()).set(value as f64);
}

fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // In a test several fleets share a process, and the first recorder.
        drop(metrics::set_global_recorder(recorder));
        handle
    })
}
