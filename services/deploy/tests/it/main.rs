//! What would only fail on a cluster, found without one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alerts;
mod compose;
mod dashboards;
mod image;
mod kubernetes;
mod kustomize;
mod promql;
mod telemetry;
mod tilt;
mod versions;
