//! What other crates' tests want to know of the rendered manifests: how our programs are called there.
use crate::kustomize::{self, Files};
use serde_json::Value;
use std::collections::BTreeMap;

/// A container of the fleet's own image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What it is part of: `Deployment bff`.
    pub workload: String,
    /// Its own name.
    pub container: String,
    /// Whether it runs before the others, to its end.
    pub is_init: bool,
    /// What follows the image's entry point: `run`, `bff`.
    pub args: Vec<String>,
    /// Its environment by name; `None`: the value is a Secret's or the pod's.
    pub env: BTreeMap<String, Option<String>>,
}

/// The logical name of the fleet's image, which overlays replace.
pub const IMAGE: &str = "flotilla";

/// The overlays of the repository, by their folders' names.
///
/// # Errors
/// If the folder cannot be read.
pub fn overlays(files: &Files) -> Result<Vec<String>, kustomize::Error> {
    files.folders("k8s/overlays")
}

/// The objects of an overlay of the repository.
///
/// # Errors
/// If it cannot be rendered.
pub fn overlay(files: &Files, name: &str) -> Result<Vec<Value>, kustomize::Error> {
    kustomize::render(files, format!("k8s/overlays/{name}"))
}

/// Every container of the fleet's image among rendered objects.
#[must_use]
pub fn programs(objects: &[Value]) -> Vec<Program> {
    let mut found = Vec::new();
    for object in objects {
        for (key, is_init) in [("initContainers", true), ("containers", false)] {
            let containers = object.pointer(&format!("/spec/template/spec/{key}"));
            for container in containers.and_then(Value::as_array).into_iter().flatten() {
                if is_ours(text(container, "/image")) {
                    found.push(Program {
                        workload: name(object),
                        container: text(container, "/name").to_owned(),
                        is_init,
                        args: strings(&container["args"]),
                        env: environment(objects, container),
                    });
                }
            }
        }
    }
    found
}

/// A Kafka topic that is a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// As Kafka calls it.
    pub name: String,
    /// Its partitions.
    pub partitions: i64,
    /// Copies of each.
    pub replicas: i64,
    /// Its settings, as Kafka names them.
    pub settings: BTreeMap<String, String>,
}

/// The topics among rendered objects.
#[must_use]
pub fn topics(objects: &[Value]) -> Vec<Topic> {
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    let setting = |(key, value): (&String, &Value)| {
        (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let topics = objects.iter().filter(|it| text(it, "/kind") == "KafkaTopic");
    let topic = |it: &Value| Topic {
        name: text(it, "/metadata/name").to_owned(),
        partitions: number(&it["spec"]["partitions"]),
        replicas: number(&it["spec"]["replicas"]),
        settings: it["spec"]["config"].as_object().into_iter().flatten().map(setting).collect(),
    };
    topics.map(topic).collect()
}

/// `Deployment bff`.
#[must_use]
pub fn name(object: &Value) -> String {
    format!("{} {}", text(object, "/kind"), text(object, "/metadata/name"))
}

fn is_ours(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split([':', '@']).next() == Some(IMAGE)
}

/// What `envFrom` brings, and over it what `env` says.
fn environment(objects: &[Value], container: &Value) -> BTreeMap<String, Option<String>> {
    let mut env = BTreeMap::new();
    for source in container["envFrom"].as_array().into_iter().flatten() {
        let called = text(source, "/configMapRef/name");
        let map = objects
            .iter()
            .find(|it| text(it, "/kind") == "ConfigMap" && text(it, "/metadata/name") == called);
        for (key, value) in map.and_then(|it| it["data"].as_object()).into_iter().flatten() {
            env.insert(key.clone(), value.as_str().map(str::to_owned));
        }
    }
    for it in container["env"].as_array().into_iter().flatten() {
        let value = it.get("value").and_then(Value::as_str).map(str::to_owned);
        env.insert(text(it, "/name").to_owned(), value);
    }
    env
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
