//! Dashboards show something, and where Grafana looks for them.
use super::{
    compose::root,
    promql::{known, parses},
};
use deploy::{
    dashboards::{self, Dashboards, expressions},
    kubernetes,
    kustomize::Files,
    promql::Query,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

const FILES: &str = "k8s/components/observability/files";

fn dashboards() -> Dashboards {
    let folder = root().join(FILES).join("dashboards");
    let files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, value)
    };
    files.map(read).collect()
}

/// The uids of the data sources that Grafana is given.
fn sources() -> BTreeSet<String> {
    let file = root().join(FILES).join("grafana/datasources/datasources.yaml");
    let sources: Value = serde_norway::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let sources = sources["datasources"].as_array().unwrap().iter();
    sources.map(|it| it["uid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn nothing_is_wrong_with_them() {
    let all = dashboards();
    assert_eq!(dashboards::faults(&all, &sources()), Vec::<String>::new());
    let uids: BTreeSet<_> = all.values().map(|it| it["uid"].as_str().unwrap()).collect();
    let expected = ["bff", "context", "fleet", "read-path", "servers", "write-path"];
    assert_eq!(
        uids,
        expected.map(|it| format!("flotilla-{it}")).iter().map(String::as_str).collect()
    );
}

#[test]
fn every_expression_parses() {
    let mut count = 0;
    for (file, it) in &dashboards() {
        for it in expressions(file, it) {
            parses(&it.place, &it.text);
            count += 1;
        }
    }
    assert!(count > 60, "only {count} expressions");
}

#[test]
fn every_metric_is_measured() {
    let known = known();
    let mut faults = Vec::new();
    for (file, it) in &dashboards() {
        for it in expressions(file, it) {
            let strange = known.strange(&Query::read(&it.text).unwrap(), &it.legend);
            faults.extend(strange.into_iter().map(|what| format!("{}: {what}", it.place)));
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn every_fault_is_found() {
    let mut missed = Vec::new();
    for (file, from, to, expected) in [
        ("fleet", "\"uid\": \"flotilla-fleet\"", "\"uid\": \"flotilla-bff\"", "or another's"),
        ("fleet", "\"tags\"", "\"__inputs\": [], \"tags\"", "exported for somebody else"),
        ("fleet", "\"uid\": \"prometheus\"", "\"uid\": \"thanos\"", "thanos is no data source"),
        ("fleet", "\"uid\": \"prometheus\"", "\"name\": \"x\"", "has no data source"),
        ("fleet", "{\"x\": 16, \"y\": 0", "{\"x\": 15, \"y\": 0", "lies over Is every service"),
        ("fleet", "{\"x\": 16, \"y\": 0", "{\"x\": 17, \"y\": 0", "not within the page"),
        ("fleet", "\"id\": 2", "\"id\": 1", "the id of another panel"),
        (
            "fleet",
            "\"expr\": \"min by (service) (flotilla_ready{job=\\\"flotilla\\\"})\"",
            "\"expr\": \"\"",
            "asks for nothing",
        ),
        ("fleet", "min by (service) (flotilla_ready", "min by (service) flotilla_ready", "missing"),
        (
            "fleet",
            "min by (service) (flotilla_ready",
            "min (flotilla_ready",
            "the legend names service",
        ),
        ("fleet", "flotilla_ready{job=\\\"flotilla\\\"}", "flotilla_ready", "counts twice"),
        ("fleet", "\"unit\": \"reqps\", ", "", "has no unit"),
        (
            "fleet",
            "\"description\": \"Queries and",
            "\"about\": \"Queries and",
            "does not say what to do",
        ),
        ("fleet", "\"refId\": \"B\"", "\"refId\": \"A\"", "a refId comes twice"),
        ("context", "\"name\": \"context\"", "\"name\": \"contexts\"", "nothing defines $context"),
        ("context", "\"name\": \"context\"", "\"name\": \"contexts\"", "nothing uses $contexts"),
    ] {
        let file = format!("{file}.json");
        let mut all = dashboards();
        let text = fs::read_to_string(root().join(FILES).join("dashboards").join(&file)).unwrap();
        assert!(text.contains(from), "{from:?} is not in {file} any more");
        let changed = serde_json::from_str(&text.replacen(from, to, 1)).unwrap();
        all.insert(file, changed);
        let found = dashboards::faults(&all, &sources()).join("\n");
        if !found.contains(expected) {
            missed.push(format!("{from:?}: expected {expected:?}, found {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// What Grafana and Prometheus find in a pod is what they find in a container, where the whole folder is mounted.
#[test]
fn pods_have_every_file() {
    let objects = kubernetes::overlay(&Files::of_the_repository(), "local").unwrap();
    let mounted = |name: &str| -> BTreeSet<String> {
        let is_it = |it: &&Value| it["kind"] == "Deployment" && it["metadata"]["name"] == name;
        let pod = &objects.iter().find(is_it).unwrap()["spec"]["template"]["spec"];
        let volumes = pod["volumes"].as_array().unwrap();
        let files = volumes.iter().find(|it| it["name"] == "files").unwrap();
        let items = files["configMap"]["items"].as_array().unwrap();
        items.iter().map(|it| it["path"].as_str().unwrap().to_owned()).collect()
    };
    let expected: BTreeSet<_> = dashboards().into_keys().collect();
    let grafana = mounted("grafana");
    let found = grafana.iter().filter_map(|it| it.strip_prefix("dashboards/")).map(str::to_owned);
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
    assert!(mounted("prometheus").contains("alerts.yml"), "{:?}", mounted("prometheus"));
}
