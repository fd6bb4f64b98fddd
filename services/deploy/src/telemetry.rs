//! The configuration of the collector, Prometheus and Grafana: what names what, among them and in the compose file.
use crate::compose::Compose;
use serde_json::Value;
use std::collections::BTreeSet;

/// Where compose and Kubernetes mount the files.
const MOUNTED: &str = "/etc/observability";

/// The files.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// `collector.yaml`
    pub collector: Value,
    /// `prometheus.yaml`
    pub prometheus: Value,
    /// `datasources.yaml`
    pub datasources: Value,
    /// `dashboards.yaml`
    pub dashboards: Value,
}

/// Everything that is wrong with them, in words.
#[must_use]
pub fn faults(it: &Telemetry, compose: &Compose) -> Vec<String> {
    let mut faults = pipelines(&it.collector);
    faults.extend(exporters(&it.collector, compose));
    faults.extend(scrapes(&it.prometheus, compose));
    faults.extend(grafana(it, compose));
    faults
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Each member of a pipeline is defined, and each that is defined is a member.
fn pipelines(collector: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let pipelines = &collector["service"]["pipelines"];
    for signal in ["traces", "metrics"] {
        if !keys(pipelines).contains(signal) {
            faults.push(format!("collector: no pipeline takes {signal}"));
        }
    }
    for kind in ["receivers", "processors", "exporters"] {
        let defined = keys(&collector[kind]);
        let mut used = BTreeSet::new();
        for (name, pipeline) in pipelines.as_object().into_iter().flatten() {
            let members = texts(&pipeline[kind]);
            if members.is_empty() {
                faults.push(format!("collector: the pipeline {name} has no {kind}"));
            }
            // What would not fit into memory is refused before anything is done with it.
            if kind == "processors" && members.first() != Some(&"memory_limiter") {
                faults.push(format!("collector: {name} does not begin with memory_limiter"));
            }
            used.extend(members);
        }
        for name in used.difference(&defined) {
            faults.push(format!("collector: {name} is not among the {kind}"));
        }
        for name in defined.difference(&used) {
            faults.push(format!("collector: no pipeline uses {name}"));
        }
    }
    for name in texts(&collector["service"]["extensions"]) {
        if !keys(&collector["extensions"]).contains(name) {
            faults.push(format!("collector: {name} is not among the extensions"));
        }
    }
    faults
}

fn exporters(collector: &Value, compose: &Compose) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, exporter) in collector["exporters"].as_object().into_iter().flatten() {
        let endpoint = exporter["endpoint"].as_str().unwrap_or_default();
        if !is_service(endpoint, compose) {
            faults.push(format!("collector: {name} sends to {endpoint}, which is no service"));
        }
    }
    let receiver = collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].as_str();
    if receiver != Some("0.0.0.0:4317") {
        faults.push(format!("collector: it listens at {receiver:?}, services send to 4317"));
    }
    faults
}

/// Whether a URL or address leads to a service.
fn is_service(address: &str, compose: &Compose) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    compose.services.contains_key(host)
}

fn scrapes(prometheus: &Value, compose: &Compose) -> Vec<String> {
    let mut faults = Vec::new();
    let jobs = prometheus["scrape_configs"].as_array().into_iter().flatten();
    let names = jobs.flat_map(|it| it["dns_sd_configs"].as_array().into_iter().flatten());
    let asked: BTreeSet<_> = names.flat_map(|it| texts(&it["names"])).collect();
    let runs =
        |name: &&String| compose.services[*name].command.first().is_some_and(|it| it == "run");
    let ours: BTreeSet<_> = compose.services.keys().filter(runs).map(String::as_str).collect();
    for name in ours.difference(&asked) {
        faults.push(format!("prometheus: nobody asks {name}"));
    }
    for name in asked.difference(&ours) {
        faults.push(format!("prometheus: {name} is no service of the fleet"));
    }
    faults
}

fn grafana(it: &Telemetry, compose: &Compose) -> Vec<String> {
    let mut faults = Vec::new();
    let sources: Vec<_> = it.datasources["datasources"].as_array().into_iter().flatten().collect();
    let uids: BTreeSet<_> = sources.iter().filter_map(|it| it["uid"].as_str()).collect();
    for source in &sources {
        let name = source["name"].as_str().unwrap_or_default();
        if source["uid"].as_str().is_none_or(str::is_empty) {
            faults.push(format!("grafana: {name} has no uid that dashboards could name"));
        }
        let url = source["url"].as_str().unwrap_or_default();
        if !is_service(url, compose) {
            faults.push(format!("grafana: {name} is at {url}, which is no service"));
        }
        let links = source["jsonData"]["exemplarTraceIdDestinations"].as_array();
        for link in links.into_iter().flatten().filter_map(|it| it["datasourceUid"].as_str()) {
            if !uids.contains(link) {
                faults.push(format!("grafana: {name} leads to {link}, which is no data source"));
            }
        }
    }
    for provider in it.dashboards["providers"].as_array().into_iter().flatten() {
        let path = provider["options"]["path"].as_str().unwrap_or_default();
        if path != format!("{MOUNTED}/dashboards") {
            faults.push(format!("grafana: dashboards are not at {path}"));
        }
    }
    faults
}
