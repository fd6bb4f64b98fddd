//! The files that deploy the fleet (image, compose, Tilt, Kubernetes), as data that tests can check.
pub mod kubernetes;
pub mod kustomize;
