//! The files that deploy the fleet (image, compose, Tilt, Kubernetes), as data that tests can check.
pub mod compose;
pub mod dockerfile;
pub mod kubernetes;
pub mod kustomize;
pub mod starlark;
pub mod telemetry;
pub mod tilt;
pub mod versions;
