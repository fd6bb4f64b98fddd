//! The files that deploy the fleet (image, compose, Tilt, Kubernetes), as data that tests can check.
pub mod alerts;
pub mod compose;
pub mod dashboards;
pub mod dockerfile;
pub mod kubernetes;
pub mod kustomize;
pub mod promql;
pub mod starlark;
pub mod telemetry;
pub mod tilt;
pub mod versions;
