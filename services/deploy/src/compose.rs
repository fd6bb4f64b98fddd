//! A compose file as Compose understands it: anchors and merge keys resolved, variables filled in, typed. A field that
//! our file does not use is an error, so that a misspelt one cannot hide.
mod broker;
mod check;
mod variables;

pub use check::faults;

use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, path::Path};

/// A compose file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    /// The project's name.
    pub name: String,
    /// The services, by name.
    pub services: BTreeMap<String, Service>,
    /// Named volumes.
    #[serde(default)]
    pub volumes: BTreeMap<String, Option<Value>>,
    /// Named networks.
    #[serde(default)]
    pub networks: BTreeMap<String, Option<Value>>,
}

/// A service, with the fields that ours have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The image's reference.
    pub image: String,
    /// How the image is built, if it is ours.
    pub build: Option<Build>,
    /// What follows the image's entry point.
    #[serde(default)]
    pub command: Vec<String>,
    /// Variables; one without a value is taken from the environment of `docker compose`.
    #[serde(default)]
    pub environment: BTreeMap<String, Option<String>>,
    /// What must be up before.
    #[serde(default)]
    pub depends_on: Dependencies,
    /// When it is started; always if it has none.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// `address:port here:port there`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// `what:where[:ro]`.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Folders in memory.
    #[serde(default)]
    pub tmpfs: Vec<String>,
    /// Networks besides the default one.
    #[serde(default)]
    pub networks: Vec<String>,
    /// How Docker finds out whether it is well.
    pub healthcheck: Option<HealthCheck>,
    /// When it is started again.
    pub restart: String,
    /// Whether its root file system is read-only.
    #[serde(default)]
    pub read_only: bool,
    /// Capabilities that it gives up.
    #[serde(default)]
    pub cap_drop: Vec<String>,
    /// Capabilities that it keeps.
    #[serde(default)]
    pub cap_add: Vec<String>,
    /// Further limits of what it may.
    #[serde(default)]
    pub security_opt: Vec<String>,
    /// The most memory that it gets.
    pub mem_limit: Option<String>,
    /// Shared memory.
    pub shm_size: Option<String>,
    /// How long it has to stop.
    pub stop_grace_period: Option<String>,
    /// Where its output goes.
    pub logging: Option<Logging>,
}

/// How an image is built.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The folder that is sent.
    pub context: String,
    /// Arguments of the Dockerfile.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
}

/// What a service waits for.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Dependencies {
    /// These are started before.
    Started(Vec<String>),
    /// These have come so far.
    Conditions(BTreeMap<String, Condition>),
}

impl Default for Dependencies {
    fn default() -> Self {
        Self::Started(Vec::new())
    }
}

impl Dependencies {
    /// Each service with how far it must have come.
    #[must_use]
    pub fn all(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Started(names) => {
                names.iter().map(|it| (it.as_str(), "service_started")).collect()
            }
            Self::Conditions(all) => {
                all.iter().map(|(name, it)| (name.as_str(), it.condition.as_str())).collect()
            }
        }
    }
}

/// How far a service must have come.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// `service_started`, `service_healthy` or `service_completed_successfully`.
    pub condition: String,
}

/// How Docker finds out whether a container is well.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// `CMD` or `CMD-SHELL`, and what is run.
    pub test: Vec<String>,
    /// How often.
    pub interval: Option<String>,
    /// How long it may take.
    pub timeout: Option<String>,
    /// How many failures in a row make it ill.
    pub retries: Option<u32>,
    /// How long failures do not count.
    pub start_period: Option<String>,
}

/// Where output goes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logging {
    /// Docker's driver.
    pub driver: String,
    /// Its settings.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// Reads a compose file; `variable` is the environment of `docker compose`.
///
/// # Errors
/// If it is no YAML, a variable is misspelt, or a field is unknown, missing or of another type; the message names it.
pub fn read(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Compose, String> {
    let mut document: Value = serde_norway::from_str(text).map_err(|error| error.to_string())?;
    merge(&mut document)?;
    variables::fill(&mut document, variable)?;
    if let Some(fields) = document.as_object_mut() {
        // Where anchors stand; Compose does not look at them either.
        fields.retain(|name, _| !name.starts_with("x-"));
    }
    for (name, service) in document.get("services").and_then(Value::as_object).into_iter().flatten()
    {
        Service::deserialize(service).map_err(|error| format!("{name}: {error}"))?;
    }
    Compose::deserialize(&document).map_err(|error| error.to_string())
}

/// Replaces merge keys by what they stand for, the innermost first: an anchor may be made with another one.
fn merge(document: &mut Value) -> Result<(), String> {
    match document {
        Value::Array(items) => items.iter_mut().try_for_each(merge),
        Value::Object(fields) => {
            fields.values_mut().try_for_each(merge)?;
            let sources = match fields.remove("<<") {
                None => Vec::new(),
                Some(Value::Array(sources)) => sources,
                Some(source) => vec![source],
            };
            for source in sources {
                let Value::Object(source) = source else {
                    return Err(format!("<<: {source} has no fields to merge"));
                };
                for (name, value) in source {
                    fields.entry(name).or_insert(value);
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A service of the fleet's own image: what other tests compare with the program's `--help`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name in the compose file.
    pub service: String,
    /// What follows the image's entry point: `run`, `bff`.
    pub args: Vec<String>,
    /// Its environment by name; `None`: taken from the environment of `docker compose`.
    pub environment: BTreeMap<String, Option<String>>,
}

/// Every service of the fleet's own image.
#[must_use]
pub fn programs(compose: &Compose) -> Vec<Program> {
    let ours = compose.services.iter().filter(|(_, it)| it.build.is_some());
    ours.map(|(name, it)| Program {
        service: name.clone(),
        args: it.command.clone(),
        environment: it.environment.clone(),
    })
    .collect()
}

/// A port that is published on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The address here.
    pub address: String,
    /// The port here.
    pub here: u16,
    /// The port in the container.
    pub inside: u16,
}

impl Port {
    /// Reads the short form with all its parts.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, ':');
        let inside = parts.next()?.parse().ok()?;
        let here = parts.next()?.parse().ok()?;
        Some(Self { address: parts.next()?.to_owned(), here, inside })
    }
}

/// What is mounted: a named volume, or a file or folder of the repository.
fn mount(text: &str) -> Option<(&str, &str, bool)> {
    let (rest, read_only) = match text.strip_suffix(":ro") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (what, place) = rest.split_once(':')?;
    Some((what, place, read_only))
}

/// The file of the repository that a path in a container is, by the mounts of the service.
#[must_use]
pub fn mounted(service: &Service, root: &Path, path: &str) -> Option<std::path::PathBuf> {
    service.volumes.iter().filter_map(|it| mount(it)).find_map(|(what, place, _)| {
        let inside = path.strip_prefix(place)?.trim_start_matches('/');
        what.starts_with("./").then(|| root.join(what).join(inside))
    })
}
