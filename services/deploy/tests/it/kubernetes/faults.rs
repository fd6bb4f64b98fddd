//! Faults, each planted alone: the check must find it, and for the reason that it is one.
use super::{check, overlays::stage, world::Outside};
use deploy::kustomize::{Files, render};

/// Something to do wrong.
struct Fault {
    what: &'static str,
    overlay: &'static str,
    /// File (below `k8s`), what stands there, and what stands there instead.
    edits: &'static [(&'static str, &'static str, &'static str)],
    /// A part of what is said of it.
    said: &'static str,
}

macro_rules! faults {
    ($($what:literal in $overlay:ident: $($file:literal: $from:literal => $to:literal),+; $said:literal)+) => {
        &[$(Fault {
            what: $what,
            overlay: stringify!($overlay),
            edits: &[$(($file, $from, $to)),+],
            said: $said,
        }),+]
    };
}

/// What is said when a fault is there; a tree that cannot be rendered says so.
fn found(fault: &Fault) -> Vec<String> {
    let mut files = Files::of_the_repository();
    for (file, from, to) in fault.edits {
        let file = format!("k8s/{file}");
        let text = files.read(&file).unwrap();
        assert!(text.contains(from), "{}: {file} has no {from:?}", fault.what);
        files = files.with(file, text.replace(from, to));
    }
    match render(&files, format!("k8s/overlays/{}", fault.overlay)) {
        Ok(objects) => check(&objects, stage(fault.overlay), &Outside::default()),
        Err(error) => vec![error.to_string()],
    }
}

fn all_are_found(faults: &[Fault]) {
    let mut missed = Vec::new();
    for fault in faults {
        let said = found(fault);
        if !said.iter().any(|it| it.contains(fault.said)) {
            missed.push(format!("{}: {said:#?}", fault.what));
        }
    }
    assert!(missed.is_empty(), "not found:\n{}", missed.join("\n"));
}

/// What any tree of manifests may have.
#[test]
fn common_faults_are_found() {
    assert_eq!(COMMON.len(), 29);
    all_are_found(COMMON);
}

const COMMON: &[Fault] = faults! {
    "a misspelt field" in local:
        "base/bff/deployment.yaml": "readinessProbe:" => "readinesProbe:"; "there is no field"
    "a number of replicas as text" in local:
        "base/customers-handler/deployment.yaml": "replicas: 1" => "replicas: \"1\""; "another form"
    "a probe of a port that no container has" in local:
        "base/bff/deployment.yaml": "{path: /ready, port: http}" => "{path: /ready, port: web}"; "asks the port \"web\""
    "no seccomp profile" in local:
        "base/bff/deployment.yaml": "        seccompProfile: {type: RuntimeDefault}\n" => ""; "no seccomp profile"
    "a Service that selects no pod" in local:
        "base/bff/network.yaml": "selector: {app.kubernetes.io/name: bff}" => "selector: {app.kubernetes.io/name: bbf}"; "is no pod with such a port"
    "a ConfigMap that is missing" in local:
        "base/bff/deployment.yaml": "configMapRef: {name: fleet}" => "configMapRef: {name: fleets}"; "there is no ConfigMap \"fleets\""
    "a version of Strimzi's that is gone" in production:
        "components/kafka-strimzi/topics.yaml": "kafka.strimzi.io/v1" => "kafka.strimzi.io/v1beta2"; "no type is known for KafkaTopic"
    "a trigger's setting as a number" in production:
        "components/keda/handler.yaml": "lagThreshold: \"1000\"" => "lagThreshold: 1000"; "another form"
    "everything denied, and names with it" in local:
        "base/bff/network.yaml": "port: 53" => "port: 54",
        "components/network-policies/default-deny.yaml": "port: 53" => "port: 54"; "may not look up names"
    "an image without a version" in local:
        "overlays/local/kustomization.yaml": "newTag: development" => "newTag: latest"; "has no version"
    "no limit of memory" in local:
        "base/bff/deployment.yaml": "limits: {memory: 256Mi}" => "limits: {}"; "no limit of memory"
    "a quantity that is none" in local:
        "base/bff/deployment.yaml": "memory: 256Mi" => "memory: 256MB"; "is no quantity"
    "a variable set twice" in local:
        "base/customers-handler/deployment.yaml": "{name: FLOTILLA_CACHE_MB, value: \"64\"}" => "{name: FLOTILLA_HEALTH, value: \"64\"}"; "is set twice"
    "a budget that blocks drains" in production:
        "base/customers-handler/disruption.yaml": "maxUnavailable: 1" => "minAvailable: 1"; "can be drained"
    "an underscore in a name" in production:
        "base/customers-handler/disruption.yaml": "metadata: {name: customers-handler}" => "metadata: {name: customers_handler}"; "is no name"
    "a mount without its volume" in production:
        "overlays/production/credentials.yaml": "        - name: credentials\n          projected:" => "        - name: credential\n          projected:"; "which is not there"
    "a selector that is not the template's" in local:
        "base/bff/deployment.yaml": "selector: {matchLabels: {app.kubernetes.io/name: bff}}" => "selector: {matchLabels: {app.kubernetes.io/name: fbb}}"; "not about its pods"
    "a misspelt field of a topic" in production:
        "components/kafka-strimzi/topics.yaml": "partitions: 12" => "partitons: 12"; "there is no field"
    "a way to sign in that Kafka does not know" in production:
        "components/kafka-strimzi/users.yaml": "{type: scram-sha-512}" => "{type: scram-sha-1024}"; "another form"
    "more pods than partitions" in production:
        "components/keda/handler.yaml": "maxReplicaCount: 12" => "maxReplicaCount: 24"; "24 pods share 12 partitions"
    "a route to a Service that is missing" in production:
        "components/ingress/route.yaml": "{name: bff, port: 80}" => "{name: graphql, port: 80}"; "there is no Service graphql"
    "a container with privileges" in local:
        "base/bff/deployment.yaml": "allowPrivilegeEscalation: false" => "privileged: true"; "has privileges"
    "less than no time to stop" in local:
        "base/bff/deployment.yaml": "terminationGracePeriodSeconds: 60" => "terminationGracePeriodSeconds: -60"; "no natural number"
    "a number of instances as text" in production:
        "components/postgres-cnpg/cluster.yaml": "instances: 3" => "instances: three"; "another form"
    "a container without an image" in local:
        "base/customers-handler/deployment.yaml": "          image: flotilla\n          args: [run, customers-handler]" => "          args: [run, customers-handler]"; "has no version"
    "pods that are never started again" in local:
        "base/bff/deployment.yaml": "      serviceAccountName: bff" => "      restartPolicy: Never\n      serviceAccountName: bff"; "is not for a Deployment"
    "a number as the value of a variable" in local:
        "base/customers-handler/deployment.yaml": "value: \"64\"" => "value: 64"; "another form"
    "a query that is none" in production:
        "components/monitoring-operator/alerts.yaml": "min by (namespace, service) (flotilla_ready" => "min by (namespace service) (flotilla_ready"; "is no PromQL"
    "a Secret that is missing" in production:
        "overlays/production/secrets.yaml": "metadata: {name: bff-operator-token}" => "metadata: {name: bff-token}"; "there is no Secret bff-operator-token"
};

/// What this tree could get wrong.
#[test]
fn faults_of_our_own_are_found() {
    all_are_found(OWN);
}

const OWN: &[Fault] = faults! {
    "a patch whose target is missing" in production:
        "components/keda/kustomization.yaml": "name: customers-handler}" => "name: customer-handler}"; "is not among the objects"
    "a patch of a container that is missing" in production:
        "overlays/production/credentials.yaml": "        - name: bff\n" => "        - name: bbf\n"; "has no version"
    "an image whose name has a typo" in production:
        "overlays/production/kustomization.yaml": "{name: flotilla, newName" => "{name: flotila, newName"; "no container has the image"
    "settings merged into a map that is missing" in production:
        "components/monitoring-operator/kustomization.yaml": "name: fleet\n" => "name: fleets\n"; "not there to be changed"
    "a key that the Secret does not have" in production:
        "overlays/production/credentials.yaml": "{name: fleet-db-ca, items: [{key: ca.crt," => "{name: fleet-db-ca, items: [{key: ca.pem,"; "has no ca.pem"
    "a file that is not mounted" in production:
        "overlays/production/kustomization.yaml": "/run/credentials/kafka-ca.crt" => "/run/credentials/ca.crt"; "which is not mounted"
    "a certificate that is not mounted" in production:
        "overlays/production/credentials.yaml": "database-ca.crt\"}" => "ca.crt\"}"; "which is not mounted"
    "Kafka where it does not listen" in production:
        "overlays/production/kustomization.yaml": "bootstrap:9093" => "bootstrap:9092"; "where nothing is"
    "a server that is not there" in local:
        "base/kustomization.yaml": "http://registry:8080" => "http://schema-registry:8080"; "where nothing is"
    "the password of another user of Kafka" in production:
        "overlays/production/credentials.yaml": "secret: {name: bff, items" => "secret: {name: migrate, items"; "is another user's"
    "the password of another role" in production:
        "overlays/production/credentials.yaml": "secret: {name: bff-database," => "secret: {name: registry-database,"; "is another one's"
    "a user that Kafka does not have" in production:
        "overlays/production/credentials.yaml": "KAFKA_SASL_USERNAME, value: bff" => "KAFKA_SASL_USERNAME, value: bbf"; "there is no KafkaUser bbf"
    "a role that Postgres does not have" in production:
        "overlays/production/credentials.yaml": "postgres://bff@" => "postgres://reader@"; "has no role reader"
    "a role with more rights than it needs" in production:
        "components/postgres-cnpg/cluster.yaml": "{name: bff, ensure: present, login: true," => "{name: bff, ensure: present, login: true, superuser: true,"; "is a superuser"
    "a server that is taken at its word" in production:
        "overlays/production/credentials.yaml": "sslmode=verify-full" => "sslmode=require"; "does not verify"
    "Kafka that may not be reached" in local:
        "base/bff/network.yaml": "{flotilla/server: kafka}" => "{flotilla/server: kafkas}"; "no NetworkPolicy lets it talk to kafka:9092"
    "a server that lets nobody in" in production:
        "components/network-policies/servers.yaml": "- podSelector: {matchLabels: {app.kubernetes.io/part-of: flotilla}}" => "- podSelector: {matchLabels: {app.kubernetes.io/part-of: fleet}}"; "fleet-db-rw:5432 does not let it in"
    "a door that is closed" in production:
        "base/bff/network.yaml": "  ingress: [{ports: [{protocol: TCP, port: http}]}]\n" => ""; "requests of Service bff are not let in"
    "talking to everybody" in production:
        "base/bff/network.yaml": "  egress:\n" => "  egress:\n    - {}\n"; "talk to everybody"
    "an outage that restarts everything" in local:
        "base/bff/deployment.yaml": "livenessProbe: {httpGet: {path: /live," => "livenessProbe: {httpGet: {path: /ready,"; "does not ask /live"
    "a service that does not wait" in local:
        "base/bff/deployment.yaml": "[migrate, --wait]" => "[migrate]"; "does not wait for the migration"
    "requests sent to a pod that has ended" in production:
        "base/bff/deployment.yaml": "          lifecycle: {preStop: {sleep: {seconds: 5}}}\n" => ""; "has no preStop"
    "less time to stop than it takes" in local:
        "base/customers-handler/deployment.yaml": "terminationGracePeriodSeconds: 30" => "terminationGracePeriodSeconds: 5"; "are too few"
    "a token for Kubernetes that nobody needs" in local:
        "base/bff/deployment.yaml": "automountServiceAccountToken: false" => "automountServiceAccountToken: true"; "hands out its token"
    "a broker that is configured by a Service's name" in local:
        "dev/kafka.yaml": "      enableServiceLinks: false\n" => ""; "enableServiceLinks is not false"
    "a limit of processor time" in local:
        "base/bff/deployment.yaml": "limits: {memory: 256Mi}" => "limits: {memory: 256Mi, cpu: 200m}"; "processor time"
    "a file system that can be written to" in production:
        "base/bff/deployment.yaml": "readOnlyRootFilesystem: true" => "readOnlyRootFilesystem: false"; "can be written to"
    "a roll-out that leaves nobody" in local:
        "base/bff/deployment.yaml": "maxUnavailable: 0" => "maxUnavailable: 1"; "takes pods away"
    "an autoscaler that is undone" in production:
        "components/keda/kustomization.yaml": "remove, path: /spec/replicas" => "replace, path: /spec/replicas, value: 2"; "would undo"
    "a new group that looks as if it had read everything" in production:
        "components/keda/handler.yaml": "offsetResetPolicy: earliest" => "offsetResetPolicy: latest"; "read everything"
    "lag of a group that nobody joins" in production:
        "components/keda/handler.yaml": "consumerGroup: customers.handler" => "consumerGroup: customers-handler"; "may join the group"
    "a commit that one server may lose" in production:
        "components/postgres-cnpg/cluster.yaml": "dataDurability: required" => "dataDurability: preferred"; "may be lost"
    "two copies of a topic" in production:
        "components/kafka-strimzi/topics.yaml": "replicas: 3" => "replicas: 2"; "not three copies"
    "topics with other partitions" in production:
        "overlays/production/kustomization.yaml": "FLOTILLA_REPLICATION=3" => "FLOTILLA_PARTITIONS=24"; "not 24 partitions"
    "a listener for anybody" in production:
        "components/kafka-strimzi/cluster.yaml": "        authentication: {type: scram-sha-512}\n" => ""; "lets in anybody"
    "a namespace that takes any pod" in local:
        "overlays/local/namespace.yaml": "enforce: restricted" => "enforce: baseline"; "takes any pod"
    "a label that came into a selector of spreading" in production:
        "base/bff/deployment.yaml": "labelSelector: {matchLabels: {app.kubernetes.io/name: bff}}" => "labelSelector: {matchLabels: {app.kubernetes.io/name: customers-handler}}"; "spread among other pods"
};
