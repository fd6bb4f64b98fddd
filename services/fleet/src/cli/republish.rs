//! `flotilla republish`.
use super::{console, progress::Meter, target::Target};
use crate::services::{CONTEXTS, EachContext, each};
use anyhow::bail;
use functions::Context;
use futures::future::LocalBoxFuture;
use shell::{
    Shell,
    republish::{Progress, Wanted, republish},
};
use std::{collections::BTreeMap, process::ExitCode};

/// The options of `republish`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The handler publishes them, in order and before anything newer; readers drop what they have seen."
)]
pub(super) struct Options {
    #[command(flatten)]
    target: Target,
    /// Whose events
    #[arg(value_name = "CONTEXT")]
    context: String,
    /// Only those of this partition
    #[arg(long, value_name = "NUMBER")]
    partition: Option<i32>,
    /// From this number on, in each partition
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    from_pseq: i64,
}

/// Asks for it, and waits until it is done.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let shell = options.target.shell()?;
    let mut found = Found { options: &options, shell: &shell, job: None };
    each(&mut found);
    let Some(job) = found.job else {
        bail!("there is no context {}: there are {}", options.context, CONTEXTS.join(", "));
    };
    job.await?;
    Ok(ExitCode::SUCCESS)
}

struct Found<'a> {
    options: &'a Options,
    shell: &'a Shell,
    job: Option<LocalBoxFuture<'a, anyhow::Result<()>>>,
}

impl EachContext for Found<'_> {
    fn context<C: Context>(&mut self) {
        if self.options.context == C::NAME {
            self.job = Some(Box::pin(one::<C>(self.options, self.shell)));
        }
    }
}

async fn one<C: Context>(options: &Options, shell: &Shell) -> anyhow::Result<()> {
    let wanted = Wanted { part: options.partition, from_pseq: options.from_pseq };
    let mut meter = Meter::new("events");
    let mut parts: BTreeMap<i32, i64> = BTreeMap::new();
    let count = republish::<C>(shell, wanted, &mut |it: Progress| {
        parts.insert(it.part, it.done);
        let step = format!("partition {}", it.part);
        meter.at(&step, it.done.unsigned_abs(), it.total.unsigned_abs());
    })
    .await?;
    meter.done();
    let topic = shell.names().events(C::NAME);
    let parts = parts.len();
    console::line(&match count {
        0 => format!("There are no such events of {}: nothing to publish.", C::NAME),
        count => format!("{count} events of {parts} partitions stand in {topic} again, in order."),
    });
    Ok(())
}
