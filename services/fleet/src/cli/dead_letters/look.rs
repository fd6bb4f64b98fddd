//! Looking at dead letters.
use super::{Which, desk, letter_id};
use crate::cli::{
    console::{columns, line, note, pairs},
    target::Target,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shell::letters::{Body, Letter, Operation, Shown, Wanted};
use std::{collections::BTreeMap, process::ExitCode};

/// The options of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    which: Which,
    /// Also commands that were dealt with, and events that wait in older versions of a view
    #[arg(long)]
    all: bool,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// The options of `show`.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// As `list` names it
    #[arg(value_name = "LETTER")]
    letter: String,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// The options of `log`.
#[derive(Debug, clap::Args)]
pub(super) struct Log {
    /// What was done in this context only
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
    /// At most so many, the latest first
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// For scripts: one JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn list(options: List) -> anyhow::Result<ExitCode> {
    let (context, wanted) = options.which.wanted();
    let wanted = Wanted { all: options.all, limit: options.limit, ..wanted };
    let listed = desk(&options.target)?.list(context.as_deref(), &wanted).await?;
    if options.json {
        let letters: Vec<Value> = listed.letters.iter().map(letter_json).collect();
        line(&json!({ "total": listed.total, "letters": letters }).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    if listed.letters.is_empty() {
        line("No dead letters.");
        return Ok(ExitCode::SUCCESS);
    }
    line(table(&listed.letters).trim_end());
    let shown = listed.letters.len();
    if i64::try_from(shown).is_ok_and(|it| it < listed.total) {
        note(&format!("These are {shown} of {}: --limit shows more.", listed.total));
    }
    Ok(ExitCode::SUCCESS)
}

/// The text of a table of letters.
pub(super) fn table(letters: &[Letter]) -> String {
    let row = |it: &Letter| {
        let what = match (&it.resolution, it.behind) {
            (Some(resolution), _) => resolution.what.clone(),
            (None, Some(pseq)) => format!("waits behind {pseq}"),
            (None, None) => plain(it.reason.lines().next().unwrap_or_default()),
        };
        vec![it.id.to_string(), time(it.at), it.code.clone(), what]
    };
    let rows: Vec<_> = letters.iter().map(row).collect();
    columns(&["letter", "since", "code", "what is wrong"], &rows)
}

pub(super) async fn show(options: Show) -> anyhow::Result<ExitCode> {
    let id = letter_id(&options.letter)?;
    let shown = desk(&options.target)?.show(&id).await?;
    if options.json {
        line(&shown_json(&shown).to_string());
    } else {
        line(shown_text(&shown)?.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn shown_text(Shown { letter, body, operations }: &Shown) -> anyhow::Result<String> {
    let mut rows = vec![
        ("letter", letter.id.to_string()),
        ("code", letter.code.clone()),
        ("reason", plain(&letter.reason)),
        ("since", time(letter.at)),
    ];
    rows.extend(letter.stream.map(|it| ("stream", it.to_string())));
    rows.extend(letter.command_id.map(|it| ("command", it.to_string())));
    rows.extend(letter.behind.map(|it| ("waits", format!("behind event {it} of its partition"))));
    if letter.asked {
        rows.push(("asked", "to be tried again, and the loop has not come to it".to_owned()));
    }
    let resolution = letter.resolution.as_ref();
    rows.extend(resolution.map(|it| ("dealt with", format!("{}, {}", time(it.at), it.what))));
    let headers: BTreeMap<String, String> =
        serde_json::from_str(&letter.headers).unwrap_or_default();
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| (plain(name), plain(value))).collect();
    let headers: Vec<(&str, String)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let mut text = pairs(&rows) + "\nHeaders\n" + &pairs(&headers);
    let body = match body {
        Body::Record { record, json } => {
            format!("{record}\n{}", serde_json::to_string_pretty(json)?)
        }
        Body::Bytes { hex, why } => format!("Its body cannot be read: {}\n{hex}", plain(why)),
    };
    text = text + "\n" + &body + "\n";
    if !operations.is_empty() {
        text = text + "\nWhat was done about it\n" + &operations_table(operations);
    }
    Ok(text)
}

/// What strangers wrote is shown, and does not steer the terminal.
fn plain(text: &str) -> String {
    let sign = |it: char| if it.is_control() { it.escape_default().to_string() } else { it.into() };
    text.chars().map(sign).collect()
}

pub(super) async fn log(options: Log) -> anyhow::Result<ExitCode> {
    let desk = desk(&options.target)?;
    let operations = desk.operations(options.context.as_deref(), options.limit).await?;
    if options.json {
        let all: Vec<Value> = operations.iter().map(operation_json).collect();
        line(&Value::Array(all).to_string());
    } else if operations.is_empty() {
        line("Nobody has done anything to a dead letter.");
    } else {
        line(operations_table(&operations).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn operations_table(operations: &[Operation]) -> String {
    let row = |it: &Operation| {
        let (by, reason) = (plain(&it.by.actor), plain(&it.by.reason));
        vec![time(it.at), by, it.action.clone(), it.letter.clone(), it.result.clone(), reason]
    };
    let rows: Vec<_> = operations.iter().map(row).collect();
    columns(&["at", "who", "did", "letter", "result", "why"], &rows)
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub(super) fn letter_json(it: &Letter) -> Value {
    json!({
        "letter": it.id.to_string(), "stream": it.stream, "command_id": it.command_id, "code": it.code,
        "reason": it.reason, "behind": it.behind, "asked": it.asked, "at": it.at,
        "resolved_at": it.resolution.as_ref().map(|it| it.at),
        "resolution": it.resolution.as_ref().map(|it| &it.what),
    })
}

fn operation_json(it: &Operation) -> Value {
    json!({
        "at": it.at, "who": it.by.actor, "did": it.action, "letter": it.letter, "result": it.result,
        "why": it.by.reason,
    })
}

fn shown_json(Shown { letter, body, operations }: &Shown) -> Value {
    let mut all = letter_json(letter);
    all["headers"] = serde_json::from_str(&letter.headers).unwrap_or_default();
    match body {
        Body::Record { record, json } => {
            all["record"] = json!(record);
            all["body"] = json.clone();
        }
        Body::Bytes { hex, why } => {
            all["bytes"] = json!(hex);
            all["unreadable"] = json!(why);
        }
    }
    all["operations"] = operations.iter().map(operation_json).collect();
    all
}
