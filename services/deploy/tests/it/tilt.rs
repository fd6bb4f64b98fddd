//! `tilt up`, run without Tilt and without a cluster.
use super::compose::root;
use deploy::{
    kustomize::Files,
    tilt::{self, Declared, Settings},
};
use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

fn file(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn settings(context: &str, arguments: &[&str]) -> Settings {
    let arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
    Settings { context: context.to_owned(), arguments, ..Settings::default() }
}

fn run(text: &str, settings: &Settings) -> Result<Declared, String> {
    tilt::run(text, &Files::of_the_repository(), settings)
}

fn faults(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for arguments in [&[][..], &["build=host"]] {
        match run(text, &settings("kind-flotilla", arguments)) {
            Ok(declared) => all.extend(tilt::faults(&declared, &root())),
            Err(error) => all.push(error),
        }
    }
    all
}

#[test]
fn nothing_is_wrong_with_it() {
    assert_eq!(faults(&file("Tiltfile")), Vec::<String>::new());
}

#[test]
fn it_declares_the_fleet() {
    let it = run(&file("Tiltfile"), &settings("kind-flotilla", &[])).unwrap();
    assert_eq!(it.images.len(), 1);
    assert!(it.objects.len() > 10, "only {} objects", it.objects.len());
    let names: Vec<_> = it.local.iter().map(|it| it.text("name")).collect();
    for name in ["build", "send a mutation", "audit", "rebuild customer", "reset"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
}

#[test]
fn only_a_cluster_of_this_machine_is_touched() {
    let text = file("Tiltfile");
    for context in ["kind-flotilla", "k3d-a", "minikube", "docker-desktop", "orbstack"] {
        let it = run(&text, &settings(context, &[])).unwrap();
        assert!(it.allowed.is_empty(), "{context}: Tilt knows it by itself");
    }
    let refused = run(&text, &settings("production", &[])).unwrap_err();
    assert!(refused.contains("production is no cluster of this machine"), "{refused}");

    let named = |context: &str, named: &str| {
        let mut settings = settings(context, &[]);
        settings.environment.insert("FLOTILLA_K8S_CONTEXT".to_owned(), named.to_owned());
        run(&text, &settings)
    };
    assert_eq!(named("laboratory", "laboratory").unwrap().allowed, ["laboratory"]);
    let refused = named("production", "laboratory").unwrap_err();
    assert!(refused.contains("kubectl works on production"), "{refused}");
}

#[test]
fn options_are_checked() {
    let text = file("Tiltfile");
    let refused = run(&text, &settings("kind-a", &["build=podman"])).unwrap_err();
    assert!(refused.contains("--build=podman is neither docker nor host"), "{refused}");
    let refused = run(&text, &settings("kind-a", &["bild=host"])).unwrap_err();
    assert!(refused.contains("--bild is not defined"), "{refused}");
}

#[test]
fn every_command_is_one_that_a_shell_understands() {
    let it = run(&file("Tiltfile"), &settings("kind-flotilla", &[])).unwrap();
    for resource in &it.local {
        let command = resource.text("cmd");
        let said = Command::new("sh").args(["-n", "-c", command]).output().unwrap();
        assert!(said.status.success(), "{command}: {}", String::from_utf8_lossy(&said.stderr));
    }
    for script in ["build.sh", "supervise.sh"] {
        let script = root().join("services/deploy/development").join(script);
        assert!(Command::new("sh").arg("-n").arg(&script).status().unwrap().success());
    }
}

#[test]
fn the_sample_mutation_is_json_with_a_new_address() {
    let it = run(&file("Tiltfile"), &settings("kind-flotilla", &[])).unwrap();
    let button = it.local.iter().find(|it| it.text("name") == "send a mutation").unwrap();
    // Instead of sending its last argument, print it.
    let script =
        format!("curl() {{ for it; do :; done; printf %s \"$it\"; }}; {}", button.text("cmd"));
    let said = Command::new("sh").args(["-c", &script]).output().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let query = body["query"].as_str().unwrap();
    assert!(query.contains("email: \"ada-") && query.contains("@example.com\""), "{query}");
    assert!(!query.contains('$'), "{query}");
}

#[test]
fn the_build_script_makes_what_the_image_is_made_of() {
    let it = run(&file("Tiltfile"), &settings("kind-flotilla", &[])).unwrap();
    let script = file("services/deploy/development/build.sh");
    assert!(script.contains("out=target/tilt/out"));
    assert_eq!(it.images[0].text("context"), "target/tilt/out");
    for name in it.images[0].texts("only") {
        let made = [format!("\"$out/{name}\""), format!("\"$out/{name}/")];
        assert!(made.iter().any(|it| script.contains(it)), "nothing makes {name}");
    }
}

#[test]
fn a_program_is_started_again_on_hup_and_ends_on_term() {
    let supervise = root().join("services/deploy/development/supervise.sh");
    let program = "trap 'exit 3' TERM; echo started; while :; do sleep 0.02; done";
    let mut child = Command::new("sh")
        .arg(supervise)
        .args(["sh", "-c", program])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let signal = |signal: &str| {
        // The shell's own: not every machine has the program.
        let command = format!("kill -s {signal} {}", child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    };
    assert_eq!(lines.next().unwrap().unwrap(), "started");
    signal("HUP");
    assert_eq!(lines.next().unwrap().unwrap(), "started", "again");
    signal("TERM");
    assert_eq!(child.wait().unwrap().code(), Some(3), "the program's own code");
}

#[test]
fn what_ends_by_itself_ends_the_container_with_its_code() {
    let supervise = root().join("services/deploy/development/supervise.sh");
    let status = Command::new("sh").arg(supervise).args(["sh", "-c", "exit 7"]).status().unwrap();
    assert_eq!(status.code(), Some(7));
}

#[test]
fn every_fault_is_found() {
    let mut missed = Vec::new();
    for (what, from, to, expected) in FAULTS {
        let text = file("Tiltfile");
        assert!(text.contains(from), "{what}: {from:?} is not in the file any more");
        let found = faults(&text.replacen(from, to, 1)).join("\n");
        if !found.contains(expected) {
            missed.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// What is wrong, a text of the file, what it is replaced with, and what is to be said.
const FAULTS: [(&str, &str, &str, &str); 30] = [
    ("a misspelt function", "k8s_yaml(", "k8s_yml(", "there is no k8s_yml"),
    (
        "a misspelt parameter",
        "resource_deps=['migrate'], labels",
        "resource_dep=['migrate'], labels",
        "k8s_resource has no parameter resource_dep",
    ),
    ("a missing argument", "'target/tilt/out',\n", "", "docker_build needs context"),
    ("an unknown name", "options.get('build'", "optoins.get('build'", "there is no optoins"),
    (
        "an undefined option",
        "config.define_string('build'",
        "config.define_string('builder'",
        "--build is not defined",
    ),
    (
        "a missing comma",
        "'flotilla',\n    'target",
        "'flotilla'\n    'target",
        "a comma is missing",
    ),
    (
        "a wrong depth",
        "    if context != allowed",
        "   if context != allowed",
        "as deep as no block around it",
    ),
    (
        "something from the network",
        "analytics_settings(enable=False)",
        "load('ext://restart_process', 'docker_build_with_restart')",
        "there is no load",
    ),
    ("another overlay", "'k8s/overlays/local')", "'k8s/overlays/locale')", "k8s/overlays/locale"),
    (
        "an unknown workload",
        "    'bff',\n    port",
        "    'graphql',\n    port",
        "k8s_resource \"graphql\" matches no workload",
    ),
    (
        "a workload without a place",
        "k8s_resource('registry', port_forwards=['28081:8080'], resource_deps=['postgres'], labels=['servers'])\n",
        "",
        "registry: no k8s_resource gives it a place",
    ),
    (
        "an unknown dependency",
        "['build', 'kafka', 'postgres', 'registry']",
        "['build', 'kafka', 'postgres', 'schemas']",
        "resource_deps names \"schemas\"",
    ),
    (
        "no migration before",
        "port_forwards=['28082:8080'], resource_deps=['migrate']",
        "port_forwards=['28082:8080'], resource_deps=['build']",
        "customers-handler: it does not wait for migrate",
    ),
    (
        "no build before",
        "resource_deps=['build', 'kafka', 'postgres', 'registry']",
        "resource_deps=['kafka', 'postgres', 'registry']",
        "migrate: it does not wait for build",
    ),
    (
        "a circle",
        "k8s_resource('kafka', port_forwards=['29092:29092']",
        "k8s_resource('kafka', resource_deps=['migrate'], port_forwards=['29092:29092']",
        "waits for itself",
    ),
    ("a port twice", "28083:8080", "28082:8080", "the port 28082 is customers-"),
    (
        "a port where nobody listens",
        "25432:5432",
        "25432:5433",
        "postgres: no container listens at 5433",
    ),
    (
        "a link that leads nowhere",
        "link('http://localhost:8080/fleet'",
        "link('http://localhost:8081/fleet'",
        "the link http://localhost:8081/fleet leads nowhere",
    ),
    (
        "an image that nobody uses",
        "    'flotilla',\n    'target",
        "    'fleet',\n    'target",
        "no workload uses the image fleet",
    ),
    (
        "an image that nobody builds",
        "    'flotilla',\n    'target",
        "    'fleet',\n    'target",
        "nothing builds its image flotilla",
    ),
    (
        "a missing Dockerfile",
        "development/Dockerfile'",
        "development/Containerfile'",
        "the Dockerfile",
    ),
    (
        "the repository as context",
        "'target/tilt/out',\n    dockerfile",
        "'.',\n    dockerfile",
        "the context is no folder below target",
    ),
    (
        "a sync from outside",
        "sync('target/tilt/out/flotilla'",
        "sync('target/debug/flotilla'",
        "is outside of the context",
    ),
    (
        "a file that is not sent",
        "only=['flotilla', 'page', 'supervise.sh']",
        "only=['flotilla', 'supervise.sh']",
        "copies page, which only= does not send",
    ),
    (
        "a sync to where nobody may write",
        "'/usr/local/bin/live/flotilla'",
        "'/usr/local/bin/flotilla'",
        "no file that the image's user may write",
    ),
    (
        "nothing starts it again",
        "        run('kill -HUP 1'),\n",
        "",
        "nothing starts the program again",
    ),
    (
        "a missing source folder",
        "'services', 'shared-events'],",
        "'service', 'shared-events'],",
        "build: service is not in the repository",
    ),
    ("a button that presses itself", "        auto_init=False,\n", "", "it runs by itself"),
    (
        "a button for nobody",
        "exec deployment/bff",
        "exec deployment/graphql",
        "there is no deployment/graphql",
    ),
    (
        "a button for any cluster",
        "'kubectl --context %s --namespace flotilla ' % context",
        "'kubectl --namespace flotilla '",
        "whatever cluster is the current one",
    ),
];
