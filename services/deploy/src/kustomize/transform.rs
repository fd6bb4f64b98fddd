//! Changes of all objects of a kustomization, in the order in which kustomize makes them.
use super::{
    Object,
    kustomization::{Image, Kustomization, Labels},
    text,
};
use serde_json::{Map, Value, json};

pub(super) fn all(it: &Kustomization, objects: &mut [Object]) -> Result<(), String> {
    for object in &mut *objects {
        if let Some(namespace) = &it.namespace {
            set_namespace(&mut object.value, namespace);
        }
        rename(object, it.name_prefix.as_deref(), it.name_suffix.as_deref());
        for labels in &it.labels {
            label(&mut object.value, labels);
        }
    }
    for replicas in &it.replicas {
        let mut found = objects
            .iter_mut()
            .filter(|it| has_replicas(&it.value) && it.is_called(&replicas.name))
            .peekable();
        found.peek().ok_or_else(|| format!("replicas: nothing is called {}", replicas.name))?;
        found.for_each(|it| it.value["spec"]["replicas"] = replicas.count.into());
    }
    for image in &it.images {
        let count: usize = objects.iter_mut().map(|it| set_image(&mut it.value, image)).sum();
        if count == 0 {
            return Err(format!("images: no container has the image {}", image.name));
        }
    }
    Ok(())
}

/// Kinds that are in no namespace.
pub(super) const CLUSTER_WIDE: &[&str] =
    &["Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass", "StorageClass"];

fn set_namespace(value: &mut Value, namespace: &str) {
    match text(value, "/kind") {
        "Namespace" => value["metadata"]["name"] = namespace.into(),
        kind if CLUSTER_WIDE.contains(&kind) => {}
        _ => value["metadata"]["namespace"] = namespace.into(),
    }
}

fn rename(object: &mut Object, prefix: Option<&str>, suffix: Option<&str>) {
    if text(&object.value, "/kind") != "Namespace" && (prefix.is_some() || suffix.is_some()) {
        let name = text(&object.value, "/metadata/name");
        let name = format!("{}{name}{}", prefix.unwrap_or_default(), suffix.unwrap_or_default());
        object.value["metadata"]["name"] = name.into();
    }
}

fn label(value: &mut Value, labels: &Labels) {
    let add = |metadata: &mut Value| {
        if metadata["labels"].is_null() {
            metadata["labels"] = Map::new().into();
        }
        for (key, it) in &labels.pairs {
            metadata["labels"][key] = json!(it);
        }
    };
    add(&mut value["metadata"]);
    if labels.include_templates && has_template(value) {
        add(&mut value["spec"]["template"]["metadata"]);
    }
}

fn has_template(value: &Value) -> bool {
    matches!(text(value, "/kind"), "Deployment" | "StatefulSet" | "DaemonSet" | "Job")
}

fn has_replicas(value: &Value) -> bool {
    matches!(text(value, "/kind"), "Deployment" | "StatefulSet")
}

/// How many containers have it.
fn set_image(value: &mut Value, image: &Image) -> usize {
    let mut count = 0;
    for kind in ["initContainers", "containers"] {
        let path = format!("/spec/template/spec/{kind}");
        let containers = value.pointer_mut(&path).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let (name, tag) = split(text(container, "/image"));
            if name == image.name {
                count += 1;
                let name = image.new_name.as_deref().unwrap_or(name);
                let tag = match (&image.digest, &image.new_tag) {
                    (Some(digest), _) => format!("@{digest}"),
                    (None, Some(tag)) => format!(":{tag}"),
                    (None, None) => tag.to_owned(),
                };
                container["image"] = format!("{name}{tag}").into();
            }
        }
    }
    count
}

/// The name of an image, and what follows: `:tag`, `@digest` or nothing.
fn split(image: &str) -> (&str, &str) {
    let from = image.rfind('/').map_or(0, |it| it + 1);
    let at = image[from..].find([':', '@']).map_or(image.len(), |it| from + it);
    image.split_at(at)
}
