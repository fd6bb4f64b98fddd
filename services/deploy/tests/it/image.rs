//! The Dockerfile, checked without an engine.
use super::compose::root;
use deploy::dockerfile::{self, Context};

fn file(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The oldest Rust that the workspace says it compiles with.
fn rust() -> String {
    let manifest = file("Cargo.toml");
    let line = manifest.lines().find(|it| it.starts_with("rust-version")).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

fn faults(text: &str, ignore: &str) -> Vec<String> {
    dockerfile::faults(text, &Context { root: &root(), ignore }, &rust())
}

#[test]
fn nothing_is_wrong_with_it() {
    assert_eq!(faults(&file("Dockerfile"), &file(".dockerignore")), Vec::<String>::new());
}

#[test]
fn everything_that_the_program_is_made_of_is_sent() {
    let ignore = file(".dockerignore");
    let root = root();
    let context = Context { root: &root, ignore: &ignore };
    let mut needed = 0;
    for folder in ["services", "shared-events"] {
        let endings = [".rs", ".toml", ".sql", ".avsc", ".html", ".js", ".xml"];
        for path in deploy::versions::files(&root.join(folder), &endings).unwrap() {
            let path = path.strip_prefix(&root).unwrap().to_str().unwrap();
            let is_made_of = path.contains("/src/")
                || path.contains("/migrations/")
                || path.contains("/schemas/")
                || path.ends_with("stack/pom.xml")
                || path.ends_with("Cargo.toml");
            if is_made_of && !path.contains("/target/") && !path.contains("/fuzz/") {
                assert!(context.sends(path), "{path}");
                needed += 1;
            }
        }
    }
    assert!(needed > 200, "only {needed} files");
}

#[test]
fn the_page_of_the_image_has_the_files_that_the_development_stack_has() {
    // Both take the same step of the same pom file; what is flattened here is what `fetch.rs` looks for.
    let fetch = file("services/fleet/src/stack/fetch.rs");
    let pom = file("services/fleet/stack/pom.xml");
    assert!(pom.contains("<id>web</id>"), "the Dockerfile calls dependency:unpack@web");
    for name in [
        "react.production.min.js",
        "react-dom.production.min.js",
        "graphiql.min.js",
        "graphiql.min.css",
    ] {
        assert!(fetch.contains(name) && pom.contains(name), "{name}");
    }
    assert!(file("Dockerfile").contains("dependency:unpack@web"));
    assert!(file("services/deploy/development/build.sh").contains("dependency:unpack@web"));
}

#[test]
fn the_development_image_is_like_the_real_one_for_who_runs_it() {
    let real = dockerfile::read(&file("Dockerfile")).unwrap();
    let development = dockerfile::read(&file("services/deploy/development/Dockerfile")).unwrap();
    let (real, development) = (real.stages.last().unwrap(), development.stages.last().unwrap());
    for name in ["FLOTILLA_ASSETS", "FLOTILLA_HTTP"] {
        assert_eq!(development.variable(name), real.variable(name), "{name}");
        assert!(real.variable(name).is_some(), "{name}");
    }
    for name in ["USER", "EXPOSE", "CMD"] {
        assert_eq!(development.last(name).unwrap().text, real.last(name).unwrap().text, "{name}");
    }
    let entry = &development.last("ENTRYPOINT").unwrap().text;
    assert_eq!(entry, "[\"/usr/local/bin/supervise\", \"/usr/local/bin/flotilla\"]");
}

#[test]
fn every_fault_is_found() {
    let mut missed = Vec::new();
    for (what, from, to, expected) in FAULTS {
        let text = file("Dockerfile");
        assert!(text.contains(from), "{what}: {from:?} is not in the file any more");
        let found = faults(&text.replacen(from, to, 1), &file(".dockerignore")).join("\n");
        if !found.contains(expected) {
            missed.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn every_fault_of_what_is_sent_is_found() {
    for (from, to, expected) in [
        ("!Cargo.lock\n", "", "COPY Cargo.lock: it is not in what is sent"),
        ("!services\n", "!service\n", "COPY services: it is not in what is sent"),
        ("*\n!Cargo.toml", "!Cargo.toml", "README.md is sent to the builder"),
        ("**/tests\n", "", "services/bff/tests is sent to the builder"),
        ("**/target\n", "", "services/fleet/target is sent to the builder"),
    ] {
        let ignore = file(".dockerignore");
        assert!(ignore.contains(from), "{from:?} is not in the file any more");
        let found = faults(&file("Dockerfile"), &ignore.replacen(from, to, 1)).join("\n");
        assert!(found.contains(expected), "expected {expected:?}, found {found:?}");
    }
}

/// What is wrong, a text of the file, what it is replaced with, and what is to be said.
const FAULTS: [(&str, &str, &str, &str); 35] = [
    (
        "a syntax line",
        "# One image",
        "# syntax=docker/dockerfile:1\n# One image",
        "a syntax line fetches an image",
    ),
    (
        "a new flag",
        "COPY --from=build",
        "COPY --link --from=build",
        "COPY --link needs a newer builder",
    ),
    (
        "a heredoc",
        "RUN apt-get update",
        "RUN cat <<E\nRUN apt-get update",
        "a heredoc needs a newer builder",
    ),
    (
        "a secret as an argument",
        "ARG TARGETARCH",
        "ARG REGISTRY_TOKEN\nARG TARGETARCH",
        "stays in the image",
    ),
    ("an unknown instruction", "EXPOSE 8080", "EXPOSES 8080", "EXPOSES is no instruction"),
    ("an image without a tag", "rust:1.95.0-slim-bookworm", "rust", "the image rust has no tag"),
    ("another version", "rust:1.95.0-slim", "rust:1.96.0-slim", "in versions.rs"),
    ("an old Rust", "rust:1.95.0-slim", "rust:1.80.0-slim", "Rust 1.80.0 is not the fleet's"),
    (
        "a stranger's image",
        "gcr.io/distroless/cc-debian12:nonroot",
        "example.com/cc-debian12:nonroot",
        "is not in versions.rs",
    ),
    (
        "another Debian",
        "cc-debian12:nonroot",
        "cc-debian13:nonroot",
        "different releases of Debian",
    ),
    ("a stage that is none", "COPY --from=build", "COPY --from=builder", "there is no such stage"),
    (
        "a file that is not there",
        "COPY Cargo.toml",
        "COPY rust-toolchain.toml Cargo.toml",
        "COPY rust-toolchain.toml: it is not",
    ),
    (
        "a file that is not sent",
        "COPY Cargo.toml",
        "COPY README.md Cargo.toml",
        "COPY README.md: it is not",
    ),
    ("recommended packages", " --no-install-recommends", "", "what nobody asked for"),
    ("lists that stay", " && rm -rf /var/lib/apt/lists/*", "", "package lists"),
    ("no OpenSSL", "libssl-dev ", "", "without libssl-dev"),
    ("no C++", "g++ ", "", "without g++"),
    ("any versions", "cargo build --locked", "cargo build", "no --locked"),
    ("not optimized", "--locked --release", "--locked", "no --release"),
    ("with symbols", "CARGO_PROFILE_RELEASE_STRIP=symbols ", "", "symbols are most of the file"),
    (
        "no revision",
        " FLOTILLA_REVISION=\"${REVISION}\"",
        "",
        "--version does not know the revision",
    ),
    ("an undeclared argument", "ARG TARGETARCH\n", "", "TARGETARCH is used, but not declared"),
    (
        "architectures in one folder",
        "--target-dir \"/target/${TARGETARCH}\" \\\n && install -D \"/target/${TARGETARCH}",
        "--target-dir \"/target\" \\\n && install -D \"/target",
        "two architectures share",
    ),
    (
        "no cache",
        "--mount=type=cache,id=flotilla-target,target=/target,sharing=locked",
        "--mount=type=tmpfs,target=/x",
        "/target is no cache",
    ),
    (
        "a secret that everybody needs",
        "type=secret,id=ca,",
        "type=secret,required=true,id=ca,",
        "a secret is required",
    ),
    (
        "times that differ",
        "ARG SOURCE_DATE_EPOCH=0\nRUN find /image -exec touch",
        "RUN find /image -exec ls",
        "build: two builds of one commit differ",
    ),
    ("root", "USER 65532:65532", "USER root", "it runs as \"root\""),
    ("user zero", "USER 65532:65532", "USER 0", "it runs as \"0\""),
    (
        "a shell",
        "ENTRYPOINT [\"/usr/local/bin/flotilla\"]",
        "ENTRYPOINT /usr/local/bin/flotilla",
        "the entry point /usr/local/bin/flotilla is not",
    ),
    (
        "a program that is not there",
        "ENTRYPOINT [\"/usr/local/bin/flotilla\"]",
        "ENTRYPOINT [\"/app/flotilla\"]",
        "the entry point [\"/app/flotilla\"]",
    ),
    (
        "a step without a shell",
        "EXPOSE 8080",
        "RUN mkdir /data\nEXPOSE 8080",
        "RUN in the last stage",
    ),
    (
        "the page elsewhere",
        "FLOTILLA_ASSETS=/usr/share/flotilla/page",
        "FLOTILLA_ASSETS=/usr/share/page",
        "FLOTILLA_ASSETS is not",
    ),
    (
        "nobody reaches it",
        "FLOTILLA_HTTP=0.0.0.0:8080",
        "FLOTILLA_HTTP=127.0.0.1:8080",
        "FLOTILLA_HTTP is not",
    ),
    (
        "a label without its argument",
        "org.opencontainers.image.revision=\"${REVISION}\"",
        "org.opencontainers.image.revision=\"head\"",
        "the label revision does not say",
    ),
    (
        "two at one address",
        "FLOTILLA_HTTP=0.0.0.0:8080",
        "FLOTILLA_HTTP=0.0.0.0:8080 FLOTILLA_HEALTH=0.0.0.0:8080",
        "the BFF would listen at one address twice",
    ),
];
