//! `flotilla status`.
mod progress;
mod tables;

use super::{DataFolder, console};
use crate::stack::{Description, Discovery, Stopwatch, discover};
use anyhow::Context as _;
use progress::Standstill;
use serde_json::{Value, json};
use shell::status::Report;
use std::{process::ExitCode, time::Duration};

/// The options of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "It succeeds only when everything is ready.")]
pub(super) struct Options {
    #[command(flatten)]
    folder: DataFolder,
    /// Ask the process with this address instead, such as a handler that runs alone (its `FLOTILLA_HEALTH`)
    #[arg(long, value_name = "HOST:PORT", value_parser = base_address)]
    http: Option<String>,
    /// Wait until all is ready, at most so many seconds [default when given: 120]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "120")]
    wait: Option<u64>,
    /// For scripts: everything as one JSON object
    #[arg(long)]
    json: bool,
}

/// What is known about a fleet, or about one process of it.
#[derive(Debug)]
enum Found {
    /// No process uses the data folder.
    Stopped,
    /// A process uses it, but no service of it runs yet, or any more.
    Between { pid: Option<u32> },
    /// The services of a fleet run.
    Fleet { description: Description, told: Told },
    /// A process was named.
    Process { http: String, told: Told },
}

/// What a process tells about itself, or why it does not.
type Told = Result<Report, String>;

/// How often what is not ready is looked at.
const PULSE: Duration = Duration::from_millis(100);
/// A process that lives answers sooner.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shows what is known. Succeeds only when all is ready.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let client = reqwest::Client::builder().timeout(PATIENCE).build().context("make a client")?;
    wait_until_ready(&client, &options).await;
    let found = find(&client, &options).await;
    if options.json {
        console::line(&serde_json::to_string_pretty(&found.as_json()?)?);
    } else {
        console::line(found.as_text(&options.folder.data.display().to_string()).trim_end());
    }
    Ok(if found.is_ready() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns at the latest when patience is over; without `--wait` at once.
async fn wait_until_ready(client: &reqwest::Client, options: &Options) {
    let watch = Stopwatch::start();
    let patience = Duration::from_secs(options.wait.unwrap_or_default());
    let mut pulse = tokio::time::interval(PULSE);
    while watch.took() < patience {
        pulse.tick().await;
        let http = options.http.clone().or_else(|| match discover(&options.folder.data) {
            Discovery::Known(description) => Some(description.http),
            Discovery::Stopped | Discovery::Between { .. } => None,
        });
        let Some(http) = http else { continue };
        let left = patience.saturating_sub(watch.took());
        let ready = client.get(format!("{http}/ready")).timeout(left.min(PATIENCE)).send().await;
        if ready.is_ok_and(|it| it.status().is_success()) {
            return;
        }
    }
}

async fn find(client: &reqwest::Client, options: &Options) -> Found {
    if let Some(http) = options.http.clone() {
        return Found::Process { told: ask(client, &http).await, http };
    }
    match discover(&options.folder.data) {
        Discovery::Stopped => Found::Stopped,
        Discovery::Between { pid } => Found::Between { pid },
        Discovery::Known(description) => {
            Found::Fleet { told: ask(client, &description.http).await, description }
        }
    }
}

async fn ask(client: &reqwest::Client, http: &str) -> Told {
    let answer = client.get(format!("{http}/status")).send().await;
    let answer = answer.map_err(|error| silence(http, &error))?;
    let answer = answer.error_for_status().map_err(|error| {
        format!("{http} is not a process of the fleet: /status answers {error}")
    })?;
    answer.json().await.map_err(|error| {
        format!("{http} is not a process of this version of the fleet: /status answers {error}")
    })
}

fn silence(http: &str, error: &reqwest::Error) -> String {
    if error.is_timeout() {
        format!("{http} does not answer within {} s: the process hangs", PATIENCE.as_secs())
    } else if error.is_connect() {
        format!("{http} does not answer: nothing listens there, or not yet")
    } else {
        format!("{http} does not answer: {error}")
    }
}

/// `127.0.0.1:8080`, with or without `http://`.
fn base_address(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let port = rest.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match port.and_then(|(_, port)| port.parse::<u16>().ok()) {
        Some(_) => Ok(format!("http://{rest}")),
        None => Err("not an address such as 127.0.0.1:8080".to_owned()),
    }
}

impl Found {
    fn is_ready(&self) -> bool {
        self.report().is_some_and(|it| it.ready)
    }

    fn told(&self) -> Option<&Told> {
        match self {
            Self::Stopped | Self::Between { .. } => None,
            Self::Fleet { told, .. } | Self::Process { told, .. } => Some(told),
        }
    }

    fn report(&self) -> Option<&Report> {
        self.told()?.as_ref().ok()
    }

    fn as_json(&self) -> anyhow::Result<Value> {
        let mut value = json!({ "state": self.state() });
        let all = value.as_object_mut().context("an object was made")?;
        match self {
            Self::Stopped => {}
            Self::Between { pid } => drop(all.insert("pid".to_owned(), json!(pid))),
            Self::Process { http, .. } => drop(all.insert("http".to_owned(), json!(http))),
            Self::Fleet { description, .. } => {
                let description = serde_json::to_value(description)?;
                all.extend(description.as_object().cloned().unwrap_or_default());
            }
        }
        match self.told() {
            None => {}
            Some(Err(error)) => drop(all.insert("error".to_owned(), json!(error))),
            Some(Ok(report)) => {
                let told = serde_json::to_value(report)?;
                all.extend(told.as_object().cloned().unwrap_or_default());
                let standstills: Vec<Standstill> = progress::standstills(report);
                all.insert("no_progress".to_owned(), serde_json::to_value(standstills)?);
            }
        }
        Ok(value)
    }

    fn state(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            _ if self.is_ready() => "ready",
            _ => "not ready",
        }
    }

    fn as_text(&self, data: &str) -> String {
        match self {
            Self::Stopped => format!("No fleet runs in {data}. Start it with `flotilla up`."),
            Self::Between { pid } => {
                let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
                format!("The fleet in {data}{pid} is starting or stopping its servers.")
            }
            Self::Process { http, told } => tables::process(http, told),
            Self::Fleet { description, told } => tables::fleet(description, told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_either_way() {
        for text in ["127.0.0.1:80", "http://127.0.0.1:80", "http://127.0.0.1:80/"] {
            assert_eq!(base_address(text).as_deref(), Ok("http://127.0.0.1:80"));
        }
        for text in ["8080", ":8080", "host", "host:port"] {
            assert!(base_address(text).is_err_and(|it| it.contains("127.0.0.1:8080")), "{text}");
        }
    }

    #[test]
    fn one_object_says_where_all_is_and_what_stands_still() {
        let description = Description {
            pid: 7,
            http: "http://127.0.0.1:1".into(),
            kafka: "k:1".into(),
            registry: "r".into(),
            postgres: "p".into(),
            data: "/d".into(),
            logs: "/d/logs".into(),
        };
        let report = Report { pid: 7, ready: true, ..Report::default() };
        let found = Found::Fleet { description: description.clone(), told: Ok(report) };
        let value = found.as_json().unwrap();
        for key in ["pid", "http", "kafka", "registry", "postgres", "data", "logs"] {
            assert!(value.get(key).is_some(), "{key} is missing");
        }
        assert_eq!(value["state"], "ready");
        assert_eq!(value["no_progress"], json!([]));
        let silent = Found::Fleet { description, told: Err("nobody".into()) };
        let value = silent.as_json().unwrap();
        assert_eq!(
            (value["state"].as_str(), &value["error"]),
            (Some("not ready"), &json!("nobody"))
        );
        assert!(!silent.is_ready());
        assert!(silent.as_text("/d").contains("nobody"));
    }
}
