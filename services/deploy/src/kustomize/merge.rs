//! Strategic merge patches: maps are merged; lists of named things are merged by their names, other lists replaced.
use super::{Object, text};
use serde_json::{Map, Value};

/// `Deployment bff`.
pub(super) fn name(value: &Value) -> String {
    format!("{} {}", text(value, "/kind"), text(value, "/metadata/name"))
}

/// Whether a patch without a target means this object.
pub(super) fn is_about(patch: &Value, object: &Object) -> bool {
    text(patch, "/apiVersion") == text(&object.value, "/apiVersion")
        && text(patch, "/kind") == text(&object.value, "/kind")
        && object.is_called(text(patch, "/metadata/name"))
}

/// Merges a patch into an object. What identifies the object is not touched.
pub(super) fn apply(object: &mut Value, patch: &Value) -> Result<(), String> {
    let mut patch = patch.clone();
    if let Some(it) = patch.get_mut("metadata").and_then(Value::as_object_mut) {
        it.remove("name");
    }
    // Lists of custom resources have no merge keys: they are replaced.
    let is_core = !text(object, "/apiVersion").split('/').next().unwrap_or_default().contains('.')
        || text(object, "/apiVersion").contains(".k8s.io/");
    merge(object, patch, "", is_core)
}

fn merge(into: &mut Value, patch: Value, place: &str, is_core: bool) -> Result<(), String> {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => merge_maps(into, patch, place, is_core),
        (Value::Array(into), Value::Array(patch)) if is_core => merge_lists(into, patch, place),
        (into, patch) => {
            *into = without_nulls(patch);
            Ok(())
        }
    }
}

fn merge_maps(
    into: &mut Map<String, Value>,
    patch: Map<String, Value>,
    place: &str,
    is_core: bool,
) -> Result<(), String> {
    for (key, value) in patch {
        if key.starts_with('$') {
            return Err(format!("{place}/{key}: only a whole object can be deleted"));
        }
        match value {
            Value::Null => drop(into.remove(&key)),
            value => {
                let place = format!("{place}/{key}");
                match into.get_mut(&key) {
                    Some(it) => merge(it, value, &place, is_core)?,
                    None => drop(into.insert(key, without_nulls(value))),
                }
            }
        }
    }
    Ok(())
}

/// What the patch names comes first, as kustomize has it.
fn merge_lists(into: &mut Vec<Value>, patch: Vec<Value>, place: &str) -> Result<(), String> {
    let field = place.rsplit('/').next().unwrap_or_default();
    let key = match (MERGE_KEYS.iter().find(|it| it.0 == field), patch.first()) {
        (Some((_, key)), _) => key,
        (None, Some(Value::Object(_))) if !REPLACED.contains(&field) => {
            return Err(format!("{place}: it is not known how such lists are merged"));
        }
        _ => {
            *into = patch;
            return Ok(());
        }
    };
    let mut merged = Vec::new();
    for item in patch {
        let id = item.get(key).cloned().ok_or_else(|| format!("{place}: an item without {key}"))?;
        let mut it = match into.iter().position(|it| it.get(key) == Some(&id)) {
            Some(index) => into.remove(index),
            None => Value::Object(Map::new()),
        };
        merge(&mut it, item, place, true)?;
        merged.push(it);
    }
    into.splice(0..0, merged);
    Ok(())
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, it)| !it.is_null())
            .map(|(key, it)| (key, without_nulls(it)))
            .collect(),
        other => other,
    }
}

/// Lists of Kubernetes' own objects whose items have a name, and what holds it.
const MERGE_KEYS: &[(&str, &str)] = &[
    ("containers", "name"),
    ("initContainers", "name"),
    ("env", "name"),
    ("volumes", "name"),
    ("volumeMounts", "mountPath"),
];

/// Lists of objects that Kubernetes replaces as a whole.
const REPLACED: &[&str] = &["ingress", "egress", "sources", "items", "envFrom"];
