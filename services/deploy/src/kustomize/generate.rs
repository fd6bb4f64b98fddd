//! `ConfigMap` and `Secret` objects from literals and files.
use super::{
    Error, Files, Object, at, files,
    kustomization::{Behavior, Generator, Kustomization},
    text,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use std::path::Path;

pub(super) fn all(
    files: &Files,
    folder: &Path,
    file: &Path,
    it: &Kustomization,
    objects: &mut Vec<Object>,
) -> Result<(), Error> {
    for (kind, generators) in
        [("ConfigMap", &it.config_map_generator), ("Secret", &it.secret_generator)]
    {
        for generator in generators {
            let data = data(files, folder, file, kind, generator)?;
            add(kind, generator, data, objects).map_err(at(file))?;
        }
    }
    Ok(())
}

fn data(
    files: &Files,
    folder: &Path,
    file: &Path,
    kind: &str,
    generator: &Generator,
) -> Result<Map<String, Value>, Error> {
    let mut data = Map::new();
    let encode = |text: String| match kind {
        "Secret" => BASE64_STANDARD.encode(text),
        _ => text,
    };
    for literal in &generator.literals {
        let Some((key, value)) = literal.split_once('=') else {
            let reason = format!("literals: {literal:?} of {} is not key=value", generator.name);
            return Err(at(file)(reason));
        };
        // kustomize takes a pair of quotes off.
        let bare = ['"', '\''].iter().find_map(|it| value.strip_prefix(*it)?.strip_suffix(*it));
        data.insert(key.to_owned(), encode(bare.unwrap_or(value).to_owned()).into());
    }
    for it in &generator.files {
        let (key, path) = it
            .split_once('=')
            .unwrap_or_else(|| (it.rsplit('/').next().unwrap_or(it), it.as_str()));
        let text = files.read(files::join(folder, path))?;
        data.insert(key.to_owned(), encode(text).into());
    }
    Ok(data)
}

fn add(
    kind: &str,
    generator: &Generator,
    data: Map<String, Value>,
    objects: &mut Vec<Object>,
) -> Result<(), String> {
    let is_it =
        |it: &&mut Object| text(&it.value, "/kind") == kind && it.is_called(&generator.name);
    let found = objects.iter_mut().find(is_it);
    match (&generator.behavior, found) {
        (Behavior::Create, None) => {
            let mut value = json!({"apiVersion": "v1", "kind": kind,
                "metadata": {"name": generator.name}, "data": data});
            if kind == "Secret" {
                value["type"] = generator.kind.as_deref().unwrap_or("Opaque").into();
            }
            if !generator.options.labels.is_empty() {
                value["metadata"]["labels"] = json!(generator.options.labels);
            }
            let wants_hash = !generator.options.disable_name_suffix_hash;
            objects.push(Object { wants_hash, ..Object::new(value) });
        }
        (Behavior::Merge, Some(it)) => {
            let into = it.value["data"].as_object_mut().ok_or("data: is no map")?;
            into.extend(data);
        }
        (Behavior::Replace, Some(it)) => it.value["data"] = data.into(),
        (Behavior::Create, Some(_)) => {
            return Err(format!("{kind} {}: is there already", generator.name));
        }
        (Behavior::Merge | Behavior::Replace, None) => {
            return Err(format!("{kind} {}: is not there to be changed", generator.name));
        }
    }
    Ok(())
}
