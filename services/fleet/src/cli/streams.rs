//! `flotilla streams`.
use super::{
    console,
    history::{as_json, text},
    past::{Act, instant, with_context},
    target::Target,
};
use functions::Context;
use futures::{FutureExt as _, future::LocalBoxFuture};
use serde_json::{Map, Value};
use shell::{
    history::{History, Moment},
    postgres::PostgresReads,
};
use std::process::ExitCode;
use uuid::Uuid;

/// The options of `streams`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It looks at every stream, in the order of their ids, and folds all its events: a scan, in little memory."
)]
pub(super) struct Options {
    #[command(flatten)]
    target: Target,
    /// The context, such as customers
    context: String,
    #[command(flatten)]
    what: What,
}

#[derive(Debug, clap::Args)]
struct What {
    /// Only streams whose state has this value, such as state=Verified; all of them, where it is given several times
    #[arg(long = "where", value_name = "FIELD=VALUE", value_parser = condition)]
    conditions: Vec<(String, String)>,
    /// At most so many
    #[arg(long, value_name = "STREAMS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Only those after this stream, in the order of their ids
    #[arg(long, value_name = "STREAM")]
    after: Option<Uuid>,
    /// For scripts: JSON, a stream a line
    #[arg(long)]
    json: bool,
}

fn condition(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("write it like state=Verified")?;
    if field.is_empty() {
        return Err("name a field before the =, as in state=Verified".to_owned());
    }
    Ok((field.to_owned(), value.to_owned()))
}

/// Shows the streams of a context by what they are.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Options { target, context, what } = options;
    with_context(&target.shell()?, &context, Show(what)).await
}

struct Show(What);

impl Act for Show {
    fn act<C: Context>(
        self,
        reads: PostgresReads,
    ) -> LocalBoxFuture<'static, anyhow::Result<ExitCode>> {
        async move {
            let What { conditions, limit, after, json } = self.0;
            let (mut shown, mut seen) = (0, 0u64);
            let found = |moment: Moment| {
                seen += 1;
                if seen.is_multiple_of(PROGRESS) {
                    console::note(&format!("  {seen} streams looked at, {shown} found"));
                }
                let fields = moment.fields();
                if matches(&fields, &conditions) {
                    shown += 1;
                    console::line(&if json {
                        as_json(&moment).to_string()
                    } else {
                        told(&moment, &fields)
                    });
                }
                shown >= limit
            };
            let skipped = |error| console::note(&format!("  left out: {error}"));
            let history = History::of::<C>(&reads);
            let looked = history.streams(after, u64::MAX, found, skipped).await?;
            let (streams, events) = (looked.streams, looked.events);
            let next = looked.next.map(|it| format!("; go on with --after {it}"));
            console::note(&format!(
                "{shown} found; {streams} streams and {events} events looked at{}",
                next.unwrap_or_default()
            ));
            Ok(ExitCode::SUCCESS)
        }
        .boxed_local()
    }
}

fn told(it: &Moment, fields: &Map<String, Value>) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, it)| format!("{name}={}", text(it))).collect();
    format!("{}  version {:>4}, {}  {}", it.stream, it.version, instant(it.at), fields.join(" "))
}

/// A field that is not there has the value "-", as it is shown.
fn matches(fields: &Map<String, Value>, conditions: &[(String, String)]) -> bool {
    conditions
        .iter()
        .all(|(name, value)| fields.get(name).map_or_else(|| "-".to_owned(), text) == *value)
}

/// So many streams make a line.
const PROGRESS: u64 = 100_000;
