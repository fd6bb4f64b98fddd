//! The programs of `bench/peers`: built for the benchmark only, run as processes, each says its result on one line.
use super::Plan;
use crate::stack::{Progress, Stopwatch};
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::{path::PathBuf, process::Stdio};

/// The programs of `bench/peers`.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    programs: PathBuf,
    sources: PathBuf,
    all: bool,
}

impl Peers {
    /// Builds the programs that the plan needs.
    pub(super) fn build(plan: &Plan, progress: &dyn Progress) -> anyhow::Result<Self> {
        let manifest = plan.sources.join("Cargo.toml");
        let watch = Stopwatch::start();
        let what = if plan.peers { "limits and peers" } else { "limits" };
        progress.began(what, "them to be built");
        let mut command = std::process::Command::new("cargo");
        command.args(["build", "--release", "--locked", "--manifest-path"]).arg(&manifest);
        if !plan.peers {
            command.args(["--package", "limits"]);
        }
        let status = command.stdout(Stdio::null()).status().context("run cargo: is it there?")?;
        if !status.success() {
            bail!("{} could not be built, {status}", manifest.display());
        }
        if plan.peers {
            let status = std::process::Command::new("npm")
                .args(["ci", "--silent"])
                .current_dir(plan.sources.join("emmett"))
                .status()
                .context("run npm: is it there? --no-peers measures without it")?;
            if !status.success() {
                bail!("the packages of bench/peers/emmett could not be installed, {status}");
            }
        }
        progress.done(what, "built", watch.took());
        let programs = plan.sources.join("target/release");
        Ok(Self { programs, sources: plan.sources.clone(), all: plan.peers })
    }

    /// What a limit can do.
    pub(super) async fn limit(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        run(tokio::process::Command::new(self.programs.join("limits")), "limits", arguments).await
    }

    /// What a peer can do; nothing if peers are not asked for.
    pub(super) async fn peer(
        &self,
        name: &str,
        arguments: &[&str],
    ) -> anyhow::Result<Option<Value>> {
        if !self.all {
            return Ok(None);
        }
        let command = if name == "emmett" {
            let mut command = tokio::process::Command::new("node");
            command.arg(self.sources.join("emmett/main.js"));
            command
        } else {
            tokio::process::Command::new(self.programs.join(format!("peer-{name}")))
        };
        run(command, name, arguments).await.map(Some)
    }
}

async fn run(
    mut command: tokio::process::Command,
    name: &str,
    arguments: &[&str],
) -> anyhow::Result<Value> {
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("run {name}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("{name} {} failed, {}: {why}", arguments.join(" "), output.status);
    }
    let line = said.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("{name} said {line:?}"))
}

/// A figure of a program's result.
pub(super) fn figure(result: &Value, name: &str) -> anyhow::Result<f64> {
    result[name].as_f64().with_context(|| format!("no {name} in {result}"))
}
