//! A Dockerfile as `BuildKit` reads it, as far as ours uses its language.
mod check;
mod context;

pub use check::faults;
pub use context::Context;

use std::collections::BTreeMap;

/// A Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Arguments before the first stage, with their defaults.
    pub arguments: BTreeMap<String, String>,
    /// The stages, in order.
    pub stages: Vec<Stage>,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// What it begins with: an image, or another stage.
    pub from: String,
    /// What is done.
    pub steps: Vec<Step>,
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// In capitals.
    pub name: String,
    /// `--from=build` and the like.
    pub flags: Vec<String>,
    /// What follows.
    pub text: String,
}

/// Reads a Dockerfile.
///
/// # Errors
/// If an instruction is unknown, or stands before the first stage.
pub fn read(text: &str) -> Result<Dockerfile, String> {
    let mut it = Dockerfile { arguments: BTreeMap::new(), stages: Vec::new() };
    for line in lines(text) {
        let (name, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if !INSTRUCTIONS.contains(&name) {
            return Err(format!("{name} is no instruction that we use"));
        }
        let mut words = rest.trim();
        let mut flags = Vec::new();
        while words.starts_with("--") {
            let (flag, after) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
            flags.push(flag.to_owned());
            words = after.trim_start();
        }
        let text = words.to_owned();
        match (name, it.stages.last_mut()) {
            ("FROM", _) => {
                let mut parts = words.split_whitespace();
                let from = expanded(parts.next().unwrap_or_default(), &it.arguments);
                let name = parts.nth(1).unwrap_or_default().to_owned();
                it.stages.push(Stage { name, from, steps: Vec::new() });
            }
            (_, Some(stage)) => {
                stage.steps.push(Step { name: name.to_owned(), flags, text });
            }
            ("ARG", None) => {
                let (name, value) = text.split_once('=').unwrap_or((&text, ""));
                it.arguments.insert(name.to_owned(), value.to_owned());
            }
            (_, None) => return Err(format!("{name} stands before the first FROM")),
        }
    }
    Ok(it)
}

const INSTRUCTIONS: [&str; 11] = [
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "LABEL",
    "RUN",
    "USER",
    "WORKDIR",
];

/// Without comments, and each instruction in one line.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = false;
    for line in text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#')) {
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) => (part.trim_end(), true),
            None => (line, false),
        };
        match lines.last_mut().filter(|_| open) {
            Some(last) => *last = format!("{last} {part}"),
            None => lines.push(part.to_owned()),
        }
        open = goes_on;
    }
    lines
}

/// With the arguments' defaults in place of `${NAME}`.
fn expanded(text: &str, arguments: &BTreeMap<String, String>) -> String {
    arguments
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

impl Stage {
    /// All steps of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Step> {
        self.steps.iter().filter(move |it| it.name == name)
    }

    /// The last step of a name, which is the one that counts.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&Step> {
        self.steps.iter().rfind(|it| it.name == name)
    }

    /// A variable of the environment that it sets.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        let mut words = self.all("ENV").flat_map(|it| it.text.split_whitespace());
        words.find_map(|it| it.strip_prefix(name)?.strip_prefix('='))
    }
}

impl Step {
    /// The value of a flag.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().find_map(|it| it.strip_prefix(name)?.strip_prefix('='))
    }
}
