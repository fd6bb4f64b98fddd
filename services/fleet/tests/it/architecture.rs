//! Who may know what. The checks are plain functions over text, so that each is shown to be able to fail.
use fleet::services::CONTEXTS;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What a context may stand on. Its binaries alone use `shell`.
const CONTEXT_MAY: &[&str] = &[
    "chrono",
    "functions",
    "serde",
    "serde_json",
    "shared-events",
    "shell",
    "thiserror",
    "unicode-normalization",
    "uuid",
];
/// And its tests besides.
const CONTEXT_TESTS_MAY: &[&str] = &["proptest", "serde_json"];
/// Names that the library of a context has no business with: the world comes in as arguments.
const IMPURE: &[&str] = &[
    "shell::",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "tokio",
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
];
/// What is not for `functions` and `shared-events`.
const IO: &[&str] = &[
    "async-graphql",
    "async-graphql-axum",
    "axum",
    "bff",
    "hyper",
    "hyper-util",
    "rdkafka",
    "reqwest",
    "rustix",
    "schema_registry_converter",
    "shell",
    "sqlx",
    "tokio",
    "tokio-util",
];
/// Libraries that one crate alone knows.
const ONLY: &[(&str, &[&str])] = &[
    ("shell", &["rdkafka", "schema_registry_converter", "sqlx"]),
    ("bff", &["async-graphql", "async-graphql-axum"]),
];
const LINES_MAX: usize = 460;

struct Crate {
    name: String,
    manifest: String,
    /// Path within the crate, and text.
    sources: Vec<(String, String)>,
}

#[test]
fn everybody_knows_only_what_is_theirs() {
    let crates = workspace();
    let names: Vec<&str> = crates.iter().map(|it| it.name.as_str()).collect();
    assert!(names.contains(&"shell") && names.contains(&"shared-events"), "{names:?}");
    for context in CONTEXTS {
        assert!(names.contains(context), "the context {context} has no folder: {names:?}");
    }
    let wrong: Vec<String> = crates.iter().flat_map(check).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn check(it: &Crate) -> Vec<String> {
    let mut wrong = inherits_lints(it);
    wrong.extend(short_files(it));
    wrong.extend(keeps_to_its_libraries(it));
    if CONTEXTS.contains(&it.name.as_str()) {
        wrong.extend(stands_on_little(it));
        wrong.extend(is_pure(it));
    }
    if ["functions", "shared-events"].contains(&it.name.as_str()) {
        wrong.extend(does_no_io(it));
    }
    wrong
}

fn inherits_lints(it: &Crate) -> Vec<String> {
    let has = section(&it.manifest, "lints").any(|line| line.replace(' ', "") == "workspace=true");
    let wrong = format!("{}: its manifest lacks `[lints]` with `workspace = true`", it.name);
    if has { Vec::new() } else { vec![wrong] }
}

fn short_files(it: &Crate) -> Vec<String> {
    let long = |(path, text): &(String, String)| {
        let lines = text.lines().count();
        let advice = "one idea a file: divide it";
        (lines > LINES_MAX).then(|| format!("{}/{path}: {lines} lines; {advice}", it.name))
    };
    it.sources.iter().filter_map(long).collect()
}

fn keeps_to_its_libraries(it: &Crate) -> Vec<String> {
    let mut wrong = Vec::new();
    for (owner, libraries) in ONLY.iter().filter(|(owner, _)| *owner != it.name) {
        for library in *libraries {
            if dependencies(&it.manifest).any(|(_, name)| name == *library) {
                wrong.push(format!("{}: depends on {library}, which only {owner} knows", it.name));
            }
            for (path, text) in &it.sources {
                if names(text, &library.replace('-', "_")) {
                    let place = format!("{}/{path}", it.name);
                    wrong.push(format!("{place}: names {library}, which only {owner} knows"));
                }
            }
        }
    }
    wrong
}

fn stands_on_little(it: &Crate) -> Vec<String> {
    let strange = |(section, name): (String, String)| {
        let is_allowed = CONTEXT_MAY.contains(&name.as_str())
            || section == "dev-dependencies" && CONTEXT_TESTS_MAY.contains(&name.as_str());
        let what = if CONTEXTS.contains(&name.as_str()) {
            "another context: events are what contexts have in common"
        } else {
            "which is not on the list of what a context may use"
        };
        (!is_allowed).then(|| format!("{}: depends on {name}, {what}", it.name))
    };
    dependencies(&it.manifest).filter_map(strange).collect()
}

fn is_pure(it: &Crate) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in &it.sources {
        if path.starts_with("src/bin/") || !path.starts_with("src/") {
            continue;
        }
        for name in IMPURE.iter().filter(|name| names(text, name)) {
            let name = name.trim_end_matches("::");
            wrong.push(format!("{}/{path}: names {name}; a context is pure", it.name));
        }
    }
    wrong
}

fn does_no_io(it: &Crate) -> Vec<String> {
    let io = dependencies(&it.manifest)
        .filter(|(section, name)| section != "dev-dependencies" && IO.contains(&name.as_str()));
    io.map(|(_, name)| format!("{}: depends on {name}, and does no IO", it.name)).collect()
}

/// The lines of a section of a manifest.
fn section<'a>(manifest: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let header = format!("[{name}]");
    let lines = manifest.lines().map(str::trim).skip_while(move |it| *it != header).skip(1);
    lines.take_while(|it| !it.starts_with('['))
}

/// (Section, crate), whether written in a line or as a section of its own.
fn dependencies(manifest: &str) -> impl Iterator<Item = (String, String)> {
    let mut found = Vec::new();
    let mut current: Option<String> = None;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            // A target's dependencies are dependencies.
            let parts: Vec<&str> = header.split('.').collect();
            let at = parts.iter().position(|it| it.ends_with("dependencies"));
            current = at.map(|at| parts[at].to_owned());
            if let Some(at) = at
                && let Some(name) = parts.get(at + 1)
            {
                found.push((parts[at].to_owned(), (*name).to_owned()));
                current = None;
            }
        } else if let Some(section) = &current
            && let Some((key, value)) = line.split_once('=')
            && !line.starts_with('#')
        {
            let renamed = value.split_once("package").and_then(|(_, it)| it.split('"').nth(1));
            let key = key.split('.').next().unwrap_or_default().trim().trim_matches('"');
            found.push((section.clone(), renamed.unwrap_or(key).to_owned()));
        }
    }
    found.into_iter()
}

/// Whether code has the name, by itself or within a `use` with braces. Comments and texts may say what they like.
fn names(source: &str, name: &str) -> bool {
    let code = code_of(source);
    has_word(&code, name) || uses(&code).iter().any(|path| has_word(path, name))
}

/// The source without its comments and without what is in its texts.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let hashes =
            rest.strip_prefix('r').map(|it| it.chars().take_while(|it| *it == '#').count());
        let raw = hashes.filter(|it| rest[1 + it..].starts_with('"') && !ends_in_name(&code));
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |it| it + 2)
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("'\\\"'") {
            4
        } else if let Some(hashes) = raw {
            let (begin, end) = (hashes + 2, format!("\"{}", "#".repeat(hashes)));
            rest[begin..].find(&end).map_or(rest.len(), |it| begin + it + end.len())
        } else if next == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|it| {
                let is_end = it == '"' && !escaped;
                escaped = it == '\\' && !escaped;
                is_end
            });
            end.map_or(rest.len(), |it| it + 2)
        } else {
            code.push(next);
            next.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

fn ends_in_name(code: &str) -> bool {
    code.chars().next_back().is_some_and(|it| it.is_alphanumeric() || it == '_')
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
    text.match_indices(word).any(|(at, _)| {
        let after = &text[at + word.len()..];
        let closed = word.ends_with([':', '!']) || !is_part(after.chars().next());
        // `crate::shell::x` is no name of the crate `shell`.
        let before = &text[..at];
        closed && !is_part(before.chars().next_back()) && !before.ends_with("::")
    })
}

/// Every path of every `use`, written out.
fn uses(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("use ") {
        if let Some((tree, _)) = code[at + 4..].split_once(';') {
            write_out("", &tree.split_whitespace().collect::<String>(), &mut paths);
        }
    }
    paths
}

fn write_out(before: &str, tree: &str, into: &mut Vec<String>) {
    let (mut depth, mut begin) = (0usize, 0);
    let mut branches = Vec::new();
    for (at, it) in tree.char_indices() {
        match it {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                branches.push(&tree[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    branches.push(&tree[begin..]);
    for branch in branches {
        match branch.split_once('{') {
            Some((path, inner)) => {
                let inner = inner.strip_suffix('}').unwrap_or(inner);
                write_out(&format!("{before}{path}"), inner, into);
            }
            None => into.push(format!("{before}{branch}")),
        }
    }
}

fn workspace() -> Vec<Crate> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![root.join("shared-events")];
    folders.extend(entries(&root.join("services")));
    folders.retain(|it| it.join("Cargo.toml").exists());
    folders.iter().map(|it| read(it)).collect()
}

fn read(folder: &Path) -> Crate {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let mut sources = Vec::new();
    let mut left = entries(folder);
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(entries(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let within = path.strip_prefix(folder).unwrap_or(&path);
            sources.push((within.display().to_string(), text));
        }
    }
    sources.sort_unstable();
    Crate { name, manifest, sources }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = found.map(|it| it.path()).collect();
    // Nothing of ours is in hidden folders, nor in what cargo made.
    found.retain(|it| {
        let name = it.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.') && name != "target"
    });
    found.sort_unstable();
    found
}

mod each_rule_can_fail {
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn made_up(name: &str, manifest: &str, path: &str, source: &str) -> Crate {
        Crate {
            name: name.into(),
            manifest: format!("{LINTS}{manifest}"),
            sources: vec![(path.into(), source.into())],
        }
    }

    #[track_caller]
    fn fails(it: &Crate, expected: &str) {
        let wrong = check(it);
        assert!(wrong.iter().any(|it| it.contains(expected)), "{expected:?} is not in {wrong:?}");
    }

    #[track_caller]
    fn passes(it: &Crate) {
        assert_eq!(check(it), Vec::<String>::new());
    }

    #[test]
    fn lints() {
        let without =
            Crate { manifest: "[lints.rust]\n[dependencies]\n".into(), ..made_up("x", "", "", "") };
        fails(&without, "lacks `[lints]`");
    }

    #[test]
    fn long_files() {
        passes(&made_up("x", "", "src/lib.rs", &"\n".repeat(LINES_MAX)));
        fails(&made_up("x", "", "tests/it/a.rs", &"\n".repeat(LINES_MAX + 1)), "461 lines");
    }

    #[test]
    fn libraries_that_one_crate_knows() {
        for manifest in [
            "[dependencies]\nsqlx.workspace = true",
            "[dev-dependencies]\nsqlx = \"1\"",
            "[dependencies.sqlx]\nversion = \"1\"",
            "[target.'cfg(unix)'.build-dependencies]\nsqlx = { version = \"1\" }",
            "[dependencies]\ndb = { package = \"sqlx\", version = \"1\" }",
        ] {
            fails(&made_up("bff", manifest, "", ""), "depends on sqlx, which only shell knows");
            passes(&made_up("shell", manifest, "", ""));
        }
        for source in [
            "use rdkafka::x;",
            "fn f() { rdkafka::x() }",
            "let it = '\"'; rdkafka::x(\"\");",
            "let it = r\"//\"; rdkafka::x();",
            "use {a, rdkafka as r};",
        ] {
            fails(&made_up("fleet", "", "src/a.rs", source), "names rdkafka");
            passes(&made_up("shell", "", "src/a.rs", source));
        }
        let graph = made_up("shell", "", "src/a.rs", "use async_graphql::Object;");
        fails(&graph, "names async-graphql, which only bff knows");
        for source in [
            "// rdkafka does this",
            "let x = \"a // rdkafka\";",
            "let x = r#\"sqlx \" sqlx\"#; /* sqlx */",
            "use crate::rdkafka_like;",
        ] {
            passes(&made_up("fleet", "", "src/a.rs", source));
        }
    }

    #[test]
    fn what_a_context_stands_on() {
        let context = CONTEXTS[0];
        passes(&made_up(context, "[dependencies]\nserde.workspace = true", "", ""));
        passes(&made_up(context, "[dev-dependencies]\nproptest.workspace = true", "", ""));
        for name in ["tokio", "reqwest", "bff", "proptest"] {
            let manifest = format!("[dependencies]\n{name}.workspace = true");
            fails(
                &made_up(context, &manifest, "", ""),
                &format!("depends on {name}, which is not"),
            );
        }
        let other = format!("[dependencies]\n{context}.workspace = true");
        fails(&made_up(context, &other, "", ""), "another context");
    }

    #[test]
    fn purity() {
        let context = CONTEXTS[0];
        for (source, name) in [
            ("use shell::Client;", "shell"),
            ("fn f() { shell::run([]) }", "shell"),
            ("use std::{fmt, fs};", "std::fs"),
            (
                "use std::{\n    collections::{BTreeMap, BTreeSet},\n    net::TcpStream,\n};",
                "std::net",
            ),
            ("use {serde::Serialize, std::env};", "std::env"),
            ("let x = std::process::id();", "std::process"),
            ("println!(\"x\");", "println!"),
            ("#[tokio::main]", "tokio"),
        ] {
            fails(&made_up(context, "", "src/views/a.rs", source), &format!("names {name}"));
            passes(&made_up(context, "", "src/bin/a.rs", source));
            passes(&made_up("fleet", "", "src/a.rs", source));
        }
        let harmless = "// tokio and std::fs\nuse std::{fmt, collections::{BTreeMap as fs}};";
        passes(&made_up(context, "", "src/a.rs", harmless));
    }

    #[test]
    fn io_below_the_shell() {
        for name in ["functions", "shared-events"] {
            let manifest = "[dependencies]\nuuid.workspace = true\ntokio.workspace = true";
            fails(&made_up(name, manifest, "", ""), "depends on tokio, and does no IO");
            passes(&made_up(name, "[dev-dependencies]\ntokio.workspace = true", "", ""));
        }
    }
}
