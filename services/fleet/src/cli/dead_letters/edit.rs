//! Sending a command again.
use super::{Author, desk, letter_id};
use crate::{
    cli::{
        console::{line, note},
        target::Target,
    },
    services::{self, EachContext},
    stack::Stopwatch,
};
use anyhow::{Context as _, bail};
use functions::Context;
use serde_json::{Value, json};
use shared_events::fleet::Verdict;
use shell::{
    client::CommandError,
    letters::{Commands, Edit, LetterError, LetterId, Resubmitted},
};
use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

/// The options of `resubmit`.
#[derive(Debug, clap::Args)]
pub(super) struct Resubmit {
    /// A command, as `list` names it
    #[arg(value_name = "LETTER")]
    letter: String,
    /// Opens its fields in $VISUAL or $EDITOR first
    #[arg(long, conflicts_with = "body")]
    edit: bool,
    /// A file with its fields as JSON; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The record that the fields are of, such as `InviteCustomer`, where the letter does not say it
    #[arg(long, value_name = "RECORD", requires = "body")]
    record: Option<String>,
    #[command(flatten)]
    author: Author,
    /// How long to wait for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    wait: u64,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Until the replies can be received, which takes a moment.
const START_PATIENCE: Duration = Duration::from_secs(30);
const PULSE: Duration = Duration::from_millis(200);

/// Succeeds only if the command is accepted.
pub(super) async fn resubmit(options: Resubmit) -> anyhow::Result<ExitCode> {
    let LetterId::Command(place) = letter_id(&options.letter)? else {
        bail!("{} is an event: retry it, or discard it", options.letter);
    };
    let by = options.author.by()?;
    let desk = desk(&options.target)?;
    let mut find = Find { name: &place.context, commands: None };
    services::each(&mut find);
    let commands = find.commands.with_context(|| format!("no context {}", place.context))?;
    let mut edited = None;
    let edit = match &options.body {
        Some(file) => Some(Edit { record: options.record.clone(), json: read(file)? }),
        None if options.edit => {
            let (record, json) = desk.editable(&commands, &place).await?;
            let file = edited.insert(in_editor(&record, &json)?);
            Some(Edit { json: read(file).inspect_err(|_| kept(file))?, record: Some(record) })
        }
        None => None,
    };
    let shell = options.target.shell()?;
    let client = shell.client(services::CONTEXTS, Vec::new())?;
    note("  … sending it, and waiting for its answer");
    let (watch, deadline) = (Stopwatch::start(), Duration::from_secs(options.wait));
    let done = loop {
        let edit = edit.clone();
        match desk.resubmit(&client, &commands, &place, edit, &by, deadline).await {
            Err(LetterError::Command { error: CommandError::Unavailable(_), .. })
                if watch.took() < START_PATIENCE =>
            {
                shell.clock.sleep(PULSE).await;
            }
            done => break done,
        }
    };
    shell.shutdown.cancel();
    match (&done, edited) {
        (Ok(_), Some(file)) => drop(fs::remove_file(file)),
        (Err(_), Some(file)) => kept(&file),
        (_, None) => {}
    }
    Ok(tell(&options, &done?))
}

struct Find<'a> {
    name: &'a str,
    commands: Option<Commands>,
}

impl EachContext for Find<'_> {
    fn context<C: Context>(&mut self) {
        if C::NAME == self.name {
            self.commands = Some(Commands::of::<C>());
        }
    }
}

fn tell(options: &Resubmit, done: &Resubmitted) -> ExitCode {
    let Resubmitted { command_id, answer, is_resolved } = done;
    let rejection = answer.rejection.as_ref();
    let is_accepted = answer.verdict == Verdict::Accepted;
    if options.json {
        let told = json!({
            "command_id": command_id, "accepted": is_accepted, "stream": answer.stream, "version": answer.version,
            "code": rejection.map(|it| &it.code), "message": rejection.map(|it| &it.message),
            "resolved": is_resolved,
        });
        line(&told.to_string());
    } else if is_accepted {
        let (stream, version) = (answer.stream, answer.version);
        line(&format!("Command {command_id} is ACCEPTED: stream {stream}, version {version}."));
    } else {
        let (code, message) =
            rejection.map_or(("", ""), |it| (it.code.as_str(), it.message.as_str()));
        line(&format!("Command {command_id} is REJECTED, {code}: {message}."));
        let rest = if *is_resolved {
            "It is a dead letter of its own now; this one is dealt with."
        } else {
            "The letter stays: edit it and resubmit it, or discard it."
        };
        line(rest);
    }
    if is_accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(file: &Path) -> anyhow::Result<Value> {
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("read standard input")?
    } else {
        fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?
    };
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// Nobody types twice.
fn kept(file: &Path) {
    note(&format!("What you wrote is in {0}: mend it, and use --body {0}", file.display()));
}

/// A file with the fields, as somebody left it.
fn in_editor(record: &str, json: &Value) -> anyhow::Result<PathBuf> {
    let editor = ["VISUAL", "EDITOR"].iter().find_map(|it| env::var(it).ok());
    let editor = editor.filter(|it| !it.trim().is_empty()).unwrap_or_else(|| "vi".to_owned());
    let file = env::temp_dir().join(format!("{record}-{}.json", std::process::id()));
    let written = || -> std::io::Result<()> {
        // Commands have personal data: nobody else reads along, and no link leads elsewhere.
        let mut open = fs::OpenOptions::new();
        let mut it = open.write(true).create_new(true).mode(0o600).open(&file)?;
        it.write_all(format!("{json:#}\n").as_bytes())
    };
    written().with_context(|| format!("write {}", file.display()))?;
    // An editor may have arguments of its own: `code --wait`.
    let mut shell = Command::new("sh");
    let ended = shell.args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(&file).status();
    let ended = ended.with_context(|| format!("start {editor}"))?;
    let is_empty = fs::read_to_string(&file).is_ok_and(|it| it.trim().is_empty());
    if !ended.success() || is_empty {
        let _ = fs::remove_file(&file);
        let why = if is_empty { "the file is empty".into() } else { format!("{editor}: {ended}") };
        bail!("{why}: nothing was sent");
    }
    Ok(file)
}
