//! `flotilla replay`.
use super::{console, progress::Meter, target::Target};
use crate::services::{CONTEXTS, EachContext, each};
use anyhow::bail;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use functions::Context;
use futures::future::LocalBoxFuture;
use shell::{
    Shell,
    postgres::Span,
    replay::{To, records, replay},
};
use std::{process::ExitCode, str::FromStr};

/// The options of `replay`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Events come from the event table, in order within each partition. Records have the key, the headers and the body that they have on the topic of the fleet; lines have the envelope and what the event says."
)]
pub(super) struct Options {
    #[command(flatten)]
    target: Target,
    /// Whose events
    #[arg(value_name = "CONTEXT")]
    context: String,
    /// A topic that is new or empty, or a new file that ends in .ndjson
    #[arg(long, value_name = "TOPIC|FILE")]
    to: String,
    /// From this number on in each partition, or from this instant on (2026-11-20, or 2026-11-20T10:00:00Z)
    #[arg(long, value_name = "PSEQ|INSTANT")]
    from: Option<Bound>,
    /// Up to and with this number in each partition, or before this instant
    #[arg(long, value_name = "PSEQ|INSTANT")]
    until: Option<Bound>,
    /// Only events of these types, separated by commas
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',')]
    types: Vec<String>,
}

/// Where a replay begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Pseq(i64),
    Instant(DateTime<Utc>),
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(pseq) = text.parse::<i64>() {
            return if pseq > 0 {
                Ok(Self::Pseq(pseq))
            } else {
                Err("events are numbered from 1 on".into())
            };
        }
        if let Ok(instant) = text.parse::<DateTime<Utc>>() {
            return Ok(Self::Instant(instant));
        }
        match text.parse::<NaiveDate>() {
            Ok(day) => Ok(Self::Instant(day.and_time(NaiveTime::MIN).and_utc())),
            Err(_) => Err("neither a number nor an instant such as 2026-11-20T10:00:00Z".into()),
        }
    }
}

/// Replays.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let to = To::parse(&options.to)?;
    let shell = options.target.shell()?;
    let mut found = Found { options: &options, to: &to, shell: &shell, job: None };
    each(&mut found);
    let Some(job) = found.job else {
        bail!("there is no context {}: there are {}", options.context, CONTEXTS.join(", "));
    };
    job.await?;
    Ok(ExitCode::SUCCESS)
}

struct Found<'a> {
    options: &'a Options,
    to: &'a To,
    shell: &'a Shell,
    job: Option<LocalBoxFuture<'a, anyhow::Result<()>>>,
}

impl EachContext for Found<'_> {
    fn context<C: Context>(&mut self) {
        if self.options.context == C::NAME {
            self.job = Some(Box::pin(one::<C>(self.options, self.to, self.shell)));
        }
    }
}

async fn one<C: Context>(options: &Options, to: &To, shell: &Shell) -> anyhow::Result<()> {
    let mut span = Span { records: records::<C>(&options.types)?, ..Span::default() };
    match options.from {
        Some(Bound::Pseq(pseq)) => span.from_pseq = Some(pseq),
        Some(Bound::Instant(instant)) => span.from = Some(instant),
        None => {}
    }
    match options.until {
        Some(Bound::Pseq(pseq)) => span.until_pseq = Some(pseq),
        Some(Bound::Instant(instant)) => span.until = Some(instant),
        None => {}
    }
    let mut meter = Meter::new("events");
    let mut tell = |done, total| meter.at("replay", done, total);
    let done = replay::<C>(shell, &span, to, CONTEXTS, &mut tell).await?;
    meter.done();
    let (events, place) = (done.events, &options.to);
    console::line(&format!("{events} events of {} are in {place}.", C::NAME));
    if done.unreadable > 0 {
        console::line(&format!(
            "The bodies of {} of them cannot be read: their lines have the bytes, and the reason.",
            done.unreadable
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_number_or_an_instant() {
        let instant = |text: &str| text.parse::<DateTime<Utc>>().map(Bound::Instant);
        assert_eq!("7".parse(), Ok(Bound::Pseq(7)));
        assert_eq!("2026-11-20".parse::<Bound>().ok(), instant("2026-11-20T00:00:00Z").ok());
        assert_eq!(
            "2026-11-20T10:00:00+01:00".parse::<Bound>().ok(),
            instant("2026-11-20T09:00:00Z").ok()
        );
        for text in ["0", "-3", "tomorrow", ""] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
    }
}
