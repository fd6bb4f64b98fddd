//! Trying again, and discarding.
use super::{Author, Which, desk, letter_id, look};
use crate::cli::{
    console::{line, note},
    target::Target,
};
use anyhow::bail;
use serde_json::json;
use shell::letters::{Kind, LetterId, Settled, Wanted};
use std::{process::ExitCode, time::Duration};

/// The options of `retry`.
#[derive(Debug, clap::Args)]
pub(super) struct Retry {
    /// The stream of this letter, as `list` names it
    #[arg(value_name = "LETTER", conflicts_with_all = ["context", "view", "stream", "all"])]
    letter: Option<String>,
    #[command(flatten)]
    which: Which,
    /// Everything that waits, in every view
    #[arg(long, conflicts_with_all = ["context", "view", "stream"])]
    all: bool,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    target: Target,
}

/// The options of `discard`.
#[derive(Debug, clap::Args)]
pub(super) struct Discard {
    /// As `list` names it
    #[arg(value_name = "LETTER")]
    letter: String,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct Patience {
    /// How long to wait for what comes of it
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    wait: u64,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

impl Patience {
    fn time(&self) -> Duration {
        Duration::from_secs(self.wait)
    }
}

/// Succeeds only if everything that was tried is shown.
pub(super) async fn retry(options: Retry) -> anyhow::Result<ExitCode> {
    let place = options.letter.as_deref().map(letter_id).transpose()?;
    let (context, mut wanted) = options.which.wanted();
    let is_narrow = context.is_some() || wanted.kind.is_some() || wanted.stream.is_some();
    if place.is_none() && !is_narrow && !options.all {
        bail!("retry what? name a letter, a --view, a --stream or a --context, or say --all");
    }
    let context = context.or_else(|| place.as_ref().map(|it| it.context().to_owned()));
    wanted.kind = wanted.kind.or_else(|| place.is_none().then_some(Kind::Events));
    let wanted = Wanted { place, ..wanted };
    let by = options.author.by()?;
    let desk = desk(&options.target)?;
    note("  … waiting for the views' loops");
    let settled = desk.retry(context.as_deref(), &wanted, &by, options.patience.time()).await?;
    Ok(tell(&settled, options.patience.json))
}

/// Succeeds only if what had waited behind the letter is shown.
pub(super) async fn discard(options: Discard) -> anyhow::Result<ExitCode> {
    let id = letter_id(&options.letter)?;
    let by = options.author.by()?;
    let settled = desk(&options.target)?.discard(&id, &by, options.patience.time()).await?;
    if let (LetterId::Command(_), false) = (&id, options.patience.json) {
        line(&format!("{id} is dealt with: its bytes are kept, its outcome stays REJECTED."));
        return Ok(ExitCode::SUCCESS);
    }
    if !options.patience.json {
        line(&format!("{id} is passed over from now on, also when the view is built again."));
    }
    Ok(tell(&settled, options.patience.json))
}

fn tell(settled: &Settled, is_json: bool) -> ExitCode {
    let Settled { streams, is_pending, waiting } = settled;
    if is_json {
        let waiting: Vec<_> = waiting.iter().map(look::letter_json).collect();
        let told = json!({ "streams": streams, "is_pending": is_pending, "waiting": waiting });
        line(&told.to_string());
    } else {
        let of = if *streams == 1 { "1 stream" } else { &*format!("{streams} streams") };
        match (*is_pending, waiting.is_empty()) {
            (false, true) => line(&format!("{of} tried again: shown, and open from now on.")),
            (false, false) => {
                line(&format!("{of} tried again. These still wait, and all behind them:"));
                line(look::table(waiting).trim_end());
            }
            (true, _) => line(&format!(
                "{of} asked for, and not all tried yet: does the aggregator run? `flotilla status` tells; `flotilla dead-letters list` what waits."
            )),
        }
    }
    if *is_pending || !waiting.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
