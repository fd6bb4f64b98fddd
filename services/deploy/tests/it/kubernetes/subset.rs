//! Custom resources of which the tree uses little, while crates with all of their kinds would take minutes to compile: those
//! fields, as their definitions have them, and no others.
#![expect(dead_code, reason = "only whether they can be read matters")]
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Deserialize;
use std::collections::BTreeMap;

macro_rules! resource {
    ($kind:ident, $spec:ident) => {
        #[derive(Deserialize)]
        pub(crate) struct $kind {
            metadata: ObjectMeta,
            spec: $spec,
        }
    };
}

resource!(Database, DatabaseSpec);
resource!(ExternalSecret, ExternalSecretSpec);
resource!(PodMonitor, PodMonitorSpec);
resource!(PrometheusRule, PrometheusRuleSpec);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DatabaseSpec {
    cluster: Name,
    name: String,
    owner: String,
    database_reclaim_policy: Option<ReclaimPolicy>,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReclaimPolicy {
    Delete,
    Retain,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExternalSecretSpec {
    refresh_interval: Option<String>,
    secret_store_ref: StoreRef,
    target: Option<Target>,
    data: Vec<SecretData>,
}

#[derive(Deserialize)]
struct StoreRef {
    name: String,
    kind: Option<StoreKind>,
}

#[derive(Deserialize)]
enum StoreKind {
    SecretStore,
    ClusterSecretStore,
}

#[derive(Deserialize)]
struct Target {
    name: Option<String>,
    template: Option<Template>,
}

#[derive(Deserialize)]
struct Template {
    r#type: Option<String>,
    metadata: Option<TemplateMetadata>,
    data: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct TemplateMetadata {
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecretData {
    secret_key: String,
    remote_ref: RemoteRef,
}

#[derive(Deserialize)]
struct RemoteRef {
    key: String,
    property: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodMonitorSpec {
    selector: LabelSelector,
    pod_metrics_endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    port: String,
    path: String,
    interval: String,
    honor_labels: Option<bool>,
    #[serde(default)]
    relabelings: Vec<Relabeling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Relabeling {
    #[serde(default)]
    source_labels: Vec<String>,
    target_label: String,
    replacement: Option<String>,
}

#[derive(Deserialize)]
struct PrometheusRuleSpec {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    r#for: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}
