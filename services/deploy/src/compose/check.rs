//! What is wrong with a compose file, without Docker.
use super::{Compose, Port, Service, broker, mount, mounted};
use crate::versions;
use std::{collections::BTreeMap, path::Path};

/// Images without a shell or a program that could ask them: nobody may wait for their health.
const MUTE: [&str; 2] = ["jaegertracing/jaeger", "otel/opentelemetry-collector-contrib"];
/// The capabilities that the image of Postgres begins with.
const POSTGRES: [&str; 5] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"];

/// Everything that is wrong with it, in words; `root` is where its paths begin, `services` are those of the fleet.
#[must_use]
pub fn faults(compose: &Compose, root: &Path, services: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for (name, service) in &compose.services {
        let found = [
            image(service, root),
            limits(service),
            privilege(name, service),
            health(service),
            dependencies(compose, service),
            volumes(compose, service, root),
            addresses(compose, service),
        ];
        all.extend(found.into_iter().flatten().map(|fault| format!("{name}: {fault}")));
    }
    all.extend(ports(compose));
    all.extend(waits_for_itself(compose));
    all.extend(unused_volumes(compose));
    all.extend(fleet(compose, services));
    all.extend(broker::faults(compose));
    all
}

fn is_ours(service: &Service) -> bool {
    service.build.is_some()
}

/// Runs to its end, once.
fn is_one_shot(service: &Service) -> bool {
    service.restart == "no"
}

fn image(service: &Service, root: &Path) -> Vec<String> {
    let mut faults: Vec<_> = versions::fault(&service.image).into_iter().collect();
    let name = service.image.split(':').next().unwrap_or_default();
    if (name == versions::OURS) != is_ours(service) {
        faults.push(format!("the image {} is ours, so it is built; others are not", service.image));
    }
    if let Some(build) = &service.build {
        let folder = root.join(&build.context);
        if !folder.join("Dockerfile").is_file() {
            faults.push(format!("there is no Dockerfile in {}", build.context));
        }
        let text = std::fs::read_to_string(folder.join("Dockerfile")).unwrap_or_default();
        for argument in build.args.keys() {
            if !text.contains(&format!("ARG {argument}=")) {
                faults.push(format!("the Dockerfile has no argument {argument}"));
            }
        }
    }
    faults
}

fn limits(service: &Service) -> Vec<String> {
    let mut faults = Vec::new();
    match service.mem_limit.as_deref().map(|it| (it, megabytes(it))) {
        None => faults.push("it may use all memory: no mem_limit".to_owned()),
        Some((text, None)) => faults.push(format!("mem_limit {text} is no amount such as 256m")),
        Some(_) => {}
    }
    let bounded = service.logging.as_ref().is_some_and(|it| {
        it.options.contains_key("max-size") && it.options.contains_key("max-file")
    });
    if !bounded {
        faults.push("its log grows without bound: no max-size and max-file".to_owned());
    }
    if !matches!(service.restart.as_str(), "no" | "unless-stopped") {
        faults.push(format!("restart {:?} is neither \"no\" nor unless-stopped", service.restart));
    }
    for (field, time) in [("stop_grace_period", &service.stop_grace_period)] {
        if time.as_deref().is_some_and(|it| seconds(it).is_none()) {
            faults.push(format!("{field} is no time such as 5s"));
        }
    }
    faults
}

/// An amount of memory as Compose writes it.
pub(super) fn megabytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    match &text[digits.len()..] {
        "m" => Some(number),
        "g" => Some(number * 1024),
        _ => None,
    }
}

fn seconds(text: &str) -> Option<u64> {
    text.strip_suffix('s')?.parse().ok()
}

fn privilege(name: &str, service: &Service) -> Vec<String> {
    let mut faults = Vec::new();
    if service.cap_drop != ["ALL"] {
        faults.push("it keeps capabilities: cap_drop is not [ALL]".to_owned());
    }
    let kept = service.cap_add.iter();
    for it in kept.filter(|it| name != "postgres" || !POSTGRES.contains(&it.as_str())) {
        faults.push(format!("it may not have the capability {it}"));
    }
    if !service.security_opt.iter().any(|it| it == "no-new-privileges:true") {
        faults.push("its programs may gain privileges: no no-new-privileges".to_owned());
    }
    if is_ours(service) && !service.read_only {
        faults.push("our image needs no writable root: read_only is not true".to_owned());
    }
    faults
}

fn health(service: &Service) -> Vec<String> {
    let mute = MUTE.iter().any(|it| service.image.starts_with(it));
    let Some(check) = &service.healthcheck else {
        let excused = mute || is_one_shot(service);
        return if excused {
            Vec::new()
        } else {
            vec!["nobody sees how it is: no healthcheck".to_owned()]
        };
    };
    let mut faults = Vec::new();
    let kind = check.test.first().map(String::as_str);
    if mute || check.test.len() < 2 || !matches!(kind, Some("CMD" | "CMD-SHELL")) {
        faults.push(format!("its healthcheck cannot be run: {:?}", check.test));
    }
    if is_ours(service) && check.test != ["CMD", "/usr/local/bin/flotilla", "healthcheck"] {
        faults.push(format!("our image has no {:?}, only flotilla healthcheck", check.test));
    }
    for (field, time, needed) in [
        ("interval", &check.interval, true),
        ("timeout", &check.timeout, true),
        ("start_period", &check.start_period, false),
    ] {
        let read = time.as_deref().map(seconds);
        if read == Some(None) || (needed && read.is_none()) {
            faults.push(format!("the {field} of its healthcheck is no time such as 5s"));
        }
    }
    faults
}

fn dependencies(compose: &Compose, service: &Service) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, condition) in service.depends_on.all() {
        let Some(other) = compose.services.get(name) else {
            faults.push(format!("it depends on {name}, which is no service"));
            continue;
        };
        let starts_with_it = other.profiles.is_empty()
            || service.profiles.iter().all(|it| other.profiles.contains(it));
        if !starts_with_it || (service.profiles.is_empty() && !other.profiles.is_empty()) {
            faults.push(format!("it depends on {name}, which its profile does not start"));
        }
        let possible = match condition {
            "service_started" => true,
            "service_healthy" => other.healthcheck.is_some(),
            "service_completed_successfully" => is_one_shot(other),
            _ => false,
        };
        if !possible {
            faults.push(format!("{name} never comes so far as {condition}"));
        }
    }
    faults
}

fn volumes(compose: &Compose, service: &Service, root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for text in &service.volumes {
        let Some((what, place, read_only)) = mount(text) else {
            faults.push(format!("the volume {text} does not say what is mounted where"));
            continue;
        };
        if !place.starts_with('/') {
            faults.push(format!("{text} is mounted at no absolute path"));
        }
        if let Some(file) = what.strip_prefix("./") {
            if !root.join(file).exists() {
                faults.push(format!("it mounts {what}, which is not in the repository"));
            }
            if !read_only {
                faults.push(format!("it may write to {what}"));
            }
        } else if what.contains(['/', '.', '~']) {
            faults.push(format!("it mounts {what}, which is not in the repository"));
        } else if !compose.volumes.contains_key(what) {
            faults.push(format!("the volume {what} is not declared"));
        }
    }
    for name in service.networks.iter().filter(|it| !compose.networks.contains_key(*it)) {
        faults.push(format!("the network {name} is not declared"));
    }
    // What a command names below a mounted folder of the repository must be there.
    let words = service.command.iter().chain(service.environment.values().flatten());
    for word in words.filter_map(|it| it.rsplit('=').next()) {
        if mounted(service, root, word).is_some_and(|it| !it.exists()) {
            faults.push(format!("{word} is not among the files that are mounted"));
        }
    }
    faults
}

fn unused_volumes(compose: &Compose) -> Vec<String> {
    let used = |name: &str| {
        let mut all = compose.services.values().flat_map(|it| &it.volumes);
        all.any(|it| mount(it).is_some_and(|(what, ..)| what == name))
    };
    let unused = compose.volumes.keys().filter(|it| !used(it));
    unused.map(|it| format!("the volume {it} is used by nobody")).collect()
}

/// Host and port, wherever a value or a command names them, lead to a service.
fn addresses(compose: &Compose, service: &Service) -> Vec<String> {
    let mut faults = Vec::new();
    for (variable, value) in &service.environment {
        for (host, port) in value.iter().flat_map(|it| hosts(it)) {
            if !compose.services.contains_key(host) {
                faults.push(format!("{variable} names {host}:{port}, which is no service"));
            }
        }
    }
    faults
}

/// Every `host:port` in a text, except this machine's own.
fn hosts(text: &str) -> Vec<(&str, u16)> {
    let mut found = Vec::new();
    for part in text.split(['/', ',', '@', ' ', ';']) {
        if let Some((host, port)) = part.rsplit_once(':') {
            let is_name = host.starts_with(|it: char| it.is_ascii_lowercase())
                && host
                    .chars()
                    .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-');
            if let Ok(port) = port.parse()
                && is_name
                && host != "localhost"
            {
                found.push((host, port));
            }
        }
    }
    found
}

fn ports(compose: &Compose) -> Vec<String> {
    let mut faults = Vec::new();
    let mut taken: BTreeMap<u16, &str> = BTreeMap::new();
    for (name, service) in &compose.services {
        for text in &service.ports {
            let Some(port) = Port::read(text) else {
                faults.push(format!("{name}: the port {text} is not address:port:port"));
                continue;
            };
            if port.address != "127.0.0.1" {
                faults.push(format!("{name}: {text} can be reached from other machines"));
            }
            if let Some(other) = taken.insert(port.here, name) {
                faults.push(format!("{name}: the port {} is {other}'s", port.here));
            }
        }
    }
    faults
}

fn waits_for_itself(compose: &Compose) -> Vec<String> {
    // As many steps as there are services lead back, or nowhere.
    let reaches = |from: &str| {
        let mut seen = vec![from];
        let mut next = 0;
        while let Some(name) = seen.get(next).copied() {
            next += 1;
            for (other, _) in compose.services.get(name).iter().flat_map(|it| it.depends_on.all()) {
                if other == from {
                    return true;
                }
                if !seen.contains(&other) {
                    seen.push(other);
                }
            }
        }
        false
    };
    let names = compose.services.keys().filter(|it| reaches(it));
    names.map(|it| format!("{it} waits for itself")).collect()
}

/// Every service of the fleet has a container of its own, after the migration, with an address to be asked at.
fn fleet(compose: &Compose, services: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    for name in services {
        let runs_it = |it: &&Service| is_ours(it) && it.command == ["run", name];
        let Some(service) = compose.services.get(*name).filter(runs_it) else {
            faults.push(format!("no container of ours runs {name}"));
            continue;
        };
        if !service.depends_on.all().contains(&("migrate", "service_completed_successfully")) {
            faults.push(format!("{name}: it does not wait for migrate"));
        }
        let has = |it: &str| service.environment.get(it).is_some_and(Option::is_some);
        for variable in ["KAFKA_BROKERS", "SCHEMA_REGISTRY_URL", "DATABASE_URL"] {
            if !has(variable) {
                faults.push(format!("{name}: it has no {variable}"));
            }
        }
        // The BFF answers where it serves GraphQL, the others where they are told to.
        if has("FLOTILLA_HTTP") == has("FLOTILLA_HEALTH") {
            faults.push(format!("{name}: it needs one of FLOTILLA_HTTP and FLOTILLA_HEALTH"));
        }
    }
    let migrates = |it: &Service| is_ours(it) && it.command == ["migrate"] && is_one_shot(it);
    if !compose.services.get("migrate").is_some_and(migrates) {
        faults.push("migrate does not run `flotilla migrate` once".to_owned());
    }
    faults
}
