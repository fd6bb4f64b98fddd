//! `docker compose up`, checked without Docker.
use deploy::compose::{self, Compose};
use std::path::PathBuf;

/// The fleet's services, as `flotilla services` lists them.
pub(crate) const SERVICES: [&str; 3] = ["customers-handler", "customers-aggregator", "bff"];

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text() -> String {
    std::fs::read_to_string(root().join("docker-compose.yml")).unwrap()
}

pub(crate) fn file() -> Compose {
    compose::read(&text(), &|_| None).unwrap()
}

fn faults(text: &str) -> Vec<String> {
    match compose::read(text, &|_| None) {
        Ok(compose) => compose::faults(&compose, &root(), &SERVICES),
        Err(error) => vec![error],
    }
}

#[test]
fn nothing_is_wrong_with_it() {
    assert_eq!(faults(&text()), Vec::<String>::new());
}

#[test]
fn anchors_merge_keys_and_variables_are_resolved() {
    let variable = |name: &str| (name == "FLOTILLA_HTTP_PORT").then(|| "9999".to_owned());
    let it = compose::read(&text(), &variable).unwrap();
    let bff = &it.services["bff"];
    assert_eq!(bff.image, "flotilla:development");
    assert_eq!(bff.cap_drop, ["ALL"], "by a merge key of a merge key");
    assert_eq!(bff.ports, ["127.0.0.1:9999:8080"]);
    assert_eq!(bff.environment["KAFKA_BROKERS"].as_deref(), Some("kafka:9092"));
    assert_eq!(bff.environment["FLOTILLA_GRAPHQL_OPERATOR_TOKEN"], None);
    assert_eq!(it.services["customers-handler"].mem_limit.as_deref(), Some("384m"));
    assert_eq!(it.services["customers-aggregator"].mem_limit.as_deref(), Some("256m"));
}

#[test]
fn a_port_is_changed_by_its_variable_and_both_sides_follow() {
    let variable = |name: &str| (name == "FLOTILLA_KAFKA_PORT").then(|| "19099".to_owned());
    let it = compose::read(&text(), &variable).unwrap();
    assert_eq!(compose::faults(&it, &root(), &SERVICES), Vec::<String>::new());
    let advertised = it.services["kafka"].environment["KAFKA_ADVERTISED_LISTENERS"].clone();
    assert!(advertised.unwrap().ends_with("localhost:19099"));
}

#[test]
fn the_broker_is_set_up_like_that_of_the_development_stack() {
    let source = root().join("services/fleet/src/stack/kafka.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let environment = &file().services["kafka"].environment;
    // What depends on the machine, not on what the fleet expects of its broker.
    let size = ["num.partitions", "cleaner", "index.size", "max.idle"];
    let wanted = ["auto.", "group.", "offsets.", "share.", "transaction."];
    let lines = source.lines().filter_map(|it| it.split_once('='));
    let lines = lines.filter(|(name, value)| {
        wanted.iter().any(|it| name.starts_with(it))
            && !size.iter().any(|it| name.contains(it))
            && !name.contains(' ')
            && *name != "group.coordinator.threads"
            && *name != "share.coordinator.threads"
            && !value.contains('{')
    });
    let mut compared = 0;
    for (name, value) in lines {
        let variable = format!("KAFKA_{}", name.to_uppercase().replace('.', "_"));
        let found = environment.get(&variable).cloned().flatten();
        assert_eq!(found.as_deref(), Some(value), "{name}");
        compared += 1;
    }
    assert!(compared >= 10, "only {compared} settings were found in the source");
}

#[test]
fn every_fault_is_found() {
    let mut missed = Vec::new();
    for (what, from, to, expected) in FAULTS {
        let text = text();
        assert!(text.contains(from), "{what}: {from:?} is not in the file any more");
        let found = faults(&text.replacen(from, to, 1)).join("\n");
        if !found.contains(expected) {
            missed.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// What is wrong, a text of the file, what it is replaced with, and what is to be said.
const FAULTS: [(&str, &str, &str, &str); 43] = [
    ("a misspelt field", "    shm_size: 256m", "    shm_sise: 256m", "unknown field `shm_sise`"),
    (
        "an unquoted number",
        "FLOTILLA_REPLICATION: \"1\"",
        "FLOTILLA_REPLICATION: 1",
        "invalid type: integer `1`",
    ),
    ("an unquoted no", "restart: \"no\"", "restart: no_", "restart \"no_\" is neither"),
    (
        "a misspelt anchor",
        "<<: *service\n    command: [run, bff]",
        "<<: *servise\n    command: [run, bff]",
        "unknown anchor",
    ),
    (
        "a variable without an end",
        "${RUST_LOG:-info}",
        "${RUST_LOG:-info",
        "no } ends the variable",
    ),
    (
        "an unknown operator",
        "${RUST_LOG:-info}",
        "${RUST_LOG|info}",
        "no operator that Compose knows",
    ),
    ("no tag", "apache/kafka:4.3.1", "apache/kafka", "has no tag"),
    ("latest", "grafana/grafana:13.1.0", "grafana/grafana:latest", "is whatever is the latest"),
    (
        "another version",
        "apache/kafka:4.3.1",
        "apache/kafka:4.2.0",
        "is apache/kafka:4.3.1 in versions.rs",
    ),
    (
        "a stranger's image",
        "image: postgres:18",
        "image: bitnami/postgres:18",
        "is not in versions.rs",
    ),
    (
        "an unknown dependency",
        "    registry: {condition: service_healthy}\n  healthcheck",
        "    schemas: {condition: service_healthy}\n  healthcheck",
        "it depends on schemas, which is no service",
    ),
    (
        "health of one that has none",
        "depends_on: [jaeger, prometheus]",
        "depends_on: {jaeger: {condition: service_healthy}}",
        "jaeger never comes so far as service_healthy",
    ),
    (
        "the end of one that goes on",
        "kafka: {condition: service_healthy}",
        "kafka: {condition: service_completed_successfully}",
        "kafka never comes so far",
    ),
    (
        "a misspelt condition",
        "condition: service_healthy",
        "condition: service_well",
        "never comes so far as service_well",
    ),
    (
        "one that no profile starts",
        "    depends_on:\n      postgres: {condition: service_healthy}\n    ports",
        "    depends_on:\n      mailpit: {condition: service_healthy}\n    ports",
        "it depends on mailpit, which its profile does not start",
    ),
    (
        "a circle",
        "  mailpit:\n    <<: *part",
        "  mailpit:\n    <<: *part\n    depends_on: [mailpit]",
        "mailpit waits for itself",
    ),
    (
        "an undeclared volume",
        "postgres-data:/var",
        "postgres-date:/var",
        "the volume postgres-date is not declared",
    ),
    (
        "an undeclared network",
        "  mailpit:\n    <<: *part",
        "  mailpit:\n    <<: *part\n    networks: [front]",
        "the network front is not declared",
    ),
    (
        "a missing file",
        "--config=/etc/observability/collector.yaml",
        "--config=/etc/observability/otel.yaml",
        "/etc/observability/otel.yaml is not among the files",
    ),
    (
        "a missing folder",
        "./k8s/components/observability/files:/etc/observability:ro\"]",
        "./k8s/observability:/etc/observability:ro\"]",
        "which is not in the repository",
    ),
    (
        "Docker's socket",
        "\"prometheus-data:/prometheus\"",
        "\"/var/run/docker.sock:/var/run/docker.sock\"",
        "it mounts /var/run/docker.sock",
    ),
    (
        "a folder that it may write to",
        "files:/etc/observability:ro\"]",
        "files:/etc/observability\"]",
        "it may write to ./k8s",
    ),
    (
        "a port twice",
        "FLOTILLA_CONSOLE_PORT:-8090",
        "FLOTILLA_CONSOLE_PORT:-8080",
        "the port 8080 is bff's",
    ),
    (
        "a port for everybody",
        "${FLOTILLA_ADDRESS:-127.0.0.1}:${FLOTILLA_SMTP_PORT:-1025}",
        "0.0.0.0:${FLOTILLA_SMTP_PORT:-1025}",
        "can be reached from other machines",
    ),
    (
        "a port without an address",
        "${FLOTILLA_ADDRESS:-127.0.0.1}:${FLOTILLA_SMTP_PORT:-1025}:1025",
        "1025:1025",
        "is not address:port:port",
    ),
    (
        "no health check",
        "    healthcheck:\n      test: [CMD, /mailpit, readyz]\n      interval: 10s\n      timeout: 5s\n      retries: 6\n",
        "",
        "nobody sees how it is",
    ),
    (
        "a shell where there is none",
        "[CMD, /usr/local/bin/flotilla, healthcheck]",
        "[CMD-SHELL, curl localhost:8080/ready]",
        "our image has no",
    ),
    (
        "privileged",
        "  kafka:\n    <<: *part",
        "  kafka:\n    <<: *part\n    privileged: true",
        "unknown field `privileged`",
    ),
    (
        "the host's network",
        "  kafka:\n    <<: *part",
        "  kafka:\n    <<: *part\n    network_mode: host",
        "unknown field `network_mode`",
    ),
    (
        "capabilities",
        "cap_add: [CHOWN,",
        "cap_add: [SYS_ADMIN,",
        "it may not have the capability SYS_ADMIN",
    ),
    (
        "new privileges",
        "  security_opt: [\"no-new-privileges:true\"]\n",
        "",
        "its programs may gain privileges",
    ),
    (
        "a writable root",
        "  read_only: true\n  mem_limit: 256m",
        "  mem_limit: 256m",
        "read_only is not true",
    ),
    (
        "no limit of memory",
        "    mem_limit: 640m\n\n  # Databases",
        "\n  # Databases",
        "no mem_limit",
    ),
    ("a heap that does not fit", "-Xmx400m", "-Xmx900m", "does not fit into"),
    ("logs without bound", "max-size: 5m, ", "", "its log grows without bound"),
    (
        "a service that is none",
        "KAFKA_BROKERS: kafka:9092",
        "KAFKA_BROKERS: broker:9092",
        "names broker:9092, which is no service",
    ),
    (
        "an address that nobody reaches",
        "OUTSIDE://:29092",
        "OUTSIDE://:29093",
        "nobody reaches the advertised listener OUTSIDE",
    ),
    (
        "no container for a service",
        "command: [run, customers-handler]",
        "command: [run, handler]",
        "no container of ours runs customers-handler",
    ),
    (
        "before the migration",
        "migrate: {condition: service_completed_successfully}",
        "migrate: {condition: service_started}",
        "it does not wait for migrate",
    ),
    (
        "an argument that the image has not",
        "      VERSION: ${",
        "      RELEASE: ${",
        "the Dockerfile has no argument RELEASE",
    ),
    (
        "data that is gone",
        "KAFKA_LOG_DIRS: /var/lib/kafka/data",
        "KAFKA_LOG_DIRS: /tmp/logs",
        "is on no volume",
    ),
    (
        "two at one address",
        "FLOTILLA_HTTP: 0.0.0.0:8080",
        "FLOTILLA_HTTP: 0.0.0.0:8080\n      FLOTILLA_HEALTH: 0.0.0.0:8080",
        "bff: it needs one of",
    ),
    (
        "nobody can ask it",
        "FLOTILLA_HEALTH: 0.0.0.0:8080",
        "FLOTILLA_HTTP_: 0.0.0.0:8080",
        "customers-handler: it needs one of",
    ),
];
