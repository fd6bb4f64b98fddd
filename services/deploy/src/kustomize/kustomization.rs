//! A `kustomization.yaml`, as far as it is understood.
use super::{Error, Files, Object, at, text};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Kustomization {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    /// Of every object that is in a namespace.
    pub(super) namespace: Option<String>,
    pub(super) name_prefix: Option<String>,
    pub(super) name_suffix: Option<String>,
    #[serde(default)]
    pub(super) resources: Vec<String>,
    #[serde(default)]
    pub(super) components: Vec<String>,
    #[serde(default)]
    pub(super) labels: Vec<Labels>,
    #[serde(default)]
    pub(super) config_map_generator: Vec<Generator>,
    #[serde(default)]
    pub(super) secret_generator: Vec<Generator>,
    #[serde(default)]
    pub(super) images: Vec<Image>,
    #[serde(default)]
    pub(super) replicas: Vec<Replicas>,
    #[serde(default)]
    pub(super) patches: Vec<Patch>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Labels {
    pub(super) pairs: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) include_templates: bool,
    /// Must be given as `false`: selectors are for life, and kustomize has had both defaults.
    pub(super) include_selectors: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Generator {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) behavior: Behavior,
    #[serde(default)]
    pub(super) literals: Vec<String>,
    #[serde(default)]
    pub(super) files: Vec<String>,
    #[serde(default)]
    pub(super) options: Options,
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Options {
    #[serde(default)]
    pub(super) disable_name_suffix_hash: bool,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Behavior {
    #[default]
    Create,
    Merge,
    Replace,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Image {
    pub(super) name: String,
    pub(super) new_name: Option<String>,
    pub(super) new_tag: Option<String>,
    pub(super) digest: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replicas {
    pub(super) name: String,
    pub(super) count: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    pub(super) path: Option<String>,
    #[serde(rename = "patch")]
    pub(super) text: Option<String>,
    pub(super) target: Option<Target>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Target {
    kind: String,
    name: Option<String>,
    /// `key=value`, one only.
    label_selector: Option<String>,
}

impl Target {
    pub(super) fn selects(&self, object: &Object) -> bool {
        let label = |selector: &String| {
            let (key, value) = selector.split_once('=').unwrap_or((selector, ""));
            object.value["metadata"]["labels"][key] == *value
        };
        self.kind == text(&object.value, "/kind")
            && self.name.as_ref().is_none_or(|it| object.is_called(it))
            && self.label_selector.as_ref().is_none_or(label)
    }
}

impl Object {
    /// Both what it was called when it was read and what it is called now.
    pub(super) fn is_called(&self, name: &str) -> bool {
        name == self.first_name || name == text(&self.value, "/metadata/name")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name.as_deref().unwrap_or("of any name"))?;
        self.label_selector.as_ref().map_or(Ok(()), |it| write!(f, " with {it}"))
    }
}

impl Kustomization {
    /// That of a folder, and its path.
    pub(super) fn read(files: &Files, folder: &Path, kind: &str) -> Result<(PathBuf, Self), Error> {
        let file = folder.join("kustomization.yaml");
        let text = files.read(&file)?;
        let it: Self =
            serde_norway::from_str(&text).map_err(|error| at(&file)(error.to_string()))?;
        let version = if kind == "Component" { "v1alpha1" } else { "v1beta1" };
        let expected = format!("kustomize.config.k8s.io/{version}");
        if it.kind != kind || it.api_version != expected {
            let reason =
                format!("kind: {} of {}, not {kind} of {expected}", it.kind, it.api_version);
            return Err(at(&file)(reason));
        }
        if it.labels.iter().any(|it| it.include_selectors) {
            return Err(at(&file)("labels: includeSelectors must be false".into()));
        }
        Ok((file, it))
    }
}
