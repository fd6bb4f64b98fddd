//! `flotilla drill`.
use super::{
    chaos::forget,
    console::{self, Steps},
    signals::Signals,
    tally,
    target::Target,
};
use crate::drill::{self, Elsewhere, Report};
use anyhow::{Context as _, bail, ensure};
use std::{env, fs, path::PathBuf, process::ExitCode, sync::Arc};

/// The options of `drill`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --bff it starts a fleet of its own, of one process a service, and all of it is gone in the end. \
    With --bff it is about a fleet without data that runs somewhere, and what happens to it are commands of yours:\n\n  \
    flotilla drill --bff http://127.0.0.1:8080 --kafka-brokers … --schema-registry-url … --database-url … \\\n    \
    --step 'restart=kubectl rollout restart deployment && kubectl rollout status deployment'\n\n\
    The exit code is 0 only if no mutation was lost or done twice, and nothing else was wrong."
)]
pub(super) struct Options {
    /// Another build of this program, which is deployed beside this one and rolled back: `target/debug/flotilla` of a
    /// branch, say
    #[arg(long, value_name = "PROGRAM", conflicts_with = "bff")]
    next: Option<PathBuf>,
    /// A BFF of a fleet that is there already; several if there are
    #[arg(long, value_name = "URL", requires = "step", value_parser = base)]
    bff: Vec<String>,
    /// What happens to that fleet: a name, and a command that ends when it is done; several, in their order
    #[arg(long, value_name = "NAME=COMMAND", requires = "bff", value_parser = step)]
    step: Vec<(String, String)>,
    /// What clients' choices come from; other ones each time if absent
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Also write the result to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

fn base(text: &str) -> Result<String, String> {
    let is_http = text.starts_with("http://") || text.starts_with("https://");
    let url = text.trim_end_matches('/');
    if is_http {
        Ok(url.to_owned())
    } else {
        Err("not an address such as http://127.0.0.1:8080".into())
    }
}

fn step(text: &str) -> Result<(String, String), String> {
    let step = text.split_once('=').map(|(name, command)| (name.trim(), command.trim()));
    match step {
        Some((name, command)) if !name.is_empty() && !command.is_empty() => {
            Ok((name.to_owned(), command.to_owned()))
        }
        _ => {
            Err("not a name and a command, such as 'restart=kubectl rollout restart deployment'"
                .into())
        }
    }
}

/// Does it, and says what was felt of it.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let signals = Signals::listen()?;
    let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()));
    let data = env::temp_dir().join(format!("flotilla-drill-{}-{seed}", std::process::id()));
    ensure!(!data.exists(), "{} is there already: delete it", data.display());
    let (stop, tell) = (signals.soft.clone(), say as fn(&str));
    let is_own = options.bff.is_empty();
    let report = async {
        if is_own {
            console::note(&format!("drill: seed {seed}, in {}", data.display()));
            let program = env::current_exe().context("find this program")?;
            let run = drill::Options {
                program,
                next: options.next,
                data: data.clone(),
                seed,
                stop,
                tell,
            };
            drill::run(&run, Arc::new(Steps::new())).await
        } else {
            console::note(&format!("drill: seed {seed}, of {}", options.bff.join(", ")));
            let Options { bff: bffs, step: steps, .. } = options;
            let (shell, data) = (options.target.shell()?, data.clone());
            drill::run_elsewhere(Elsewhere { bffs, shell, steps, seed, data, stop, tell }).await
        }
    };
    let report = tokio::select! {
        report = report => report,
        () = signals.hard.cancelled() => Err(anyhow::anyhow!("stopped at once, nothing was checked")),
    };
    let is_clean = report.as_ref().is_ok_and(|it| it.kept.is_none());
    if is_own && (is_clean || report.is_err()) {
        forget(&data).await;
    }
    let report = report?;
    print(&report);
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
    }
    if let Some(kept) = &report.kept {
        bail!(
            "{} anomalies with seed {seed}; what was seen is in {}",
            report.tally.anomalies.len(),
            kept.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn say(what: &str) {
    console::note(&format!("  {what}"));
}

fn print(report: &Report) {
    tally::title(&format!(
        "Steps: {} in {:.0} s, seed {}",
        report.steps.len(),
        report.took_s,
        report.seed
    ));
    let seconds = |it: f64| format!("{it:.3}");
    let rows = report.steps.iter().map(|it| {
        let failed = it.attempts_failed.to_string();
        vec![it.step.clone(), format!("{:.1}", it.took_s), seconds(it.longest_s), failed]
    });
    let calm =
        vec!["nothing".to_owned(), String::new(), seconds(report.calm_longest_s), String::new()];
    let rows: Vec<Vec<String>> = rows.chain([calm]).collect();
    let header = ["what happened", "s", "longest wait for a key, s", "attempts failed"];
    console::line(console::columns(&header, &rows).trim_end());
    tally::print(&report.tally);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_name_and_a_command() {
        let restart = step("restart = kubectl set env A=1").expect("a step");
        assert_eq!(restart, ("restart".to_owned(), "kubectl set env A=1".to_owned()));
        for wrong in ["restart", "=kubectl", "restart="] {
            assert!(step(wrong).is_err(), "{wrong}");
        }
        assert_eq!(base("https://fleet.example/"), Ok("https://fleet.example".to_owned()));
        assert!(base("127.0.0.1:8080").is_err());
    }
}
