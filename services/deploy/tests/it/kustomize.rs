//! The reader renders what kustomize renders, and says what it cannot.
use deploy::kustomize::{Files, render};
use serde_json::Value;
use std::{collections::BTreeMap, process::Command};

fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let name = |it: &Value| {
        format!("{} {} {}", it["kind"], it["metadata"]["namespace"], it["metadata"]["name"])
    };
    objects.into_iter().map(|it| (name(&it), it)).collect()
}

/// What `kubectl` makes of a folder; `None` where it is not installed.
fn by_kubectl(folder: &str) -> Option<Vec<Value>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let run = Command::new("kubectl").args(["kustomize", folder]).current_dir(root).output();
    let output = run.ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl kustomize {folder}: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let files = Files::new("").with("rendered.yaml", text);
    Some(files.documents("rendered.yaml").unwrap())
}

/// Hashes included: who refers to a generated name finds it.
#[test]
fn renders_every_folder_as_kubectl_does() {
    for folder in
        ["k8s/base", "k8s/base/migrate", "k8s/dev", "k8s/overlays/local", "k8s/overlays/production"]
    {
        let Some(expected) = by_kubectl(folder) else {
            eprintln!("skipped: kubectl is not installed");
            return;
        };
        let rendered = by_name(render(&Files::of_the_repository(), folder).unwrap());
        let expected = by_name(expected);
        let names: Vec<&String> = rendered.keys().collect();
        assert_eq!(names, expected.keys().collect::<Vec<_>>(), "{folder}");
        for (name, it) in &rendered {
            assert_eq!(it, &expected[name], "{folder}: {name}");
        }
    }
}

/// A folder with one Deployment, and these lines more.
fn with(lines: &str) -> Files {
    let deployment = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  template:
    spec: {containers: [{name: main, image: 'here/a:1', env: [{name: X, value: y}]}], tolerations: [{key: k}]}
";
    let head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
    let kustomization = format!("{head}resources: [a.yaml]\n{lines}\n");
    Files::new("").with("k/a.yaml", deployment).with("k/kustomization.yaml", kustomization)
}

fn refused(lines: &str, expected: &str) {
    let error = render(&with(lines), "k").unwrap_err().to_string();
    let file = error.starts_with("k/kustomization.yaml: ");
    assert!(file && error.contains(expected), "{lines} gives: {error}");
}

#[test]
fn what_it_does_not_know_is_an_error() {
    refused("vars: []", "vars");
    refused("commonLabels: {a: b}", "commonLabels");
    refused("configMapGenerator: [{name: m, envs: [x]}]", "envs");
    refused("labels: [{pairs: {a: b}, includeSelectors: true}]", "includeSelectors");
    refused(
        "patches: [{patch: '[{op: copy, from: /a, path: /b}]', target: {kind: Deployment}}]",
        "copy",
    );
    let lists = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {tolerations: [{key: l}]}}}}";
    refused(&format!("patches: [{{patch: '{lists}'}}]"), "tolerations");
}

/// kustomize passes over all of these.
#[test]
fn what_meets_nothing_is_an_error() {
    let remove = "'[{op: remove, path: /spec/replicas}]'";
    refused(
        &format!("patches: [{{patch: {remove}, target: {{kind: Deployment, name: b}}}}]"),
        "Deployment b",
    );
    refused(
        &format!("patches: [{{patch: {remove}, target: {{kind: Deployment}}}}]"),
        "/spec/replicas",
    );
    refused("images: [{name: here/b, newTag: '2'}]", "here/b");
    refused("replicas: [{name: b, count: 2}]", "replicas");
    refused("configMapGenerator: [{name: m, behavior: merge, literals: [a=b]}]", "ConfigMap m");
}

#[test]
fn a_key_that_comes_twice_is_an_error() {
    let files = Files::new("").with("a.yaml", "a: 1\nb: 2\na: 3\n");
    let error = files.documents("a.yaml").unwrap_err().to_string();
    assert!(error.contains("duplicate"), "{error}");
}

#[test]
fn patches_images_and_replicas_change_what_they_name() {
    let patch = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [{name: main, env: [{name: X, value: z}, {name: Y, value: new}]}]}}}}";
    let files = with(&format!(
        "namePrefix: p-\nimages: [{{name: here/a, newTag: '2'}}]\nreplicas: [{{name: a, count: 3}}]\npatches: [{{patch: '{patch}'}}]"
    ));
    let objects = render(&files, "k").unwrap();
    let container = &objects[0]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(objects[0]["metadata"]["name"], "p-a");
    assert_eq!(objects[0]["spec"]["replicas"], 3);
    assert_eq!(container["image"], "here/a:2");
    let env = serde_json::json!([{"name": "X", "value": "z"}, {"name": "Y", "value": "new"}]);
    assert_eq!(container["env"], env);
}

#[test]
fn a_whole_object_can_be_deleted() {
    let patch = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, $patch: delete}";
    let objects = render(&with(&format!("patches: [{{patch: '{patch}'}}]")), "k").unwrap();
    assert!(objects.is_empty(), "{objects:?}");
}

/// So that a change of what they hold gives new names, and pods that refer to them are replaced.
#[test]
fn a_generated_name_follows_what_it_holds() {
    let of = |value: &str| {
        let files = with(&format!("configMapGenerator: [{{name: m, literals: ['a={value}']}}]"));
        let objects = render(&files, "k").unwrap();
        objects[1]["metadata"]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(of("1"), of("1"));
    assert_ne!(of("1"), of("2"));
    assert!(of("1").starts_with("m-"));
}
