//! What Tilt's functions are called with, as its reference says.
use crate::starlark::{Arguments, Value};
use std::collections::BTreeMap;

/// A function, how many of its parameters it needs, and all of them in order.
type Function = (&'static str, usize, &'static [&'static str]);

const FUNCTIONS: [Function; 18] = [
    ("allow_k8s_contexts", 1, &["contexts"]),
    ("analytics_settings", 0, &["enable"]),
    ("config.define_bool", 1, &["name", "args", "usage"]),
    ("config.define_string", 1, &["name", "args", "usage"]),
    ("config.parse", 0, &[]),
    ("default_registry", 1, &["host", "host_from_cluster", "single_name"]),
    (
        "docker_build",
        2,
        &[
            "ref",
            "context",
            "build_args",
            "dockerfile",
            "dockerfile_contents",
            "live_update",
            "match_in_env_vars",
            "ignore",
            "only",
            "entrypoint",
            "target",
            "ssh",
            "network",
            "secret",
            "extra_tag",
            "container_args",
            "cache_from",
            "pull",
            "platform",
            "extra_hosts",
        ],
    ),
    ("fail", 1, &["message"]),
    ("k8s_context", 0, &[]),
    (
        "k8s_resource",
        1,
        &[
            "workload",
            "new_name",
            "port_forwards",
            "extra_pod_selectors",
            "trigger_mode",
            "resource_deps",
            "objects",
            "auto_init",
            "pod_readiness",
            "links",
            "labels",
            "discovery_strategy",
        ],
    ),
    ("k8s_yaml", 1, &["yaml", "allow_duplicates"]),
    ("kustomize", 1, &["path", "kustomize_bin", "flags"]),
    ("link", 1, &["url", "name"]),
    (
        "local_resource",
        1,
        &[
            "name",
            "cmd",
            "deps",
            "trigger_mode",
            "resource_deps",
            "ignore",
            "auto_init",
            "serve_cmd",
            "cmd_bat",
            "serve_cmd_bat",
            "allow_parallel",
            "links",
            "tags",
            "env",
            "serve_env",
            "readiness_probe",
            "dir",
            "serve_dir",
            "labels",
        ],
    ),
    ("os.getenv", 1, &["key", "default"]),
    ("run", 1, &["cmd", "trigger", "echo_off"]),
    ("sync", 2, &["local_path", "remote_path"]),
    ("version_settings", 0, &["check_updates", "constraint"]),
];

/// The names of all.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, ..)| *name)
}

/// Arguments by the names of their parameters.
pub(super) fn bind(name: &str, given: Arguments) -> Result<BTreeMap<String, Value>, String> {
    let found = FUNCTIONS.iter().find(|(it, ..)| *it == name);
    let (_, needed, parameters) = found.ok_or_else(|| format!("there is no {name}"))?;
    if given.positional.len() > parameters.len() {
        return Err(format!("{name} takes at most {} arguments", parameters.len()));
    }
    let positional = parameters.iter().map(|it| (*it).to_owned()).zip(given.positional);
    let mut bound: BTreeMap<_, _> = positional.collect();
    for (parameter, value) in given.named {
        if !parameters.contains(&parameter.as_str()) {
            return Err(format!("{name} has no parameter {parameter}"));
        }
        if bound.insert(parameter.clone(), value).is_some() {
            return Err(format!("{name} is given {parameter} twice"));
        }
    }
    match parameters.iter().take(*needed).find(|it| !bound.contains_key(**it)) {
        Some(missing) => Err(format!("{name} needs {missing}")),
        None => Ok(bound),
    }
}
