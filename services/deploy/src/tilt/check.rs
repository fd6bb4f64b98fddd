//! What a Tiltfile declares, compared with the manifests, the development image and the repository.
use super::{Call, Declared};
use crate::{dockerfile, versions};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Kinds of objects that run pods.
const WORKLOADS: [&str; 4] = ["DaemonSet", "Deployment", "Job", "StatefulSet"];

/// Everything that is wrong, in words. `root` is the repository.
#[must_use]
pub fn faults(it: &Declared, root: &Path) -> Vec<String> {
    let workloads = workloads(&it.objects);
    let mut faults = images(it, root, &workloads);
    faults.extend(order(it, &workloads));
    faults.extend(ports(it, &workloads));
    faults.extend(local(it, root));
    faults.extend(commands(it, &workloads));
    faults
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn workloads(objects: &[Value]) -> BTreeMap<&str, &Value> {
    let is_one = |it: &&Value| WORKLOADS.contains(&text(it, "/kind"));
    objects.iter().filter(is_one).map(|it| (text(it, "/metadata/name"), it)).collect()
}

/// The containers of a workload, with whether each runs before the others.
fn containers(workload: &Value) -> Vec<(bool, &Value)> {
    let all = [(true, "initContainers"), (false, "containers")].map(|(first, name)| {
        let path = format!("/spec/template/spec/{name}");
        let items = workload.pointer(&path).and_then(Value::as_array);
        items.into_iter().flatten().map(move |it| (first, it)).collect::<Vec<_>>()
    });
    all.into_iter().flatten().collect()
}

fn images(it: &Declared, root: &Path, workloads: &BTreeMap<&str, &Value>) -> Vec<String> {
    let mut faults = Vec::new();
    let built: BTreeSet<_> = it.images.iter().map(|it| it.text("ref")).collect();
    let mut used = BTreeSet::new();
    for (name, workload) in workloads {
        for (first, container) in containers(workload) {
            let image = text(container, "/image").split(':').next().unwrap_or_default();
            used.insert(image);
            if image == versions::OURS && !built.contains(image) {
                faults.push(format!("{name}: nothing builds its image {image}"));
            }
            let updated = it
                .images
                .iter()
                .any(|it| it.text("ref") == image && !it.made("live_update").is_empty());
            if !updated {
                continue;
            }
            let is_service = !first && text(workload, "/kind") != "Job";
            let read_only = container.pointer("/securityContext/readOnlyRootFilesystem");
            if is_service && read_only == Some(&Value::Bool(true)) {
                faults.push(format!("{name}: live_update cannot write to a read-only root"));
            }
            if container.get("command").is_some() {
                faults.push(format!(
                    "{name}: its command replaces the one that starts programs again"
                ));
            }
        }
    }
    for image in &it.images {
        let name = image.text("ref");
        if !used.contains(name) {
            faults.push(format!("no workload uses the image {name}"));
        }
        faults.extend(image_faults(image, root).into_iter().map(|it| format!("{name}: {it}")));
    }
    faults
}

/// What is sent, what the Dockerfile takes of it, and what is updated are of one mind.
fn image_faults(image: &Call, root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    let (context, only) = (image.text("context"), image.texts("only"));
    if !context.starts_with("target/") {
        faults.push(format!(
            "an edit sends all of {context:?}: the context is no folder below target"
        ));
    }
    let path = image.text("dockerfile");
    let read = std::fs::read_to_string(root.join(path)).map_err(|error| error.to_string());
    let file = match read.and_then(|text| dockerfile::read(&text)) {
        Ok(file) => file,
        Err(error) => return vec![format!("the Dockerfile {path:?}: {error}")],
    };
    let Some(stage) = file.stages.last() else { return vec![format!("{path} has no stage")] };
    let mut owned = Vec::new();
    for step in stage.all("COPY") {
        let words: Vec<_> = step.text.split_whitespace().collect();
        let [sources @ .., place] = words.as_slice() else { continue };
        for source in sources.iter().filter(|it| !only.iter().any(|only| only == *it)) {
            faults.push(format!("{path} copies {source}, which only= does not send"));
        }
        if step.flag("--chown").is_some() {
            owned.push(*place);
        }
    }
    for (kind, arguments) in image.made("live_update") {
        let [from, to] = arguments.as_slice() else {
            if kind == "sync" {
                faults.push("sync needs two paths".to_owned());
            }
            continue;
        };
        match from.strip_prefix(context).map(|it| it.trim_start_matches('/')) {
            None => faults.push(format!("sync {from} is outside of the context {context}")),
            Some(file) if !only.iter().any(|it| it == file) => {
                faults.push(format!("sync {file} is not in only="));
            }
            Some(_) if !owned.contains(&to.as_str()) => {
                faults.push(format!("sync to {to}: no file that the image's user may write"));
            }
            Some(_) => {}
        }
    }
    let updates = image.made("live_update");
    if updates.iter().any(|(kind, _)| kind == "sync")
        && updates.last().is_none_or(|(kind, arguments)| {
            kind != "run" || !arguments.iter().any(|it| it == "kill -HUP 1")
        })
    {
        faults.push("after a live_update nothing starts the program again".to_owned());
    }
    faults
}

/// Every workload has its place, and comes after what it needs.
fn order(it: &Declared, workloads: &BTreeMap<&str, &Value>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for resource in &it.workloads {
        let name = resource.text("workload");
        if !workloads.contains_key(name) {
            faults.push(format!("k8s_resource {name:?} matches no workload"));
        }
        if resource.texts("labels").is_empty() {
            faults.push(format!("{name}: it is in no group"));
        }
        needs.insert(name.to_owned(), resource.texts("resource_deps"));
    }
    for resource in &it.local {
        let name = resource.text("name").to_owned();
        if resource.texts("labels").is_empty() {
            faults.push(format!("{name}: it is in no group"));
        }
        needs.insert(name, resource.texts("resource_deps"));
    }
    for (name, all) in &needs {
        for unknown in all.iter().filter(|it| !needs.contains_key(*it)) {
            faults.push(format!("{name}: resource_deps names {unknown:?}, which is no resource"));
        }
    }
    for (name, workload) in workloads {
        if !needs.contains_key(*name) {
            faults.push(format!("{name}: no k8s_resource gives it a place"));
            continue;
        }
        let before = before(name, &needs);
        if before.contains(*name) {
            faults.push(format!("{name} waits for itself"));
        }
        let ours = containers(workload)
            .iter()
            .any(|(_, it)| text(it, "/image").split(':').next() == Some(versions::OURS));
        let is_job = text(workload, "/kind") == "Job";
        let wanted = [(ours, "build"), (ours && !is_job, "migrate")];
        for (_, needed) in wanted.iter().filter(|(wanted, it)| *wanted && !before.contains(*it)) {
            faults.push(format!("{name}: it does not wait for {needed}"));
        }
    }
    faults
}

/// All that comes before a resource.
fn before(name: &str, needs: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = needs.get(name).cloned().unwrap_or_default();
    while let Some(one) = next.pop() {
        next.extend(
            needs.get(&one).filter(|_| !found.contains(&one)).into_iter().flatten().cloned(),
        );
        found.insert(one);
    }
    found
}

/// The ports of this machine that are forwarded.
fn forwarded(it: &Declared) -> BTreeSet<String> {
    let all = it.workloads.iter().flat_map(|it| it.texts("port_forwards"));
    all.filter_map(|it| it.split(':').next().map(str::to_owned)).collect()
}

fn ports(it: &Declared, workloads: &BTreeMap<&str, &Value>) -> Vec<String> {
    let mut faults = Vec::new();
    let here = forwarded(it);
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for resource in &it.workloads {
        let name = resource.text("workload");
        for forward in resource.texts("port_forwards") {
            let (here, there) = forward.split_once(':').unwrap_or((&forward, &forward));
            if let Some(other) = taken.insert(here.to_owned(), name.to_owned()) {
                faults.push(format!("{name}: the port {here} is {other}'s"));
            }
            let listens = workloads.get(name).is_some_and(|it| {
                let ports = containers(it).into_iter().filter_map(|(_, it)| it["ports"].as_array());
                let there = there.parse().ok();
                ports.flatten().any(|it| it["containerPort"].as_u64() == there)
            });
            if !listens {
                faults.push(format!("{name}: no container listens at {there}"));
            }
        }
        for (_, arguments) in resource.made("links") {
            let url = arguments.first().map(String::as_str).unwrap_or_default();
            if local_port(url).is_none_or(|it| !here.contains(it)) {
                faults.push(format!("{name}: the link {url} leads nowhere"));
            }
        }
    }
    faults
}

/// The port of a URL of this machine.
fn local_port(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("http://localhost:")?;
    rest.split(|it: char| !it.is_ascii_digit()).next()
}

fn local(it: &Declared, root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for resource in &it.local {
        let name = resource.text("name");
        for path in resource.texts("deps").iter().filter(|it| !root.join(it).exists()) {
            faults.push(format!("{name}: {path} is not in the repository"));
        }
        let command = resource.text("cmd");
        if resource.texts("deps").is_empty() && !resource.is_button() {
            faults.push(format!("{name}: it runs by itself, not when its button is pressed"));
        }
        let script = command.split(' ').next().unwrap_or_default();
        if script.contains('/') && !root.join(script).is_file() {
            faults.push(format!("{name}: there is no {script}"));
        }
    }
    faults
}

/// What buttons name is there.
fn commands(it: &Declared, workloads: &BTreeMap<&str, &Value>) -> Vec<String> {
    let mut faults = Vec::new();
    let namespaces: BTreeSet<_> =
        workloads.values().map(|it| text(it, "/metadata/namespace")).collect();
    let here = forwarded(it);
    for resource in &it.local {
        let command = resource.text("cmd");
        let mut say = |what: String| faults.push(format!("{}: {what}", resource.text("name")));
        if command.contains("kubectl") && !command.contains("--context ") {
            say("its kubectl works on whatever cluster is the current one".to_owned());
        }
        for (before, known) in [
            ("deployment/", workloads.keys().copied().collect()),
            ("tilt trigger ", workloads.keys().copied().collect()),
            ("--namespace ", namespaces.clone()),
        ] as [(&str, BTreeSet<&str>); 3]
        {
            for rest in command.split(before).skip(1) {
                let named = rest.split([' ', '\'', '"']).next().unwrap_or_default();
                if !known.contains(named) {
                    say(format!("there is no {before}{named}"));
                }
            }
        }
        if local_port(command).is_some_and(|it| !here.contains(it)) {
            say("the address that it asks is not forwarded".to_owned());
        }
    }
    faults
}

/// What every button of the fleet's own program is called with: `audit`, `rebuild customer`.
#[must_use]
pub fn program_calls(it: &Declared) -> Vec<String> {
    let commands = it.local.iter().map(|it| it.text("cmd").to_owned());
    let call = |it: String| it.split_once("/usr/local/bin/flotilla ").map(|(_, it)| it.to_owned());
    commands.filter_map(call).collect()
}
