//! What would only fail on a cluster, found without one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod compose;
mod image;
mod kubernetes;
mod kustomize;
mod telemetry;
mod tilt;
mod versions;
