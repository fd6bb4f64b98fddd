//! `flotilla explain`.
use super::{
    console,
    history::text,
    past::{Act, instant, with_context},
    target::Target,
    view_of::view_of,
};
use functions::Context;
use futures::{FutureExt as _, future::LocalBoxFuture};
use serde_json::Value;
use shell::{
    explain::{Explained, SetBy, explain},
    postgres::PostgresReads,
};
use std::process::ExitCode;

/// The options of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "It fails if the row in the view is not the one that its events make.")]
pub(super) struct Options {
    #[command(flatten)]
    target: Target,
    /// The view, such as customer
    view: String,
    /// The key of the row: a customer's id, a day
    id: String,
    #[command(flatten)]
    what: What,
}

#[derive(Debug, clap::Args)]
struct What {
    /// How many of the events that changed a field to name
    #[arg(long, value_name = "EVENTS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    newest: u16,
    /// Look at so many events at most, where the row is made of many streams
    #[arg(long, value_name = "EVENTS", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    scan: u64,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

/// Says why a row of a view is what it is.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Options { target, view, id, what } = options;
    let context = view_of(&view)?.context;
    with_context(&target.shell()?, context, Show { view, id, what }).await
}

struct Show {
    view: String,
    id: String,
    what: What,
}

impl Act for Show {
    fn act<C: Context>(
        self,
        reads: PostgresReads,
    ) -> LocalBoxFuture<'static, anyhow::Result<ExitCode>> {
        async move {
            let Self { view, id, what } = self;
            let it = explain::<C>(&reads, &view, &id, what.scan, usize::from(what.newest)).await?;
            if what.json {
                console::line(&serde_json::to_string_pretty(&it)?);
            } else {
                show(&it);
            }
            let is_sound = it.differs.is_empty() && it.unreadable.is_empty();
            Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        .boxed_local()
    }
}

fn show(it: &Explained) {
    let (view, key, events) = (it.view, &it.key, it.events);
    let is = match (&it.row, &it.removed_by) {
        (Some(_), _) => format!("made of {events} events"),
        (None, Some(_)) => format!("is no more; {events} events were about it"),
        (None, None) if events == 0 => "is not there, and no event is about it".to_owned(),
        (None, None) => format!("is not in the view; {events} events are about it"),
    };
    let how = if it.scanned { "all events of the context" } else { "the events of its stream" };
    let early = if it.ended_early { ", and no more: something may be missing" } else { "" };
    console::line(&format!("{view} {key}: {is} ({} of {how} looked at{early})", it.looked_at));
    if let Some(by) = &it.removed_by {
        console::line(&format!("  taken away by {}", source(by, it.scanned).join("  ")));
    }
    let mut rows = Vec::new();
    for field in &it.fields {
        let mut name = (field.name.to_owned(), text(&field.value), field.changes.to_string());
        for by in &field.set_by {
            let (field, value, changes) = std::mem::take(&mut name);
            rows.push([field, value, changes].into_iter().chain(source(by, it.scanned)).collect());
        }
    }
    if !rows.is_empty() {
        let mut header = vec![
            "field", "value", "changes", "set by", "at", "command", "request", "actor", "trace",
        ];
        if it.scanned {
            header.push("stream");
        }
        console::line(console::columns(&header, &rows).trim_end());
    }
    if it.not_yet > 0 {
        console::line(&format!(
            "  {} more events are about it, and not in the view yet",
            it.not_yet
        ));
    }
    for why in &it.unreadable {
        console::line(&format!("  cannot be folded: {why}"));
    }
    for name in &it.differs {
        let of = |row: &Option<serde_json::Map<String, Value>>| {
            let value = row.as_ref().and_then(|it| it.get(name));
            value.map_or_else(|| "-".to_owned(), text)
        };
        console::line(&format!(
            "  {name} is {} in the view, and its events make {}",
            of(&it.row),
            of(&it.folded)
        ));
    }
}

/// The stream is named only where there are several.
fn source(it: &SetBy, names_stream: bool) -> Vec<String> {
    let or_none = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".to_owned());
    let mut all = vec![
        format!("{} (version {})", it.record, it.version),
        instant(it.at),
        it.origin.command_id.to_string(),
        it.origin.correlation.to_string(),
        or_none(&it.origin.actor),
        or_none(&it.origin.trace_id),
    ];
    if names_stream {
        all.push(it.stream.to_string());
    }
    all
}
