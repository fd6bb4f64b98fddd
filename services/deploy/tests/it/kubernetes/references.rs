//! Whatever is named is there: Secrets and their keys, settings, volumes, files, servers and their users.
use super::world::{Pod, World, list, name, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn check(world: &World<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for pod in world.pods() {
        let of = name(pod.workload);
        let mut say = |what: String| wrong.push(format!("{of}: {what}"));
        let volumes = volumes(world, &pod, &mut say);
        for container in list(pod.spec, "/initContainers").chain(list(pod.spec, "/containers")) {
            let env = environment(world, container, &mut say);
            let files = files(container, &volumes, &mut say);
            for (key, value) in &env {
                check_value(world, key, value, &files, &mut say);
            }
            check_users(world, &pod, &env, &mut say);
        }
    }
    for object in world.objects {
        check_names(object, &mut wrong);
    }
    wrong
}

/// The files in each volume by their paths; `None`: nobody knows.
type Volumes = BTreeMap<String, Option<BTreeSet<String>>>;

fn volumes(world: &World<'_>, pod: &Pod<'_>, say: &mut dyn FnMut(String)) -> Volumes {
    let mut volumes = Volumes::new();
    for it in list(pod.spec, "/volumes") {
        let mut files = Some(BTreeSet::new());
        for source in list(it, "/projected/sources") {
            let secret = &source["secret"];
            let of = text(secret, "/name");
            for item in list(secret, "/items") {
                has_key(world, of, text(item, "/key"), say);
                files.get_or_insert_default().insert(text(item, "/path").to_owned());
            }
        }
        if let Some(map) = it.pointer("/configMap/name").and_then(Value::as_str) {
            match world.find("ConfigMap", map) {
                Some(map) => {
                    let keys = map["data"].as_object().into_iter().flatten();
                    files.get_or_insert_default().extend(keys.map(|it| it.0.clone()));
                }
                None => say(format!("there is no ConfigMap {map}")),
            }
        }
        if let Some(secret) = it.pointer("/secret/secretName").and_then(Value::as_str) {
            match world.secrets.get(secret) {
                Some(keys) => files.get_or_insert_default().extend(keys.iter().cloned()),
                None => say(format!("there is no Secret {secret}")),
            }
        }
        if it.get("emptyDir").is_some() {
            files = None;
        }
        volumes.insert(text(it, "/name").to_owned(), files);
    }
    for claim in list(pod.workload, "/spec/volumeClaimTemplates") {
        volumes.insert(text(claim, "/metadata/name").to_owned(), None);
    }
    volumes
}

fn has_key(world: &World<'_>, secret: &str, key: &str, say: &mut dyn FnMut(String)) {
    match world.secrets.get(secret) {
        None => say(format!("there is no Secret {secret}")),
        Some(keys) if !keys.contains(key) => say(format!("the Secret {secret} has no {key}")),
        Some(_) => {}
    }
}

/// Variables with values that can be known.
fn environment(
    world: &World<'_>,
    container: &Value,
    say: &mut dyn FnMut(String),
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for it in list(container, "/envFrom") {
        let map = text(it, "/configMapRef/name");
        match world.find("ConfigMap", map) {
            None => say(format!("there is no ConfigMap {map:?}")),
            Some(map) => {
                for (key, value) in map["data"].as_object().into_iter().flatten() {
                    env.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
                }
            }
        }
    }
    for it in list(container, "/env") {
        let key = text(it, "/name").to_owned();
        if let Some(from) = it.pointer("/valueFrom/secretKeyRef") {
            has_key(world, text(from, "/name"), text(from, "/key"), say);
        } else if let Some(from) = it.pointer("/valueFrom/configMapKeyRef") {
            let of = world.find("ConfigMap", text(from, "/name"));
            if of.and_then(|of| of["data"].get(text(from, "/key"))).is_none() {
                say(format!("{key} comes from {from}, which is not there"));
            }
        } else {
            env.insert(key, text(it, "/value").to_owned());
        }
    }
    env
}

/// The files that a container sees, of those that are known.
fn files(container: &Value, volumes: &Volumes, say: &mut dyn FnMut(String)) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for it in list(container, "/volumeMounts") {
        let (volume, place) = (text(it, "/name"), text(it, "/mountPath"));
        match volumes.get(volume) {
            None => say(format!("{place} is of the volume {volume}, which is not there")),
            Some(files) => {
                let path = |file: &String| format!("{place}/{file}");
                seen.extend(files.iter().flatten().map(path));
            }
        }
    }
    seen
}

/// Files that are named are mounted, servers that are named are there.
fn check_value(
    world: &World<'_>,
    key: &str,
    value: &str,
    files: &BTreeSet<String>,
    say: &mut dyn FnMut(String),
) {
    let certificate = value.split("sslrootcert=").nth(1).map(|it| it.split('&').next());
    let named = key.ends_with("_FILE").then_some(Some(value)).or(certificate).flatten();
    if let Some(path) = named
        && !files.contains(path)
    {
        say(format!("{key} names {path}, which is not mounted"));
    }
    for (host, port) in servers(key, value) {
        // A name with a dot is in another namespace.
        let known = host.contains('.')
            || world.services.iter().any(|it| it.name == host && it.port == port);
        if !known {
            say(format!("{key} names {host}:{port}, where nothing is"));
        }
    }
}

/// The servers that a variable names.
pub(crate) fn servers(key: &str, value: &str) -> Vec<(String, u64)> {
    let addresses = match (key, value.split_once("://")) {
        ("KAFKA_BROKERS", _) => value.to_owned(),
        (_, Some((_, rest))) if CLIENTS_OF.contains(&key) => {
            let authority = rest.split('/').next().unwrap_or_default();
            authority.rsplit('@').next().unwrap_or_default().to_owned()
        }
        _ => return Vec::new(),
    };
    let address = |it: &str| match it.rsplit_once(':') {
        Some((host, port)) => (host.to_owned(), port.parse().unwrap_or_default()),
        None => (it.to_owned(), 0),
    };
    addresses.split(',').map(address).collect()
}

const CLIENTS_OF: &[&str] = &[
    "SCHEMA_REGISTRY_URL",
    "DATABASE_URL",
    "REGISTRY_DATASOURCE_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// Who a program says that it is exists, and the password is that user's.
fn check_users(
    world: &World<'_>,
    pod: &Pod<'_>,
    env: &BTreeMap<String, String>,
    say: &mut dyn FnMut(String),
) {
    let mounted = |file: &str| {
        let sources = list(pod.spec, "/volumes").flat_map(|it| list(it, "/projected/sources"));
        let mut found =
            sources.filter(|it| list(it, "/secret/items").any(|it| text(it, "/path") == file));
        found.next().map(|it| text(it, "/secret/name"))
    };
    if let Some(user) = env.get("KAFKA_SASL_USERNAME") {
        if world.of_kind("Kafka").next().is_some() && world.find("KafkaUser", user).is_none() {
            say(format!("there is no KafkaUser {user}"));
        }
        if mounted("kafka-password") != Some(user) {
            say(format!("the password of {user} is another user's"));
        }
    }
    let url = env.get("DATABASE_URL").and_then(|it| it.split_once("://"));
    let Some((user, _)) = url.and_then(|(_, it)| it.split_once('@')) else { return };
    for cluster in world.of_kind("Cluster") {
        let mut roles = list(cluster, "/spec/managed/roles");
        let role = roles.find(|it| text(it, "/name") == user);
        let app = format!("{}-app", text(cluster, "/metadata/name"));
        let secret = match role {
            Some(role) => text(role, "/passwordSecret/name"),
            None if text(cluster, "/spec/bootstrap/initdb/owner") == user => &app,
            None => {
                say(format!("Postgres has no role {user}"));
                continue;
            }
        };
        if mounted("database-password") != Some(secret) {
            say(format!("the password of the role {user} is another one's"));
        }
        if !url.is_some_and(|it| it.1.contains("sslmode=verify-full")) {
            say(format!("{user} does not verify whom it sends its password"));
        }
    }
}

/// Names that an API server takes.
fn check_names(object: &Value, wrong: &mut Vec<String>) {
    let of = name(object);
    let mut check = |what: &str, name: &str, has_dots: bool, length: usize| {
        let fits = |it: char| {
            it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-' || (has_dots && it == '.')
        };
        let ends = |it: Option<char>| it.is_some_and(|it| it.is_ascii_alphanumeric());
        if name.len() > length
            || !name.chars().all(fits)
            || !ends(name.chars().next())
            || !ends(name.chars().last())
        {
            wrong.push(format!("{of}: {what} {name:?} is no name"));
        }
    };
    let is_service = text(object, "/kind") == "Service";
    check(
        "its name",
        text(object, "/metadata/name"),
        !is_service,
        if is_service { 63 } else { 253 },
    );
    let pod = object.pointer("/spec/template/spec").unwrap_or(&Value::Null);
    for it in list(pod, "/volumes") {
        check("the volume", text(it, "/name"), false, 63);
    }
    for it in list(pod, "/initContainers").chain(list(pod, "/containers")) {
        check("the container", text(it, "/name"), false, 63);
        for port in list(it, "/ports") {
            check("the port", text(port, "/name"), false, 15);
        }
    }
}
