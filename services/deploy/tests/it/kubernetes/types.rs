//! Every object is of a type that is known, and has no field that the type does not have.
//!
//! Kubernetes' own types are those of the oldest release that the library has: versions that are called stable only ever
//! gain fields, so what is valid there is valid in every later one; a test holds the tree to such versions.
use super::{
    subset,
    world::{name, text},
};
use k8s_openapi::api::{
    apps::v1 as apps, batch::v1 as batch, core::v1 as core, networking::v1 as networking,
    policy::v1 as policy,
};
use kcr_gateway_networking_k8s_io::v1::httproutes::HttpRoute;
use kcr_kafka_strimzi_io::v1::{
    kafkanodepools::KafkaNodePool, kafkas::Kafka, kafkatopics::KafkaTopic, kafkausers::KafkaUser,
};
use kcr_keda_sh::v1alpha1::{
    scaledobjects::ScaledObject, triggerauthentications::TriggerAuthentication,
};
use kcr_postgresql_cnpg_io::v1::clusters::Cluster;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is wrong with the form of an object.
pub(crate) fn check(object: &Value) -> Vec<String> {
    let of = |it: Vec<String>| it.into_iter().map(|it| format!("{}: {it}", name(object))).collect();
    of(match (text(object, "/apiVersion"), text(object, "/kind")) {
        ("v1", "Namespace") => strict::<core::Namespace>(object),
        ("v1", "ServiceAccount") => strict::<core::ServiceAccount>(object),
        ("v1", "ConfigMap") => strict::<core::ConfigMap>(object),
        ("v1", "Secret") => strict::<core::Secret>(object),
        ("v1", "Service") => strict::<core::Service>(object),
        ("apps/v1", "Deployment") => strict::<apps::Deployment>(object),
        ("apps/v1", "StatefulSet") => strict::<apps::StatefulSet>(object),
        ("batch/v1", "Job") => strict::<batch::Job>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => strict::<networking::NetworkPolicy>(object),
        ("policy/v1", "PodDisruptionBudget") => strict::<policy::PodDisruptionBudget>(object),
        ("gateway.networking.k8s.io/v1", "HTTPRoute") => strict::<HttpRoute>(object),
        ("kafka.strimzi.io/v1", "Kafka") => strict::<Kafka>(object),
        ("kafka.strimzi.io/v1", "KafkaNodePool") => strict::<KafkaNodePool>(object),
        ("kafka.strimzi.io/v1", "KafkaTopic") => strict::<KafkaTopic>(object),
        ("kafka.strimzi.io/v1", "KafkaUser") => strict::<KafkaUser>(object),
        ("keda.sh/v1alpha1", "ScaledObject") => strict::<ScaledObject>(object),
        ("keda.sh/v1alpha1", "TriggerAuthentication") => strict::<TriggerAuthentication>(object),
        ("postgresql.cnpg.io/v1", "Cluster") => strict::<Cluster>(object),
        ("postgresql.cnpg.io/v1", "Database") => strict::<subset::Database>(object),
        ("external-secrets.io/v1", "ExternalSecret") => strict::<subset::ExternalSecret>(object),
        ("monitoring.coreos.com/v1", "PodMonitor") => strict::<subset::PodMonitor>(object),
        ("monitoring.coreos.com/v1", "PrometheusRule") => strict::<subset::PrometheusRule>(object),
        (version, kind) => vec![format!("no type is known for {kind} of {version}")],
    })
}

fn strict<T: DeserializeOwned>(object: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let read: Result<T, _> = serde_ignored::deserialize(object, |path| {
        let path = path.to_string();
        if path != "apiVersion" && path != "kind" {
            wrong.push(format!("there is no field {path}"));
        }
    });
    if let Err(error) = read {
        wrong.push(format!("has another form: {error}"));
    }
    wrong
}
