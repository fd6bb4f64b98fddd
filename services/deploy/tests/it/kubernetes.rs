//! The manifests, as a cluster would get them: of known types, with nothing missing that is named, without privilege, and
//! with everything that production is to have. What is wrong in them is found here, which the faults in
//! `kubernetes/faults.rs` prove.
mod faults;
mod network;
mod operators;
mod overlays;
mod pods;
mod references;
mod subset;
mod types;
mod world;

use serde_json::Value;
use world::{Outside, Stage, World, name, text};

/// Everything that is wrong with rendered objects.
fn check(objects: &[Value], stage: Stage, outside: &Outside) -> Vec<String> {
    let mut wrong: Vec<String> = objects.iter().flat_map(types::check).collect();
    let world = World::new(objects, stage, outside);
    wrong.extend(pods::check(&world));
    wrong.extend(references::check(&world));
    wrong.extend(network::check(&world));
    wrong.extend(operators::check(&world));
    wrong.extend(objects.iter().filter_map(in_its_namespace));
    wrong.extend(twice(objects));
    wrong
}

/// Objects are in the namespace of the fleet, which keeps out pods with privileges.
fn in_its_namespace(object: &Value) -> Option<String> {
    if text(object, "/kind") == "Namespace" {
        let level = text(object, "/metadata/labels/pod-security.kubernetes.io~1enforce");
        return (level != "restricted").then(|| format!("{}: takes any pod", name(object)));
    }
    let namespace = text(object, "/metadata/namespace");
    (namespace != "flotilla").then(|| format!("{}: is in no or another namespace", name(object)))
}

fn twice(objects: &[Value]) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let key = |it: &Value| format!("{} of {}", name(it), text(it, "/apiVersion"));
    let again = objects.iter().map(key).filter(|it| !seen.insert(it.clone()));
    again.map(|it| format!("{it}: is there twice")).collect()
}
