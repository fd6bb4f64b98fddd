//! Pods: without privilege, with limits, with probes that ask the right thing, and stopped in good order.
use super::world::{Pod, Stage, World, list, name, selects, text};
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn check(world: &World<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for pod in world.pods() {
        let of = name(pod.workload);
        let mut say = |what: String| wrong.push(format!("{of}: {what}"));
        check_pod(world, &pod, &mut say);
        for (key, is_init) in [("/initContainers", true), ("/containers", false)] {
            for container in list(pod.spec, key) {
                let of = text(container, "/name").to_owned();
                let mut say = |what: String| say(format!("container {of}: {what}"));
                check_container(world, container, &mut say);
                let is_job = text(pod.workload, "/kind") == "Job";
                if !is_init && !is_job {
                    check_probes(&pod, container, &mut say);
                }
            }
        }
    }
    wrong
}

fn check_pod(world: &World<'_>, pod: &Pod<'_>, say: &mut dyn FnMut(String)) {
    let spec = pod.spec;
    let kind = text(pod.workload, "/kind");
    if spec.pointer("/securityContext/runAsNonRoot") != Some(&true.into()) {
        say("runAsNonRoot is not true".into());
    }
    if text(spec, "/securityContext/seccompProfile/type") != "RuntimeDefault" {
        say("there is no seccomp profile".into());
    }
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        if spec.get(host).is_some() {
            say(format!("{host} is set"));
        }
    }
    if list(spec, "/volumes").any(|it| it.get("hostPath").is_some()) {
        say("a volume is the node's".into());
    }
    for field in ["automountServiceAccountToken", "enableServiceLinks"] {
        if spec.get(field) != Some(&false.into()) {
            say(format!("{field} is not false"));
        }
    }
    let restart = text(spec, "/restartPolicy");
    let allowed: &[&str] = if kind == "Job" { &["OnFailure", "Never"] } else { &["", "Always"] };
    if !allowed.contains(&restart) {
        say(format!("restartPolicy {restart:?} is not for a {kind}"));
    }
    let grace = spec.get("terminationGracePeriodSeconds").map_or(Some(30), Value::as_u64);
    let sleep = list(spec, "/containers")
        .filter_map(|it| it.pointer("/lifecycle/preStop/sleep/seconds")?.as_u64())
        .max();
    match grace {
        None => say("terminationGracePeriodSeconds is no natural number".into()),
        Some(grace) if grace < sleep.unwrap_or(0) + DRAIN_SECONDS => {
            say(format!("{grace} s to stop are too few for preStop and {DRAIN_SECONDS} s"));
        }
        Some(_) => {}
    }
    if kind == "Deployment" {
        check_deployment(world, pod, sleep, say);
    }
}

fn check_deployment(
    world: &World<'_>,
    pod: &Pod<'_>,
    sleep: Option<u64>,
    say: &mut dyn FnMut(String),
) {
    let account = text(pod.spec, "/serviceAccountName");
    match world.find("ServiceAccount", account) {
        Some(it) if it["automountServiceAccountToken"] == false => {}
        Some(_) => say(format!("the ServiceAccount {account} hands out its token")),
        None => say(format!("there is no ServiceAccount {account:?}")),
    }
    if text(pod.workload, "/spec/strategy/type") == "Recreate"
        || pod.workload.pointer("/spec/strategy/rollingUpdate/maxUnavailable") != Some(&0.into())
    {
        say("a roll-out takes pods away before others are ready".into());
    }
    if world.stage == Stage::Production {
        // Through one without an address nobody sends requests.
        let is_served = world.of_kind("Service").any(|it| {
            selects(&it["spec"]["selector"], pod.labels) && text(it, "/spec/clusterIP") != "None"
        });
        if is_served && sleep.is_none() {
            say("a Service sends requests to it, and it has no preStop".into());
        }
        if list(pod.spec, "/topologySpreadConstraints").next().is_none() {
            say("its pods may all be on one node".into());
        }
        let is_guarded = |it: &Value| selects(&it["spec"]["selector"]["matchLabels"], pod.labels);
        if !world.of_kind("PodDisruptionBudget").any(is_guarded) {
            say("there is no PodDisruptionBudget for it".into());
        }
    }
    let labels = &pod.workload["spec"]["selector"]["matchLabels"];
    let same = |it: &Value| it["labelSelector"]["matchLabels"] == *labels;
    if !list(pod.spec, "/topologySpreadConstraints").all(same) {
        say("it is spread among other pods".into());
    }
    if is_ours(pod.spec) {
        let waits = list(pod.spec, "/initContainers")
            .any(|it| it["args"] == serde_json::json!(["migrate", "--wait"]));
        if !waits {
            say("it does not wait for the migration".into());
        }
    }
}

fn check_container(world: &World<'_>, container: &Value, say: &mut dyn FnMut(String)) {
    let security = &container["securityContext"];
    if security["allowPrivilegeEscalation"] != false
        || security["capabilities"]["drop"] != serde_json::json!(["ALL"])
        || security["capabilities"].get("add").is_some()
        || security.get("privileged").is_some_and(|it| *it != false)
        || security.get("runAsUser").is_some_and(|it| *it == 0)
    {
        say("has privileges".into());
    }
    let image = text(container, "/image");
    let is_ours = is_flotilla(image);
    let tag = image.rsplit('/').next().and_then(|it| it.split_once([':', '@']));
    match tag {
        Some((_, tag)) if !tag.is_empty() && tag != "latest" => {}
        _ => say(format!("the image {image:?} has no version")),
    }
    if is_ours
        && world.stage == Stage::Production
        && (security["readOnlyRootFilesystem"] != true || !image.contains('/'))
    {
        say("its files can be written to, or its image comes from nowhere".into());
    }
    check_resources(&container["resources"], say);
    let mut names = BTreeSet::new();
    for it in list(container, "/env") {
        if !names.insert(text(it, "/name")) {
            say(format!("the variable {} is set twice", text(it, "/name")));
        }
    }
    for port in list(container, "/ports") {
        if port.get("hostPort").is_some() {
            say("takes a port of the node".into());
        }
    }
}

fn check_resources(resources: &Value, say: &mut dyn FnMut(String)) {
    let mut read = |pointer: &str| {
        let quantity = resources.pointer(pointer)?;
        let number = quantity.as_str().and_then(amount);
        if number.is_none() {
            say(format!("{pointer} {quantity} is no quantity"));
        }
        number
    };
    let (cpu, request, limit) =
        (read("/requests/cpu"), read("/requests/memory"), read("/limits/memory"));
    if limit.is_none() {
        say("has no limit of memory".into());
    }
    if cpu.is_none() || request.is_none() || request > limit {
        say("requests nothing, or more than its limit".into());
    }
    if resources.pointer("/limits/cpu").is_some() {
        say("has a limit of processor time, which only makes it slow".into());
    }
}

/// A quantity as a number: `128Mi`, `100m`, `2`.
pub(crate) fn amount(quantity: &str) -> Option<f64> {
    let end = quantity.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(end);
    let factor = match suffix {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

fn check_probes(pod: &Pod<'_>, container: &Value, say: &mut dyn FnMut(String)) {
    let ports: BTreeSet<&str> = list(container, "/ports").map(|it| text(it, "/name")).collect();
    let is_deployment = text(pod.workload, "/kind") == "Deployment";
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let Some(it) = container.get(probe) else {
            // Development servers that say nothing wrong are left alone.
            if is_deployment || probe != "livenessProbe" {
                say(format!("has no {probe}"));
            }
            continue;
        };
        for way in ["httpGet", "tcpSocket"] {
            if let Some(port) = it.pointer(&format!("/{way}/port"))
                && !port.as_str().is_some_and(|it| ports.contains(it))
            {
                say(format!("{probe} asks the port {port}, which it does not have"));
            }
        }
        let expected = if probe == "readinessProbe" { "/ready" } else { "/live" };
        if is_flotilla(text(container, "/image")) && text(it, "/httpGet/path") != expected {
            say(format!("{probe} does not ask {expected}"));
        }
    }
}

/// Whether an image is the fleet's.
fn is_flotilla(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split([':', '@']).next() == Some(deploy::kubernetes::IMAGE)
}

fn is_ours(spec: &Value) -> bool {
    list(spec, "/containers").any(|it| is_flotilla(text(it, "/image")))
}

/// What finishing takes, with room.
const DRAIN_SECONDS: u64 = 10;
