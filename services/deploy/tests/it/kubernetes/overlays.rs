//! Every overlay, every choice of components, and what each patch is for.
use super::{
    check,
    operators::may,
    world::{Outside, Stage, World, list, text},
};
use deploy::{
    kubernetes::{Program, overlay, overlays, programs, topics},
    kustomize::{Files, render},
};
use serde_json::Value;

pub(crate) fn stage(overlay: &str) -> Stage {
    if overlay == "local" { Stage::Local } else { Stage::Production }
}

fn rendered(name: &str) -> Vec<Value> {
    overlay(&Files::of_the_repository(), name).unwrap()
}

#[test]
fn nothing_is_wrong_with_any_overlay() {
    let names = overlays(&Files::of_the_repository()).unwrap();
    assert_eq!(names, ["local", "production"]);
    for name in names {
        let wrong = check(&rendered(&name), stage(&name), &Outside::default());
        assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
    }
}

/// Servers of somebody else's bring these.
const OF_KAFKA: (&[&str], &str, u64) = (
    &["customers-handler", "customers-aggregator", "bff", "migrate", "keda"],
    "fleet-kafka-kafka-bootstrap",
    9093,
);

fn outside(left_out: &[&str]) -> Outside {
    let mut outside = Outside::default();
    if left_out.contains(&"kafka-strimzi") {
        let (users, host, port) = OF_KAFKA;
        outside.secrets.extend(users.iter().map(|it| (*it, &["password"][..])));
        outside.secrets.push(("fleet-kafka-cluster-ca-cert", &["ca.crt"]));
        outside.services.push((host, port));
    }
    if left_out.contains(&"postgres-cnpg") {
        outside.secrets.push(("fleet-db-app", &["username", "password", "uri"]));
        outside.secrets.push(("fleet-db-ca", &["ca.crt"]));
        outside.services.push(("fleet-db-rw", 5432));
    }
    outside
}

/// External Kafka, external Postgres, no autoscaler, no operator for metrics, and so on, in every combination.
#[test]
fn nothing_is_wrong_with_any_choice_of_components() {
    let optional = [
        "kafka-strimzi",
        "postgres-cnpg",
        "keda",
        "monitoring-operator",
        "ingress",
        "network-policies",
    ];
    let file = "k8s/overlays/production/kustomization.yaml";
    let files = Files::of_the_repository();
    let text = files.read(file).unwrap();
    for choice in 0..1_u32 << optional.len() {
        let is_left_out = |(index, _): &(usize, &&str)| choice & (1 << index) != 0;
        let left_out: Vec<&str> =
            optional.iter().enumerate().filter(is_left_out).map(|it| *it.1).collect();
        let mut text = text.clone();
        for it in &left_out {
            let line = format!("  - ../../components/{it}\n");
            assert!(text.contains(&line), "{file} has no {it}");
            text = text.replace(&line, "");
        }
        let objects = render(&files.clone().with(file, text), "k8s/overlays/production").unwrap();
        let wrong = check(&objects, Stage::Production, &outside(&left_out));
        assert!(wrong.is_empty(), "without {left_out:?}:\n{}", wrong.join("\n"));
    }
}

/// The argument why types of one release are enough holds for these only.
#[test]
fn kubernetes_own_types_are_of_stable_versions() {
    for name in ["local", "production"] {
        for object in rendered(name) {
            let version = text(&object, "/apiVersion");
            let group = version.split('/').next().unwrap_or_default();
            let is_its_own = !group.contains('.') || group.ends_with(".k8s.io");
            assert!(!is_its_own || version.ends_with("v1"), "{version}");
        }
    }
}

fn env<'a>(program: &'a Program, key: &str) -> &'a str {
    program.env.get(key).and_then(Option::as_deref).unwrap_or_default()
}

/// Each program talks to Kafka by TLS as itself, to Postgres in a role of its own, and finds its passwords in files.
#[test]
fn in_production_every_program_is_somebody_of_its_own() {
    let objects = rendered("production");
    let programs = programs(&objects);
    assert_eq!(programs.len(), 7, "three services, each with what waits before it, and the Job");
    for it in &programs {
        let service = it.workload.split(' ').nth(1).unwrap();
        let user = if service.starts_with("migrate") { "migrate" } else { service };
        let role = if user == "migrate" { "flotilla".to_owned() } else { user.replace('-', "_") };
        assert_eq!(env(it, "KAFKA_SECURITY_PROTOCOL"), "sasl_ssl", "{it:?}");
        assert_eq!(env(it, "KAFKA_SASL_MECHANISM"), "SCRAM-SHA-512", "{it:?}");
        assert_eq!(env(it, "KAFKA_SASL_USERNAME"), user, "{it:?}");
        assert!(env(it, "DATABASE_URL").starts_with(&format!("postgres://{role}@")), "{it:?}");
        assert_eq!(env(it, "FLOTILLA_REPLICATION"), "3", "{it:?}");
        for file in ["KAFKA_SASL_PASSWORD_FILE", "KAFKA_CA_FILE", "DATABASE_PASSWORD_FILE"] {
            assert!(env(it, file).starts_with("/run/credentials/"), "{file} of {it:?}");
        }
    }
    let bff = programs.iter().find(|it| it.container == "bff").unwrap();
    assert!(!env(bff, "FLOTILLA_GRAPHQL_OPERATOR_TOKEN_FILE").is_empty());
}

/// What each service does in `services/shell/src/kafka`, and what it must not be able to do.
#[test]
fn users_of_kafka_may_do_what_they_need_and_no_more() {
    let objects = rendered("production");
    let world = World::new(&objects, Stage::Production, &Outside::default());
    let can = |user: &str, kind: &str, of: &str, operation: &str| {
        may(world.find("KafkaUser", user).unwrap(), kind, of, operation)
    };
    let (commands, events, replies) = ("customers.commands", "customers.events", "replies");
    let group_of_a_view = "customers.customer.0123456789abcdef.1";
    for (user, operation, topics) in [
        ("customers-handler", "Read", vec![commands, events]),
        ("customers-handler", "Write", vec![events, replies]),
        ("customers-aggregator", "Read", vec![events]),
        ("customers-aggregator", "Write", vec![commands]),
        ("bff", "Read", vec![replies]),
        ("bff", "Write", vec![commands]),
        ("migrate", "Read", vec![]),
        ("migrate", "Write", vec![]),
        ("keda", "Read", vec![]),
        ("keda", "Write", vec![]),
    ] {
        for topic in [commands, events, replies] {
            let expected = topics.contains(&topic);
            assert_eq!(
                can(user, "topic", topic, operation),
                expected,
                "{user}: {operation} {topic}"
            );
        }
    }
    // Each looks whether the topics are as they must be.
    for user in ["customers-handler", "customers-aggregator", "bff", "migrate"] {
        for topic in [commands, events, replies] {
            assert!(can(user, "topic", topic, "Describe"), "{user}: {topic}");
            assert!(can(user, "topic", topic, "DescribeConfigs"), "{user}: {topic}");
        }
    }
    assert!(can("customers-handler", "group", "customers.handler", "Read"));
    assert!(!can("customers-handler", "group", group_of_a_view, "Read"));
    assert!(can("customers-aggregator", "group", group_of_a_view, "Read"));
    assert!(!can("customers-aggregator", "group", "customers.handler", "Read"));
    assert!(!can("bff", "group", group_of_a_view, "Read"));
    assert!(can("keda", "group", "customers.handler", "Describe"));
    for (user, group) in [
        ("customers-handler", "flotilla-asker"),
        ("customers-aggregator", "flotilla-asker"),
        ("bff", "flotilla-replies"),
    ] {
        assert!(can(user, "group", group, "Describe"), "{user}: {group}");
    }
}

#[test]
fn there_are_three_topics_for_life() {
    let topics = topics(&rendered("production"));
    let names: Vec<&str> = topics.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["customers.commands", "customers.events", "replies"]);
    let kept = |index: usize| topics[index].settings["retention.ms"].as_str();
    assert_eq!(kept(1), "-1", "events are kept for ever");
    assert_eq!(topics[1].settings["cleanup.policy"], "delete");
}

/// The Job of a release has its name, so that the next one is another Job.
#[test]
fn the_job_is_named_after_the_release() {
    let objects = rendered("production");
    let programs = programs(&objects);
    let job = programs.iter().find(|it| it.workload.starts_with("Job ")).unwrap();
    let images: Vec<&str> = objects
        .iter()
        .flat_map(|it| list(it, "/spec/template/spec/containers"))
        .map(|it| text(it, "/image"))
        .filter(|it| it.contains("/flotilla:"))
        .collect();
    assert_eq!(images.len(), 4);
    let tag = images[0].rsplit(':').next().unwrap();
    assert!(images.iter().all(|it| *it == images[0]), "{images:?}");
    assert_eq!(job.workload, format!("Job migrate-{}", tag.replace('.', "-")));
    assert_eq!(job.args, ["migrate"]);
}

#[test]
fn production_has_more_than_one_of_what_is_asked_by_others() {
    let objects = rendered("production");
    let replicas = |of: &str| {
        let is_it =
            |it: &&Value| text(it, "/kind") == "Deployment" && text(it, "/metadata/name") == of;
        objects.iter().find(is_it).unwrap()["spec"]["replicas"].as_u64()
    };
    assert_eq!((replicas("bff"), replicas("registry")), (Some(3), Some(2)));
    // These are the autoscaler's.
    assert_eq!((replicas("customers-handler"), replicas("customers-aggregator")), (None, None));
}

/// Small, alone, and drained without waiting.
#[test]
fn local_is_for_one_machine() {
    let objects = rendered("local");
    for object in &objects {
        let kind = text(object, "/kind");
        assert_ne!(kind, "PodDisruptionBudget");
        assert!(object.pointer("/spec/replicas").is_none_or(|it| *it == 1), "{object}");
        let group = text(object, "/apiVersion").split('/').next().unwrap_or_default();
        assert!(
            !group.contains('.') || group.ends_with(".k8s.io"),
            "no operator is there for {kind}"
        );
    }
    let programs = programs(&objects);
    assert_eq!(programs.len(), 7);
    for it in &programs {
        assert!(it.env.contains_key("DATABASE_URL"), "{it:?}");
        assert_eq!(env(it, "KAFKA_SECURITY_PROTOCOL"), "", "{it:?}");
    }
    let job = objects.iter().find(|it| text(it, "/kind") == "Job").unwrap();
    assert!(
        job.pointer("/spec/ttlSecondsAfterFinished").is_some(),
        "it could not be applied again"
    );
    // What `tilt up` writes to.
    let bff = objects.iter().find(|it| text(it, "/kind") == "Deployment").unwrap();
    let root = "/spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem";
    assert_eq!(bff.pointer(root), Some(&false.into()));
}

/// The same server has the same version everywhere.
#[test]
fn images_are_those_of_docker_compose() {
    let Ok(compose) = Files::of_the_repository().read("docker-compose.yml") else { return };
    let lines = compose.lines().filter_map(|it| it.trim().strip_prefix("image: "));
    let known: Vec<(&str, &str)> =
        lines.filter_map(|it| it.trim_matches('"').rsplit_once(':')).collect();
    for name in ["local", "production"] {
        for object in rendered(name) {
            for container in list(&object, "/spec/template/spec/containers") {
                let Some((image, tag)) = text(container, "/image").rsplit_once(':') else {
                    continue;
                };
                let Some((_, expected)) = known.iter().find(|it| it.0 == image) else { continue };
                assert_eq!(tag, *expected, "{image}");
            }
        }
    }
}
