//! `flotilla audit`.
use super::{
    console,
    progress::Meter,
    rebuild,
    target::Target,
    view_of::{all_views, view_of},
};
use crate::{
    memory,
    services::{CONTEXTS, EachContext, each},
    stack::Stopwatch,
};
use anyhow::bail;
use functions::Context;
use futures::future::LocalBoxFuture;
use serde_json::json;
use shell::{
    Shell,
    audit::{Checked, Difference, Kind, Repaired, Report, Scope, Watcher, audit, repair},
    port::store::{BuildOrder, Store as _},
};
use std::{collections::BTreeMap, process::ExitCode, time::Duration};

/// The options of `audit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ends with 0 if all agrees, with 1 if there are differences, with 2 if it could not be checked."
)]
pub(super) struct Options {
    #[command(flatten)]
    target: Target,
    /// Only this context, or this view; without it, every context and all of its views
    #[arg(value_name = "CONTEXT|VIEW")]
    name: Option<String>,
    /// Another generation of the view than the one that is read
    #[arg(long, value_name = "NUMBER", requires = "name")]
    generation: Option<i32>,
    /// Make again what is derived: claims, snapshots, views, what the topic misses. Events and outcomes are not touched
    #[arg(long)]
    repair: bool,
    /// Differences that are printed, of each kind; the others are counted
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Audits, and says what was found.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match contexts(&options).await {
        Ok(is_clean) => Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Err(error) => {
            console::note(&format!("flotilla: the audit could not be done: {error:#}"));
            Ok(ExitCode::from(2))
        }
    }
}

async fn contexts(options: &Options) -> anyhow::Result<bool> {
    let shell = options.target.shell()?;
    let mut wanted = Wanted { options, shell: &shell, jobs: Vec::new() };
    each(&mut wanted);
    if wanted.jobs.is_empty() {
        bail!(
            "there is neither a context nor a view {}: there are {} and {}",
            options.name.as_deref().unwrap_or_default(),
            CONTEXTS.join(", "),
            all_views().into_iter().map(|it| it.table).collect::<Vec<_>>().join(", ")
        );
    }
    let mut is_clean = true;
    for job in wanted.jobs {
        is_clean &= job.await?;
    }
    Ok(is_clean)
}

/// The contexts that the options are about, and what is to be done with each.
struct Wanted<'a> {
    options: &'a Options,
    shell: &'a Shell,
    jobs: Vec<LocalBoxFuture<'a, anyhow::Result<bool>>>,
}

impl EachContext for Wanted<'_> {
    fn context<C: Context>(&mut self) {
        let Self { options, shell, jobs } = self;
        let view = match options.name.as_deref() {
            None => None,
            Some(name) if name == C::NAME => None,
            Some(name) if shell::view::views_of::<C>().iter().any(|it| it.table == name) => {
                Some(name.to_owned())
            }
            Some(_) => return,
        };
        let scope = Scope { view, generation: options.generation, ..Scope::default() };
        jobs.push(Box::pin(one::<C>(options, shell, scope)));
    }
}

async fn one<C: Context>(options: &Options, shell: &Shell, scope: Scope) -> anyhow::Result<bool> {
    if scope.generation.is_some() && scope.view.is_none() {
        bail!("--generation is of a view: name one instead of a context");
    }
    let watch = Stopwatch::start();
    let mut printer = Printer::new(options);
    let report = audit::<C>(shell, &scope, &mut printer).await?;
    printer.meter.done();
    let mut repaired = Vec::new();
    if options.repair {
        let remedies = &report.remedies;
        let views = repair::<C>(shell, remedies, &mut |it| repaired.push(it.clone())).await?;
        for view in views {
            repaired.push(build_again(shell, view).await?);
        }
    }
    if options.json {
        let json = as_json(C::NAME, &report, &printer, &repaired, watch.took());
        console::line(&serde_json::to_string_pretty(&json)?);
        return Ok(report.is_clean());
    }
    printer.end();
    console::line(&table(&report));
    for Repaired { what, done } in &repaired {
        match done {
            Ok(done) => console::line(&format!("  repaired   {what}: {done}")),
            Err(why) => console::line(&format!("  NOT REPAIRED   {what}: {why}")),
        }
    }
    console::line(&verdict(C::NAME, &report, options.repair));
    Ok(report.is_clean())
}

/// A view is repaired by another generation of it.
async fn build_again(shell: &Shell, view: &str) -> anyhow::Result<Repaired> {
    let view = view_of(view)?;
    let mut views = shell.postgres.views(view.context);
    let of = rebuild::begin(shell, &mut views, &view, &BuildOrder::default()).await?;
    let done = format!(
        "generation {} is being built, and read as soon as it is complete; `flotilla rebuild {}` shows how far it is",
        of.generation, view.table
    );
    Ok(Repaired { what: format!("view {}", view.table), done: Ok(done) })
}

fn verdict(context: &str, report: &Report, is_repair: bool) -> String {
    let differences = report.differences();
    match (differences, is_repair) {
        (0, _) => format!("{context}: all agrees."),
        (_, true) => {
            format!("{context}: {differences} differences. Audit again to see what is left.")
        }
        (_, false) => format!(
            "{context}: {differences} differences. `--repair` makes again what is derived; events and outcomes are \
            the source of truth, and never touched."
        ),
    }
}

fn table(report: &Report) -> String {
    let row = |it: &Checked| {
        let rate = per_second(it.events, it.took).to_string();
        let (count, events) = (it.count.to_string(), it.events.to_string());
        vec![it.what.clone(), count, events, format!("{:.1}", it.took.as_secs_f64()), rate]
    };
    let rows: Vec<_> = report.checked.iter().map(row).collect();
    console::columns(&["CHECKED", "COUNT", "EVENTS READ", "SECONDS", "EVENTS/S"], &rows)
}

fn per_second(events: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "so many there will never be")]
    let events = events as f64;
    (events / took.as_secs_f64().max(1e-3)).round()
}

fn checked(it: &Checked) -> serde_json::Value {
    json!({
        "what": it.what,
        "count": it.count,
        "events": it.events,
        "seconds": it.took.as_secs_f64(),
        "events_per_second": per_second(it.events, it.took),
    })
}

fn as_json(
    context: &str,
    report: &Report,
    printer: &Printer<'_>,
    repaired: &[Repaired],
    took: Duration,
) -> serde_json::Value {
    let counts: BTreeMap<&str, u64> =
        report.counts.iter().map(|(kind, count)| (kind.name(), *count)).collect();
    let repaired: Vec<_> = repaired
        .iter()
        .map(|Repaired { what, done }| match done {
            Ok(done) => json!({ "what": what, "done": done }),
            Err(why) => json!({ "what": what, "not_done": why }),
        })
        .collect();
    json!({
        "context": context,
        "clean": report.is_clean(),
        "counts": counts,
        "differences": printer.kept,
        "checked": report.checked.iter().map(checked).collect::<Vec<_>>(),
        "repaired": repaired,
        "seconds": took.as_secs_f64(),
        "memory_peak_kb": memory::peak_kb("self"),
    })
}

/// Prints differences as they come.
struct Printer<'a> {
    options: &'a Options,
    meter: Meter,
    counts: BTreeMap<Kind, u64>,
    /// For the JSON object.
    kept: Vec<Difference>,
}

impl<'a> Printer<'a> {
    fn new(options: &'a Options) -> Self {
        Self { options, meter: Meter::new("events"), counts: BTreeMap::new(), kept: Vec::new() }
    }

    fn end(&self) {
        for (kind, count) in self.counts.iter().filter(|it| *it.1 > self.options.limit) {
            let more = count - self.options.limit;
            console::line(&format!("{kind:9} … and {more} more (`--limit` prints more of them)"));
        }
    }
}

impl Watcher for Printer<'_> {
    fn found(&mut self, it: &Difference) {
        let count = self.counts.entry(it.kind).or_default();
        *count += 1;
        if *count > self.options.limit {
            return;
        }
        if self.options.json {
            self.kept.push(it.clone());
            return;
        }
        self.meter.clear();
        let Difference { kind, place, expected, found } = it;
        console::line(&format!(
            "{kind:9} {place}\n          expected  {expected}\n          found     {found}"
        ));
    }

    fn progress(&mut self, step: &str, done: u64, total: u64) {
        self.meter.at(step, done, total);
    }
}
