//! Rendered objects, and what else there will be: what operators make of them, and what the platform brings.
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How strict to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// On one machine, for development.
    Local,
    /// Where it must not fail.
    Production,
}

/// What is checked.
pub(crate) struct World<'a> {
    pub(crate) objects: &'a [Value],
    pub(crate) stage: Stage,
    /// Every Secret, by its keys.
    pub(crate) secrets: BTreeMap<String, BTreeSet<String>>,
    /// Every port of every Service.
    pub(crate) services: Vec<Service>,
}

/// One port of a Service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) port: u64,
    /// The labels of the pods behind it, and the port there; `None`: it is nobody's here.
    pub(crate) behind: Option<(Value, u64)>,
}

/// The pods that a workload makes.
#[derive(Clone, Copy)]
pub(crate) struct Pod<'a> {
    pub(crate) workload: &'a Value,
    pub(crate) labels: &'a Value,
    pub(crate) spec: &'a Value,
}

pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn list<'a>(
    value: &'a Value,
    pointer: &str,
) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

pub(crate) fn name(object: &Value) -> String {
    deploy::kubernetes::name(object)
}

/// Whether a selector's labels are among these; one without labels selects nothing here.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object();
    wanted
        .is_some_and(|it| !it.is_empty() && it.iter().all(|(key, it)| labels.get(key) == Some(it)))
}

impl<'a> World<'a> {
    pub(crate) fn new(objects: &'a [Value], stage: Stage, outside: &Outside) -> Self {
        let mut it =
            Self { objects, stage, secrets: outside.secrets(), services: outside.services() };
        for object in objects {
            it.secrets_of(object);
        }
        let services: Vec<Service> =
            objects.iter().flat_map(|object| it.services_of(object)).collect();
        it.services.extend(services);
        it
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let kind = kind.to_owned();
        self.objects.iter().filter(move |it| text(it, "/kind") == kind)
    }

    pub(crate) fn find(&self, kind: &str, name: &str) -> Option<&'a Value> {
        self.of_kind(kind).find(|it| text(it, "/metadata/name") == name)
    }

    pub(crate) fn pods(&self) -> Vec<Pod<'a>> {
        let pod = |workload: &'a Value| {
            let template = workload.pointer("/spec/template")?;
            let spec = template.get("spec").filter(|it| it["containers"].is_array())?;
            Some(Pod { workload, labels: &template["metadata"]["labels"], spec })
        };
        self.objects.iter().filter_map(pod).collect()
    }

    fn secrets_of(&mut self, object: &Value) {
        let name = text(object, "/metadata/name");
        let mut add = |name: String, keys: &[&str]| {
            self.secrets.entry(name).or_default().extend(keys.iter().map(|it| (*it).to_owned()));
        };
        match text(object, "/kind") {
            "Secret" => {
                let data = object["data"].as_object().into_iter().flatten();
                add(name.to_owned(), &data.map(|it| it.0.as_str()).collect::<Vec<_>>());
            }
            "KafkaUser" => add(name.to_owned(), &["password", "sasl.jaas.config"]),
            "Kafka" => add(format!("{name}-cluster-ca-cert"), &["ca.crt", "ca.p12", "ca.password"]),
            "Cluster" => {
                add(format!("{name}-app"), &["username", "password", "uri"]);
                add(format!("{name}-ca"), &["ca.crt", "ca.key"]);
            }
            "ExternalSecret" => {
                let template = object.pointer("/spec/target/template/data");
                let keys: Vec<&str> = match template.and_then(Value::as_object) {
                    Some(data) => data.keys().map(String::as_str).collect(),
                    None => list(object, "/spec/data").map(|it| text(it, "/secretKey")).collect(),
                };
                add(name.to_owned(), &keys);
            }
            _ => {}
        }
    }

    fn services_of(&self, object: &Value) -> Vec<Service> {
        let name = text(object, "/metadata/name");
        match text(object, "/kind") {
            "Service" => list(object, "/spec/ports")
                .map(|port| Service {
                    name: name.to_owned(),
                    port: port["port"].as_u64().unwrap_or_default(),
                    behind: self.behind(object, port),
                })
                .collect(),
            "Kafka" => {
                let pool = self.of_kind("KafkaNodePool").find(|it| {
                    text(it, "/metadata/labels/strimzi.io~1cluster") == name
                        && list(it, "/spec/roles").any(|it| it == "broker")
                });
                let labels = pool.and_then(|it| it.pointer("/spec/template/pod/metadata/labels"));
                list(object, "/spec/kafka/listeners")
                    .filter_map(|it| it["port"].as_u64())
                    .map(|port| Service {
                        name: format!("{name}-kafka-bootstrap"),
                        port,
                        behind: labels.map(|it| (it.clone(), port)),
                    })
                    .collect()
            }
            "Cluster" => {
                let labels = object.pointer("/spec/inheritedMetadata/labels");
                let behind = labels.map(|it| (it.clone(), 5432));
                vec![Service { name: format!("{name}-rw"), port: 5432, behind }]
            }
            _ => Vec::new(),
        }
    }

    /// The labels of the pods behind a Service's port, and which port it is there.
    fn behind(&self, service: &Value, port: &Value) -> Option<(Value, u64)> {
        let selector = &service["spec"]["selector"];
        let target = port.get("targetPort").unwrap_or(&port["port"]);
        let mut pods = self.pods().into_iter().filter(|it| selects(selector, it.labels));
        pods.find_map(|pod| {
            let ports = list(pod.spec, "/containers").flat_map(|it| list(it, "/ports"));
            let mut numbers = ports.filter_map(|it| {
                let number = it["containerPort"].as_u64()?;
                (it["name"] == *target || it["containerPort"] == *target).then_some(number)
            });
            Some((pod.labels.clone(), numbers.next()?))
        })
    }
}

/// What an overlay needs and does not bring.
#[derive(Debug, Default, Clone)]
pub(crate) struct Outside {
    pub(crate) secrets: Vec<(&'static str, &'static [&'static str])>,
    pub(crate) services: Vec<(&'static str, u64)>,
}

impl Outside {
    fn secrets(&self) -> BTreeMap<String, BTreeSet<String>> {
        let keys = |keys: &[&str]| keys.iter().map(|it| (*it).to_owned()).collect();
        self.secrets.iter().map(|(name, it)| ((*name).to_owned(), keys(it))).collect()
    }

    fn services(&self) -> Vec<Service> {
        let service = |(name, port): &(&str, u64)| Service {
            name: (*name).to_owned(),
            port: *port,
            behind: None,
        };
        self.services.iter().map(service).collect()
    }
}
