//! What operators are asked for: topics, users, copies, autoscaling, alerts.
use super::world::{Stage, World, list, name, text};
use deploy::kubernetes::{programs, topics};
use serde_json::Value;

pub(crate) fn check(world: &World<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let partitions = partitions(world);
    for it in world.of_kind("ScaledObject") {
        let of = name(it);
        check_scaling(world, it, partitions, &mut |what| wrong.push(format!("{of}: {what}")));
    }
    for it in world.of_kind("TriggerAuthentication") {
        check_authentication(world, it, &mut wrong);
    }
    check_kafka(world, partitions, &mut wrong);
    for it in world.of_kind("Cluster") {
        check_postgres(world, it, &mut wrong);
    }
    for it in world.of_kind("PrometheusRule") {
        for rule in list(it, "/spec/groups").flat_map(|it| list(it, "/rules")) {
            check_query(&name(it), text(rule, "/expr"), &mut wrong);
        }
    }
    for it in world.of_kind("PodMonitor") {
        let mut ports = list(it, "/spec/podMetricsEndpoints").map(|it| text(it, "/port"));
        let has = |port: &str| {
            let mut containers =
                world.pods().into_iter().flat_map(|it| list(it.spec, "/containers"));
            containers.any(|it| list(it, "/ports").any(|it| text(it, "/name") == port))
        };
        if !ports.all(has) {
            wrong.push(format!("{}: no container has such a port", name(it)));
        }
    }
    wrong
}

/// What the programs are told.
fn partitions(world: &World<'_>) -> i64 {
    let told = programs(world.objects)
        .into_iter()
        .find_map(|it| it.env.get("FLOTILLA_PARTITIONS").cloned().flatten()?.parse::<i64>().ok());
    told.unwrap_or_default()
}

fn check_query(of: &str, query: &str, wrong: &mut Vec<String>) {
    if let Err(error) = deploy::promql::Query::read(query) {
        wrong.push(format!("{of}: {query:?} is no PromQL: {error}"));
    }
}

fn check_scaling(world: &World<'_>, it: &Value, partitions: i64, say: &mut dyn FnMut(String)) {
    let target = text(it, "/spec/scaleTargetRef/name");
    match world.find("Deployment", target) {
        None => say(format!("there is no Deployment {target:?}")),
        Some(it) if it.pointer("/spec/replicas").is_some() => {
            say(format!("{target} has spec.replicas: each apply would undo what it does"));
        }
        Some(_) => {}
    }
    let number = |field: &str| it.pointer(&format!("/spec/{field}")).and_then(Value::as_i64);
    if number("minReplicaCount").is_none_or(|it| it < 1) {
        say("it may leave nobody to work".into());
    }
    let max = number("maxReplicaCount").unwrap_or(100);
    if max > partitions {
        say(format!("{max} pods share {partitions} partitions"));
    }
    if text(it, "/spec/fallback/behavior") != "currentReplicasIfHigher" {
        say("without figures it would take pods away".into());
    }
    let behavior = "/spec/advanced/horizontalPodAutoscalerConfig/behavior";
    if it.pointer(&format!("{behavior}/scaleDown/stabilizationWindowSeconds")) != Some(&600.into())
    {
        say("it takes pods away at once".into());
    }
    for trigger in list(it, "/spec/triggers") {
        let metadata = &trigger["metadata"];
        match text(trigger, "/type") {
            "prometheus" => {
                let mut wrong = Vec::new();
                check_query("its trigger", text(metadata, "/query"), &mut wrong);
                wrong.into_iter().for_each(&mut *say);
            }
            "kafka" => {
                if text(metadata, "/offsetResetPolicy") != "earliest" {
                    say("a group that is new would look as if it had read everything".into());
                }
                let topic = text(metadata, "/topic");
                let known = topics(world.objects);
                if !known.is_empty() && !known.iter().any(|it| it.name == topic) {
                    say(format!("there is no KafkaTopic {topic}"));
                }
                let group = text(metadata, "/consumerGroup");
                let reads = |user: &Value| may(user, "group", group, "Read");
                if !known.is_empty() && !world.of_kind("KafkaUser").any(reads) {
                    say(format!("nobody may join the group {group}"));
                }
                let authentication = text(trigger, "/authenticationRef/name");
                if world.find("TriggerAuthentication", authentication).is_none() {
                    say(format!("there is no TriggerAuthentication {authentication}"));
                }
            }
            other => say(format!("the trigger {other} is not known here")),
        }
    }
}

fn check_authentication(world: &World<'_>, it: &Value, wrong: &mut Vec<String>) {
    for from in list(it, "/spec/secretTargetRef") {
        let keys = world.secrets.get(text(from, "/name"));
        if !keys.is_some_and(|it| it.contains(text(from, "/key"))) {
            wrong.push(format!("{}: {from} is in no Secret", name(it)));
        }
    }
    for from in list(it, "/spec/configMapTargetRef") {
        let map = world.find("ConfigMap", text(from, "/name"));
        let value = map.map(|it| text(&it["data"], &format!("/{}", text(from, "/key"))));
        let user = value.filter(|it| !it.is_empty());
        match user {
            None => wrong.push(format!("{}: {from} is in no ConfigMap", name(it))),
            Some(user) if !world.secrets.contains_key(user) => {
                wrong.push(format!("{}: there is no user {user}", name(it)));
            }
            Some(_) => {}
        }
    }
}

/// Whether a user may do something to a topic or a group.
pub(crate) fn may(user: &Value, kind: &str, of: &str, operation: &str) -> bool {
    let about = |acl: &Value| {
        let name = text(acl, "/resource/name");
        let is_prefix = text(acl, "/resource/patternType") == "prefix";
        text(acl, "/resource/type") == kind
            && (name == of || is_prefix && of.starts_with(name))
            && list(acl, "/operations").any(|it| it == operation || it == "All")
    };
    let mut acls = list(user, "/spec/authorization/acls").filter(|it| about(it)).peekable();
    acls.peek().is_some() && acls.all(|it| text(it, "/type") != "deny")
}

fn check_kafka(world: &World<'_>, partitions: i64, wrong: &mut Vec<String>) {
    let topics = topics(world.objects);
    for it in &topics {
        let copies = it.settings.get("min.insync.replicas").map(String::as_str);
        if it.partitions != partitions {
            wrong.push(format!("KafkaTopic {}: not {partitions} partitions", it.name));
        }
        if it.replicas != 3 || copies != Some("2") {
            wrong.push(format!("KafkaTopic {}: not three copies, two of them in step", it.name));
        }
    }
    for kind in ["KafkaTopic", "KafkaUser", "KafkaNodePool"] {
        for it in world.of_kind(kind) {
            let cluster = text(it, "/metadata/labels/strimzi.io~1cluster");
            if world.find("Kafka", cluster).is_none() {
                wrong.push(format!("{}: there is no Kafka {cluster:?}", name(it)));
            }
        }
    }
    for user in world.of_kind("KafkaUser") {
        for acl in list(user, "/spec/authorization/acls") {
            let topic = text(acl, "/resource/name");
            let is_prefix = text(acl, "/resource/patternType") == "prefix";
            let is_it = |it: &str| it == topic || is_prefix && it.starts_with(topic);
            if text(acl, "/resource/type") == "topic" && !topics.iter().any(|it| is_it(&it.name)) {
                wrong.push(format!("{}: there is no topic {topic}", name(user)));
            }
            if list(acl, "/operations").any(|it| it == "All" || it == "Delete" || it == "Alter") {
                wrong.push(format!("{}: may do more than it needs to {topic}", name(user)));
            }
        }
    }
    for kafka in world.of_kind("Kafka") {
        for listener in list(kafka, "/spec/kafka/listeners") {
            if listener["tls"] != true || text(listener, "/authentication/type").is_empty() {
                wrong.push(format!("{}: a listener lets in anybody", name(kafka)));
            }
        }
        if text(kafka, "/spec/kafka/authorization/type") != "simple" {
            wrong.push(format!("{}: everybody may do everything", name(kafka)));
        }
        let brokers = world
            .of_kind("KafkaNodePool")
            .filter(|it| list(it, "/spec/roles").any(|it| it == "broker"));
        let brokers: i64 = brokers.filter_map(|it| it["spec"]["replicas"].as_i64()).sum();
        let config = &kafka["spec"]["kafka"]["config"];
        if brokers < 3
            || config["default.replication.factor"] != 3
            || config["min.insync.replicas"] != 2
        {
            wrong.push(format!("{}: not three brokers, two of them in step", name(kafka)));
        }
    }
}

fn check_postgres(world: &World<'_>, it: &Value, wrong: &mut Vec<String>) {
    let of = name(it);
    for role in list(it, "/spec/managed/roles") {
        let secret = text(role, "/passwordSecret/name");
        let keys = world.secrets.get(secret);
        if !keys.is_some_and(|it| it.contains("username") && it.contains("password")) {
            wrong.push(format!("{of}: the role {} has no Secret", text(role, "/name")));
        }
        for right in ["superuser", "createrole", "createdb", "replication", "bypassrls"] {
            if role.get(right).is_some_and(|it| *it != false) {
                wrong.push(format!("{of}: the role {} is a {right}", text(role, "/name")));
            }
        }
    }
    if world.stage == Stage::Production
        && (it["spec"]["instances"].as_u64() < Some(3)
            || text(it, "/spec/postgresql/synchronous/dataDurability") != "required")
    {
        wrong.push(format!("{of}: a commit may be lost with one server"));
    }
}
