//! One version of everything, wherever it is named.
use super::compose::{file, root};
use deploy::{dockerfile, versions};
use serde::Deserialize as _;
use std::collections::BTreeSet;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The version of an artifact in the pom file.
fn artifact(name: &str) -> String {
    let pom = read("services/fleet/stack/pom.xml");
    let (_, rest) = pom.split_once(&format!("<artifactId>{name}</artifactId>")).unwrap();
    let (_, rest) = rest.split_once("<version>").unwrap();
    rest.split_once("</version>").unwrap().0.to_owned()
}

/// Every image that a file of the repository names, with the file.
fn references() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, service) in file().services {
        found.push((format!("docker-compose.yml, {name}"), service.image));
    }
    for path in ["Dockerfile", "services/deploy/development/Dockerfile"] {
        let file = dockerfile::read(&read(path)).unwrap();
        let stages: Vec<_> = file.stages.iter().map(|it| it.name.clone()).collect();
        for from in file.stages.into_iter().map(|it| it.from) {
            if from != "scratch" && !stages.contains(&from) {
                found.push((path.to_owned(), from));
            }
        }
    }
    let root = root();
    for path in versions::files(&root.join("k8s"), &[".yaml", ".yml"]).unwrap() {
        let text = std::fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(&root).unwrap().display().to_string();
        for document in serde_norway::Deserializer::from_str(&text) {
            let document = serde_norway::Value::deserialize(document).unwrap();
            let Ok(document) = serde_json::to_value(document) else { continue };
            // Our own image has no tag there: overlays give it one.
            let images = versions::references(&document);
            let others = images.into_iter().filter(|it| it != versions::OURS);
            found.extend(others.map(|it| (path.clone(), it)));
        }
    }
    found
}

#[test]
fn every_image_is_in_the_list_and_the_list_has_no_other() {
    let all = references();
    let faults: Vec<_> = all
        .iter()
        .filter_map(|(file, it)| versions::fault(it).map(|fault| format!("{file}: {fault}")))
        .collect();
    assert_eq!(faults, Vec::<String>::new());

    let name = |reference: &str| reference.rsplit_once(':').map(|(name, _)| name.to_owned());
    let named: BTreeSet<_> = all.iter().filter_map(|(_, it)| name(it)).collect();
    let unused: Vec<_> = versions::IMAGES.iter().filter(|(it, _)| !named.contains(*it)).collect();
    assert!(unused.is_empty(), "in versions.rs, and used by nobody: {unused:?}");
    assert!(all.iter().any(|(file, _)| file.starts_with("k8s/dev/")), "no manifest was looked at");
}

#[test]
fn containers_run_what_the_development_stack_runs() {
    assert_eq!(versions::of("apache/kafka"), Some(artifact("kafka_2.13").as_str()));
    let registry = artifact("apicurio-registry-app");
    assert_eq!(versions::of("apicurio/apicurio-registry-sql"), Some(registry.as_str()));
    // SQL stays on what the development stack has; a server may be newer.
    let tools = read("services/fleet/src/stack/tools.rs");
    let (_, oldest) = tools.split_once("const POSTGRES_VERSION: u32 = ").unwrap();
    let oldest: u32 = oldest.split_once(';').unwrap().0.parse().unwrap();
    let major = |image: &str| {
        let tag = versions::of(image).unwrap();
        tag.split(['.', '-']).next().unwrap().parse::<u32>().unwrap()
    };
    let newest = major("postgres");
    assert!(newest >= oldest, "Postgres {newest} in containers, {oldest} without");
    assert_eq!(newest, major("ghcr.io/cloudnative-pg/postgresql"), "development, production");
}

#[test]
fn operators_are_told_the_same_version_of_kafka() {
    for path in versions::files(&root().join("k8s"), &[".yaml"]).unwrap() {
        let text = std::fs::read_to_string(&path).unwrap();
        for document in serde_norway::Deserializer::from_str(&text) {
            let document = serde_norway::Value::deserialize(document).unwrap();
            let document = serde_json::to_value(document).unwrap_or_default();
            if let Some(version) = document.pointer("/spec/kafka/version") {
                assert_eq!(version.as_str(), versions::of("apache/kafka"), "{}", path.display());
            }
        }
    }
}

#[test]
fn a_reference_to_another_image_is_a_fault() {
    for (reference, expected) in [
        ("apache/kafka", "has no tag"),
        ("apache/kafka:latest", "whatever is the latest"),
        ("apache/kafka:4.3.0", "is apache/kafka:4.3.1"),
        ("localhost:5000/kafka", "has no tag"),
        ("bitnami/kafka:4.3.1", "is not in versions.rs"),
        ("apache/kafka@sha256:1234", "has no tag"),
    ] {
        let fault = versions::fault(reference).unwrap_or_default();
        assert!(fault.contains(expected), "{reference}: {fault}");
    }
    for reference in
        ["apache/kafka:4.3.1", "apache/kafka:4.3.1@sha256:1234", "flotilla:development"]
    {
        assert_eq!(versions::fault(reference), None);
    }
}
