//! Final names: a generated `ConfigMap` or `Secret` gets a hash of what it holds, and who refers to it by its first name is
//! changed, so that a change of settings rolls the pods.
use super::{Object, text};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What was called what, by kind and first name.
type Renamed = BTreeMap<(&'static str, String), String>;

pub(super) fn finish(objects: &mut [Object]) {
    let mut renamed = Renamed::new();
    for object in &mut *objects {
        if object.wants_hash {
            let name = format!("{}-{}", text(&object.value, "/metadata/name"), hash(&object.value));
            object.value["metadata"]["name"] = name.into();
        }
        let kinds = ["ConfigMap", "Secret", "ServiceAccount"];
        if let Some(kind) = kinds.into_iter().find(|it| *it == text(&object.value, "/kind")) {
            let name = text(&object.value, "/metadata/name").to_owned();
            renamed.insert((kind, object.first_name.clone()), name);
        }
    }
    for object in objects {
        if let Some(pod) = object.value.pointer_mut("/spec/template/spec") {
            refer(pod, &renamed);
        }
    }
}

/// Follows the names in a pod.
fn refer(value: &mut Value, renamed: &Renamed) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|it| refer(it, renamed)),
        Value::Object(map) => {
            for (key, value) in map {
                let (kind, name) = match key.as_str() {
                    "configMapRef" | "configMapKeyRef" | "configMap" => ("ConfigMap", "name"),
                    // A volume has `secretName`, a source of a projected one `name`.
                    "secret" if value.get("secretName").is_some() => ("Secret", "secretName"),
                    "secretRef" | "secretKeyRef" | "secret" => ("Secret", "name"),
                    "serviceAccountName" => ("ServiceAccount", ""),
                    _ => {
                        refer(value, renamed);
                        continue;
                    }
                };
                let place = if name.is_empty() { Some(value) } else { value.get_mut(name) };
                if let Some(place) = place
                    && let Some(old) = place.as_str()
                    && let Some(new) = renamed.get(&(kind, old.to_owned()))
                {
                    *place = new.clone().into();
                }
            }
        }
        _ => {}
    }
}

/// As kustomize makes it: ten digits of a hash over what an object holds (its name is left empty), in letters that make no
/// words.
fn hash(value: &Value) -> String {
    let mut hashed = json!({"kind": value["kind"], "name": "", "data": value["data"]});
    if text(value, "/kind") == "Secret" {
        hashed["type"] = value["type"].clone();
    }
    // Go escapes these in JSON, serde does not.
    let json = hashed.to_string();
    let json = json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    let digits = Sha256::digest(json).iter().take(5).fold(String::new(), |mut all, it| {
        use std::fmt::Write as _;
        let _ = write!(all, "{it:02x}");
        all
    });
    let letter = |it| match it {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    digits.chars().map(letter).collect()
}
