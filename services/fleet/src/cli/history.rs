//! `flotilla history`.
use super::{
    console,
    past::{Act, instant, with_context},
    target::Target,
};
use anyhow::bail;
use chrono::{DateTime, Utc};
use functions::Context;
use futures::{FutureExt as _, future::LocalBoxFuture};
use serde_json::{Map, Value, json};
use shell::{
    history::{AsOf, Happening, History, Moment, Page, difference},
    postgres::PostgresReads,
};
use std::process::ExitCode;
use uuid::Uuid;

/// The options of `history`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    target: Target,
    /// The context, such as customers
    context: String,
    /// The stream: of customers, the customer's id
    stream: Uuid,
    #[command(flatten)]
    what: What,
}

#[derive(Debug, clap::Args)]
struct What {
    /// The newest events first
    #[arg(long)]
    newest_first: bool,
    /// Only the events after this version, in the order that is asked for
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
    /// At most so many events
    #[arg(long, value_name = "EVENTS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Show what the stream was after so many events
    #[arg(long, value_name = "VERSION", group = "state", value_parser = clap::value_parser!(i64).range(0..))]
    as_of_version: Option<i64>,
    /// Show what the stream was at this instant, such as 2026-11-21T12:00:00Z
    #[arg(long, value_name = "INSTANT", group = "state")]
    as_of: Option<DateTime<Utc>>,
    /// Show in what the stream differs between two versions
    #[arg(long, value_names = ["FROM", "TO"], num_args = 2, group = "state", value_parser = clap::value_parser!(i64).range(0..))]
    diff: Option<Vec<i64>>,
    /// For scripts: JSON, an event a line
    #[arg(long)]
    json: bool,
}

/// Shows what happened to a stream, or what it was.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Options { target, context, stream, what } = options;
    with_context(&target.shell()?, &context, Show { stream, what }).await
}

struct Show {
    stream: Uuid,
    what: What,
}

impl Act for Show {
    fn act<C: Context>(
        self,
        reads: PostgresReads,
    ) -> LocalBoxFuture<'static, anyhow::Result<ExitCode>> {
        async move {
            let history = History::of::<C>(&reads);
            let Self { stream, what } = self;
            match (what.as_of_version, what.as_of, &what.diff) {
                (Some(version), _, _) => {
                    state(&history, stream, AsOf::Version(version), what.json).await
                }
                (_, Some(at), _) => state(&history, stream, AsOf::Instant(at), what.json).await,
                (_, _, Some(versions)) => compare(&history, stream, versions, what.json).await,
                (None, None, None) => events(&history, stream, &what).await,
            }
        }
        .boxed_local()
    }
}

async fn events(history: &History<'_>, stream: Uuid, what: &What) -> anyhow::Result<ExitCode> {
    let (mut after, mut left) = (what.after, what.limit);
    loop {
        let limit = left.min(PAGE);
        let page = Page { after, newest_first: what.newest_first, limit };
        let read = history.events(stream, page).await?;
        if read.total == 0 {
            bail!("stream {stream} has no events");
        }
        for it in &read.events {
            console::line(&if what.json { serde_json::to_string(it)? } else { told(it) });
        }
        after = read.events.last().map(|it| it.version);
        left -= limit;
        if !read.more || left == 0 {
            let total = read.total;
            let rest = if read.more { "; there are more: --limit, --after" } else { "" };
            console::note(&format!("{total} events in all{rest}"));
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn told(it: &Happening) -> String {
    let data = it.data.as_ref().map(Value::to_string).unwrap_or_default();
    let note = it.note.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
    let (actor, trace) = (it.origin.actor.as_deref(), it.origin.trace_id.as_deref());
    let (actor, trace) = (actor.unwrap_or("nobody named"), trace.unwrap_or("none"));
    let (version, at, record, command) =
        (it.version, instant(it.at), &it.record, it.origin.command_id);
    format!(
        "{version:>6}  {at}  {record}{note} {data}\n{:8}by {actor}, command {command}, trace {trace}",
        ""
    )
}

async fn state(
    history: &History<'_>,
    stream: Uuid,
    as_of: AsOf,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let Some(moment) = history.as_of(stream, as_of).await? else {
        bail!("stream {stream} had no events by then");
    };
    if let AsOf::Version(version) = as_of
        && moment.version < version
    {
        bail!("stream {stream} has {} events, and no version {version}", moment.version);
    }
    if json {
        console::line(&as_json(&moment).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    console::line(&format!(
        "stream {stream} after event {}, of {}",
        moment.version,
        instant(moment.at)
    ));
    console::line(table(&moment.fields()).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// A state for scripts.
pub(super) fn as_json(it: &Moment) -> Value {
    json!({ "stream": it.stream, "version": it.version, "at": instant(it.at), "state": it.fields() })
}

fn table(fields: &Map<String, Value>) -> String {
    let rows: Vec<_> = fields.iter().map(|(name, it)| (name.as_str(), text(it))).collect();
    console::pairs(&rows)
}

async fn compare(
    history: &History<'_>,
    stream: Uuid,
    versions: &[i64],
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut states = Vec::with_capacity(2);
    for version in versions {
        let moment = history.as_of(stream, AsOf::Version(*version)).await?;
        let reached = moment.as_ref().map_or(0, |it| it.version);
        if reached != *version {
            bail!("stream {stream} has {reached} events, and no version {version}");
        }
        states.push(moment.map(|it| it.fields()).unwrap_or_default());
    }
    let changes = difference(&states[0], &states[1]);
    if json {
        console::line(&serde_json::to_string(&changes)?);
        return Ok(ExitCode::SUCCESS);
    }
    if changes.is_empty() {
        console::line("no field differs");
        return Ok(ExitCode::SUCCESS);
    }
    let row =
        |it: &shell::history::Change| vec![it.field.clone(), text(&it.before), text(&it.after)];
    let rows: Vec<_> = changes.iter().map(row).collect();
    let (from, to) = (format!("version {}", versions[0]), format!("version {}", versions[1]));
    console::line(console::columns(&["field", &from, &to], &rows).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// A value as people read it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

const PAGE: u32 = 500;
