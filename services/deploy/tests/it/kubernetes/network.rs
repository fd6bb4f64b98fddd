//! Who finds whom, and who may talk to whom.
use super::{
    references::servers,
    world::{Pod, Stage, World, list, name, selects, text},
};
use serde_json::{Value, json};

pub(crate) fn check(world: &World<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for it in world.of_kind("Service") {
        check_service(world, it, &mut wrong);
    }
    for it in world.of_kind("PodDisruptionBudget") {
        check_budget(world, it, &mut wrong);
    }
    for kind in ["Deployment", "StatefulSet"] {
        for it in world.of_kind(kind) {
            let labels = &it["spec"]["template"]["metadata"]["labels"];
            if !selects(&it["spec"]["selector"]["matchLabels"], labels) {
                wrong.push(format!("{}: its selector is not about its pods", name(it)));
            }
        }
    }
    for it in world.of_kind("HTTPRoute") {
        for backend in list(it, "/spec/rules").flat_map(|it| list(it, "/backendRefs")) {
            let (service, port) = (text(backend, "/name"), backend["port"].as_u64());
            let is_it = |it: &super::world::Service| it.name == service && Some(it.port) == port;
            if !world.services.iter().any(is_it) {
                wrong.push(format!("{}: there is no Service {service} with that port", name(it)));
            }
        }
    }
    for pod in world.pods() {
        let of = name(pod.workload);
        check_policies(world, &pod, &mut |what| wrong.push(format!("{of}: {what}")));
    }
    wrong
}

fn check_service(world: &World<'_>, service: &Value, wrong: &mut Vec<String>) {
    let of = text(service, "/metadata/name");
    for it in world.services.iter().filter(|it| it.name == of) {
        if it.behind.is_none() {
            let port = it.port;
            wrong.push(format!("Service {of}: behind its port {port} is no pod with such a port"));
        }
    }
}

fn check_budget(world: &World<'_>, budget: &Value, wrong: &mut Vec<String>) {
    let of = name(budget);
    let labels = &budget["spec"]["selector"]["matchLabels"];
    let pods = world.pods().into_iter().filter(|it| selects(labels, it.labels));
    let mut replicas =
        pods.map(|it| it.workload.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1));
    match replicas.next() {
        None => wrong.push(format!("{of}: it is about no pod")),
        Some(replicas) => {
            let keeps =
                budget.pointer("/spec/minAvailable").map(|it| it.as_u64().unwrap_or(u64::MAX));
            let allows = budget.pointer("/spec/maxUnavailable").and_then(Value::as_u64);
            if keeps.is_some_and(|it| it >= replicas) || allows.is_some_and(|it| it == 0) {
                wrong.push(format!("{of}: no node of {replicas} pods can be drained"));
            }
        }
    }
    if text(budget, "/spec/unhealthyPodEvictionPolicy") != "AlwaysAllow" {
        wrong.push(format!("{of}: a pod that is not ready holds up drains"));
    }
}

/// The two ways of a connection.
#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

impl Way {
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::In => ("Ingress", "ingress", "from"),
            Self::Out => ("Egress", "egress", "to"),
        }
    }
}

/// The policies that are about these pods, in one way.
fn policies<'a>(world: &World<'a>, labels: &Value, way: Way) -> Vec<&'a Value> {
    let is_about = |it: &&Value| {
        let selector = &it["spec"]["podSelector"];
        let all = selector.as_object().is_some_and(serde_json::Map::is_empty);
        (all || selects(&selector["matchLabels"], labels))
            && list(it, "/spec/policyTypes").any(|it| it == way.words().0)
    };
    world.of_kind("NetworkPolicy").filter(is_about).collect()
}

/// Whether a policy lets these pods talk to (or be talked to by) those with the other labels.
fn allows(policy: &Value, way: Way, other: &Value, protocol: &str, port: &[Value]) -> bool {
    let (_, rules, peers) = way.words();
    list(policy, &format!("/spec/{rules}")).any(|rule| {
        let peer = rule.get(peers).is_none()
            || list(rule, &format!("/{peers}")).any(|it| {
                let pods = &it["podSelector"];
                // Where a namespace is chosen by its name, nobody here is meant.
                let here = it["namespaceSelector"].get("matchLabels").is_none();
                here && (pods.is_null() || selects(&pods["matchLabels"], other))
            });
        let through = rule.get("ports").is_none()
            || list(rule, "/ports").any(|it| {
                let of = it["protocol"].as_str().unwrap_or("TCP");
                of == protocol && port.contains(&it["port"])
            });
        peer && through
    })
}

fn check_policies(world: &World<'_>, pod: &Pod<'_>, say: &mut dyn FnMut(String)) {
    let out = policies(world, pod.labels, Way::Out);
    let is_ours = text(pod.labels, "/app.kubernetes.io~1part-of") == "flotilla";
    for way in [Way::In, Way::Out] {
        if is_ours && policies(world, pod.labels, way).is_empty() {
            say(format!("no NetworkPolicy limits its {}", way.words().0));
        }
    }
    if is_ours
        && world.stage == Stage::Production
        && out.iter().any(|it| list(it, "/spec/egress").any(is_open))
    {
        say("a NetworkPolicy lets it talk to everybody".into());
    }
    let names = json!({"k8s-app": "kube-dns"});
    for protocol in ["UDP", "TCP"] {
        let allowed = |it: &&Value| allows(it, Way::Out, &names, protocol, &[53.into()]);
        if !out.is_empty() && !out.iter().any(allowed) {
            say(format!("it may not look up names by {protocol}"));
        }
    }
    for (host, port) in wanted(world, pod) {
        let service = world.services.iter().find(|it| it.name == host && it.port == port);
        let Some((labels, port)) = service.and_then(|it| it.behind.clone()) else { continue };
        let to = [json!(port)];
        if !out.is_empty() && !out.iter().any(|it| allows(it, Way::Out, &labels, "TCP", &to)) {
            say(format!("no NetworkPolicy lets it talk to {host}:{port}"));
        }
        let guards = policies(world, &labels, Way::In);
        if !guards.is_empty()
            && !guards.iter().any(|it| allows(it, Way::In, pod.labels, "TCP", &to))
        {
            say(format!("{host}:{port} does not let it in"));
        }
    }
    check_ways_in(world, pod, say);
}

fn is_open(rule: &Value) -> bool {
    rule.get("to").is_none()
}

/// The servers that its variables name.
fn wanted(world: &World<'_>, pod: &Pod<'_>) -> Vec<(String, u64)> {
    let mut wanted = Vec::new();
    for container in list(pod.spec, "/initContainers").chain(list(pod.spec, "/containers")) {
        for map in list(container, "/envFrom") {
            let map = world.find("ConfigMap", text(map, "/configMapRef/name"));
            let data = map.and_then(|it| it["data"].as_object()).into_iter().flatten();
            wanted.extend(data.flat_map(|(key, it)| servers(key, it.as_str().unwrap_or_default())));
        }
        let env = list(container, "/env");
        wanted.extend(env.flat_map(|it| servers(text(it, "/name"), text(it, "/value"))));
    }
    wanted
}

/// What a Service sends to a pod is let in.
fn check_ways_in(world: &World<'_>, pod: &Pod<'_>, say: &mut dyn FnMut(String)) {
    let guards = policies(world, pod.labels, Way::In);
    if guards.is_empty() || text(pod.labels, "/app.kubernetes.io~1part-of") != "flotilla" {
        return;
    }
    for service in world.of_kind("Service") {
        let has_address = text(service, "/spec/clusterIP") != "None";
        if !has_address || !selects(&service["spec"]["selector"], pod.labels) {
            continue;
        }
        for port in list(service, "/spec/ports") {
            let target = port.get("targetPort").unwrap_or(&port["port"]).clone();
            // Whoever stands in front of it may be anybody.
            let anybody = json!({});
            let lets_in =
                |it: &&Value| allows(it, Way::In, &anybody, "TCP", std::slice::from_ref(&target));
            if !guards.iter().any(lets_in) {
                say(format!("requests of {} are not let in", name(service)));
            }
        }
    }
}
