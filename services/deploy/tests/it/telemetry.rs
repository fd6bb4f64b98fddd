//! What shows how the fleet does, checked without running it.
use super::compose::{file, root};
use deploy::telemetry::{self, Telemetry};
use serde_json::Value;

const FILES: &str = "k8s/components/observability/files";

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(FILES).join(name)).unwrap()
}

/// The files, one of them with a text replaced.
fn files(changed: &str, from: &str, to: &str) -> Telemetry {
    let read = |name: &str| -> Value {
        let text = text(name);
        if name.ends_with(changed) {
            assert!(text.contains(from), "{from:?} is not in {name} any more");
            return serde_norway::from_str(&text.replacen(from, to, 1)).unwrap();
        }
        serde_norway::from_str(&text).unwrap()
    };
    Telemetry {
        collector: read("collector.yaml"),
        prometheus: read("prometheus.yaml"),
        datasources: read("grafana/datasources/datasources.yaml"),
        dashboards: read("grafana/dashboards/dashboards.yaml"),
    }
}

#[test]
fn nothing_is_wrong_with_it() {
    assert_eq!(telemetry::faults(&files("none", "", ""), &file()), Vec::<String>::new());
}

#[test]
fn every_fault_is_found() {
    let mut missed = Vec::new();
    for (name, from, to, expected) in [
        (
            "collector.yaml",
            "exporters: [otlp_grpc/jaeger]",
            "exporters: [otlp/jaeger]",
            "otlp/jaeger is not among the exporters",
        ),
        (
            "collector.yaml",
            "exporters: [otlp_http/prometheus]",
            "exporters: [otlp_grpc/jaeger]",
            "no pipeline uses otlp_http/prometheus",
        ),
        (
            "collector.yaml",
            "processors: [memory_limiter, batch]",
            "processors: [batch]",
            "does not begin with memory_limiter",
        ),
        ("collector.yaml", "    metrics:\n", "    metric:\n", "no pipeline takes metrics"),
        (
            "collector.yaml",
            "extensions: [health_check]",
            "extensions: [health]",
            "health is not among the extensions",
        ),
        ("collector.yaml", "endpoint: jaeger:4317", "endpoint: tempo:4317", "which is no service"),
        ("collector.yaml", "0.0.0.0:4317", "localhost:4317", "services send to 4317"),
        (
            "prometheus.yaml",
            "customers-aggregator]",
            "orders-handler]",
            "nobody asks customers-aggregator",
        ),
        (
            "prometheus.yaml",
            "customers-aggregator]",
            "orders-handler]",
            "orders-handler is no service",
        ),
        ("datasources.yaml", "uid: prometheus", "id: prometheus", "has no uid"),
        (
            "datasources.yaml",
            "datasourceUid: jaeger",
            "datasourceUid: tempo",
            "leads to tempo, which is no data source",
        ),
        (
            "datasources.yaml",
            "http://jaeger:16686",
            "http://tempo:3200",
            "Jaeger is at http://tempo:3200",
        ),
        (
            "dashboards.yaml",
            "path: /etc/observability/dashboards",
            "path: /var/lib/grafana",
            "dashboards are not at",
        ),
    ] {
        let found = telemetry::faults(&files(name, from, to), &file()).join("\n");
        if !found.contains(expected) {
            missed.push(format!("{from:?}: expected {expected:?}, found {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn containers_and_pods_are_configured_alike() {
    let files = deploy::kustomize::Files::of_the_repository();
    let objects = deploy::kubernetes::overlay(&files, "local").unwrap();
    let container = |name: &str| {
        let is_it = |it: &&Value| {
            ["Deployment", "StatefulSet"].contains(&it["kind"].as_str().unwrap_or_default())
                && it["metadata"]["name"] == name
        };
        let workload = objects.iter().find(is_it).unwrap();
        workload.pointer("/spec/template/spec/containers/0").unwrap().clone()
    };
    let mut compared = 0;
    for (name, prefixes) in [
        ("grafana", &["GF_"][..]),
        ("kafka", &["KAFKA_GROUP_", "KAFKA_OFFSETS_", "KAFKA_TRANSACTION_", "KAFKA_AUTO_"]),
    ] {
        let container = container(name);
        for (variable, value) in &file().services[name].environment {
            if prefixes.iter().any(|it| variable.starts_with(it)) {
                let env = container["env"].as_array().unwrap();
                let found = env.iter().find(|it| it["name"] == variable.as_str());
                let found = found.and_then(|it| it["value"].as_str());
                assert_eq!(found, value.as_deref(), "{name}, {variable}");
                compared += 1;
            }
        }
    }
    assert!(compared > 15, "only {compared} variables");
}
