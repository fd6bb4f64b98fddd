//! `flotilla rebuild`: a view is built again beside what is read, compared, and put in its place.
use super::{
    console::{self, Steps},
    difference,
    target::Target,
    view_of::view_of,
};
use crate::stack::{Progress as _, Stopwatch};
use anyhow::bail;
use chrono::{DateTime, Utc};
use shell::{
    Shell,
    port::store::{
        BuildOrder, CutOver, Generation, GenerationRow, GenerationState, Generations as _,
        Reads as _, Store as _, Switched,
    },
    postgres::{PostgresReads, PostgresViews},
    view::ViewDefinition,
};
use std::{process::ExitCode, time::Duration};

/// The options of `rebuild`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The aggregators build it, from the first event on, while queries go on; this command shows how far they are. \
    Interrupted, it goes on by itself; the same command follows it again."
)]
pub(super) struct Options {
    /// The view, as `flotilla views` lists them
    view: String,
    /// Show in which rows the new generation differs from what is read, before it is read
    #[arg(long)]
    diff: bool,
    /// Whether it is read as soon as it is complete, or after a question (or `flotilla views cut-over`)
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    cut_over: When,
    /// Only what had happened by then, such as 2026-01-31T12:00:00Z: for comparison, never to be read
    #[arg(long, value_name = "INSTANT", conflicts_with = "cut_over")]
    as_of: Option<DateTime<Utc>>,
    /// At most so many events a second (and loop), so that the servers have time for others
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    throttle: Option<u32>,
    #[command(flatten)]
    difference: difference::Shown,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum When {
    Auto,
    Ask,
}

/// Builds a view again.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let view = view_of(&options.view)?;
    let shell = options.target.shell()?;
    let mut views = shell.postgres.views(view.context);
    // It takes the place of what is read only when it was looked at.
    let is_looked_at = options.diff || options.cut_over == When::Ask;
    let order = BuildOrder {
        cut_over: if is_looked_at { CutOver::Ask } else { CutOver::Auto },
        as_of: options.as_of,
        events_per_second_max: options.throttle,
    };
    let of = begin(&shell, &mut views, &view, &order).await?;
    if !follow(&shell, &mut views, &view, &of).await? {
        bail!("generation {} of {} was dropped meanwhile", of.generation, view.table);
    }
    if let Some(as_of) = options.as_of {
        console::note(&format!(
            "generation {} of {}, as of {as_of}, is complete; `flotilla views diff {} {}` compares it with what is read",
            of.generation, view.table, view.table, of.generation
        ));
    }
    if options.diff {
        let rows = views.generations(&view).await?;
        match rows.iter().find(|it| it.state == GenerationState::Live && it.of != of) {
            Some(live) => {
                difference::show(&shell, &view, &live.of, &of, &options.difference).await?;
            }
            None => console::note("nothing else is read that it could be compared with"),
        }
    }
    if options.as_of.is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    if options.cut_over == When::Ask {
        let question =
            format!("read generation {} of {} from now on? [y/N]", of.generation, view.table);
        if console::ask(&question).is_none_or(|it| !it.eq_ignore_ascii_case("y")) {
            console::note(&format!(
                "it is kept up to date; `flotilla views cut-over {0} {1}` has it read, `flotilla views drop {0} {1}` forgets it",
                view.table, of.generation
            ));
            return Ok(ExitCode::SUCCESS);
        }
    }
    cut_over(&shell, &mut views, &view, &of).await?;
    Ok(ExitCode::SUCCESS)
}

/// The generation that is being built by the same order, or another one.
pub(super) async fn begin(
    shell: &Shell,
    views: &mut PostgresViews,
    view: &ViewDefinition,
    order: &BuildOrder,
) -> anyhow::Result<Generation> {
    let is_followed = |it: &&GenerationRow| {
        it.state == GenerationState::Building && it.order.as_of == order.as_of
    };
    let rows = views.generations(view).await?;
    if let Some(it) = rows.iter().rfind(is_followed) {
        console::note(&format!(
            "generation {} of {} is being built already: following it",
            it.of.generation, view.table
        ));
        return Ok(it.of.clone());
    }
    let of = views.begin(view, view.checkpoints(shell.config.partitions), order).await?;
    console::note(&format!("generation {} of {} is being built", of.generation, view.table));
    Ok(of)
}

/// Shows how far it is, until it is complete; `false`: there is no such generation any more.
async fn follow(
    shell: &Shell,
    views: &mut PostgresViews,
    view: &ViewDefinition,
    of: &Generation,
) -> anyhow::Result<bool> {
    let reads = PostgresReads::new(shell.postgres.clone());
    let (steps, watch) = (Steps::new(), Stopwatch::start());
    let step = format!("{} generation {}", view.table, of.generation);
    let (mut moved, mut last, mut first) = (Stopwatch::start(), -1, None);
    let mut warned = false;
    loop {
        let rows = views.generations(view).await?;
        let Some(row) = rows.iter().find(|it| it.of == *of) else { return Ok(false) };
        let events: i64 = views.checkpoints(of).await?.iter().map(|it| it.pseq).sum();
        if row.state != GenerationState::Building {
            let seconds = watch.took();
            steps.done(&step, &format!("{events} events, indexes made"), seconds);
            return Ok(true);
        }
        let mut total = 0;
        for family in &view.follows {
            total += reads.heads(family.context).await?.iter().map(|it| it.pseq).sum::<i64>();
        }
        let (began, from) = first.get_or_insert_with(|| (Stopwatch::start(), events));
        #[expect(clippy::cast_precision_loss, reason = "so many there will never be")]
        let rate = (events - *from) as f64 / began.took().as_secs_f64().max(0.001);
        steps.goes_on(&step, &detail(events, total, rate));
        if events != last {
            (moved, last) = (Stopwatch::start(), events);
        } else if moved.took() > STANDSTILL && events < total && !warned {
            warned = true;
            console::note(
                "nothing moves: does an aggregator of this build run? `flotilla status` tells",
            );
        }
        shell.clock.sleep(PULSE).await;
    }
}

fn detail(events: i64, total: i64, rate: f64) -> String {
    let left = total - events;
    if left <= 0 {
        return format!("{events} events; its indexes are made");
    }
    #[expect(clippy::cast_precision_loss, reason = "so many there will never be")]
    let seconds = left as f64 / rate;
    let left = if rate > 0.0 { format!("{seconds:.0} s left") } else { "?".to_owned() };
    format!("{events} of {total} events, {rate:.0}/s, {left}")
}

/// Has a complete generation read; while more events come in than it takes in, that takes more than one attempt.
pub(super) async fn cut_over(
    shell: &Shell,
    views: &mut PostgresViews,
    view: &ViewDefinition,
    of: &Generation,
) -> anyhow::Result<()> {
    let patience = Stopwatch::start();
    loop {
        let rows = views.generations(view).await?;
        let Some(row) = rows.iter().find(|it| it.of == *of) else {
            bail!("there is no generation {} of {}", of.generation, view.table);
        };
        match row.state {
            GenerationState::Live => {
                console::note(&format!(
                    "generation {} of {} is read; `flotilla rollback {}` goes back",
                    of.generation, view.table, view.table
                ));
                return Ok(());
            }
            GenerationState::Building => {
                bail!("generation {} of {} is not complete yet", of.generation, view.table)
            }
            GenerationState::Complete => {}
        }
        if let Some(as_of) = row.order.as_of {
            bail!(
                "generation {} of {} has nothing that happened after {as_of}: it is not to be read",
                of.generation,
                view.table
            );
        }
        match views.cut_over(view, of).await? {
            Switched::Done => {}
            Switched::Behind { events } if patience.took() > PATIENCE => {
                bail!(
                    "generation {} of {} is {events} events behind what is read and does not catch up; does its aggregator run?",
                    of.generation,
                    view.table
                )
            }
            Switched::Behind { .. } => shell.clock.sleep(PULSE).await,
        }
    }
}

const PULSE: Duration = Duration::from_millis(200);
const STANDSTILL: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_mins(1);
