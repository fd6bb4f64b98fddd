//! What the commands say: results on standard output, progress and errors on standard error.
use crate::stack::Progress;
use std::{
    io::{IsTerminal as _, Write as _, stderr, stdin, stdout},
    process::ExitCode,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A line of a result.
pub(super) fn line(text: &str) {
    // Whoever reads it may have gone, as `head` does; that is no reason to fail.
    let _ = writeln!(stdout().lock(), "{text}");
}

/// A line about what is going on.
pub(super) fn note(text: &str) {
    // Nobody may be there to read it; the fleet goes on.
    let _ = writeln!(stderr().lock(), "{text}");
}

/// Says why a command failed.
pub(super) fn failed(error: &anyhow::Error) -> ExitCode {
    note(&format!("flotilla: {error:#}"));
    ExitCode::FAILURE
}

/// Asks a person; `None`: there is nobody to ask.
pub(super) fn ask(question: &str) -> Option<String> {
    if !stdin().is_terminal() {
        return None;
    }
    let mut err = stderr().lock();
    write!(err, "{question} ").and_then(|()| err.flush()).ok()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer).ok()?;
    Some(answer.trim().to_owned())
}

/// Two columns without a header.
pub(super) fn table(rows: &[(&str, String)]) {
    line(pairs(rows).trim_end());
}

/// The text of two columns without a header.
pub(super) fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let one = |(name, value): &(&str, String)| format!("  {name:width$}  {value}");
    rows.iter().map(one).collect::<Vec<_>>().join("\n") + "\n"
}

/// The text of a table; columns of numbers stand to the right.
pub(super) fn columns(header: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let is_number = |it: &String| {
        it.is_empty() || it.starts_with(|it: char| it.is_ascii_digit() || it == '?' || it == '-')
    };
    let shape: Vec<(usize, bool)> = header
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let width = cells(column).map(|it| it.chars().count()).max().unwrap_or_default();
            (width.max(name.chars().count()), cells(column).all(is_number))
        })
        .collect();
    let one = |row: &[&str]| {
        let cells = row.iter().zip(&shape).map(|(cell, (width, is_right))| match is_right {
            true => format!("  {cell:>width$}"),
            false => format!("  {cell:width$}"),
        });
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    let rows = rows.iter().map(|row| one(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    one(header) + &rows.collect::<String>()
}

/// Progress as lines; details of a long step replace each other on a terminal, and are rare elsewhere.
pub(super) struct Steps {
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A detail is on the line that the cursor is on.
    open: bool,
    details: u64,
}

/// Without a terminal, so many details make one line.
const DETAILS_A_LINE: u64 = 40;

impl Steps {
    pub(super) fn new() -> Self {
        Self { terminal: stderr().is_terminal(), state: Mutex::default() }
    }

    fn say(&self, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.open) {
            let _ = write!(stderr().lock(), "\r\x1b[K");
        }
        note(text);
    }
}

impl Progress for Steps {
    fn began(&self, step: &str, waits_for: &str) {
        self.say(&format!("  … {step}: waiting for {waits_for}"));
    }

    fn goes_on(&self, step: &str, detail: &str) {
        if self.terminal {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let short: String = detail.chars().take(70).collect();
            let mut err = stderr().lock();
            let _ = write!(err, "\r\x1b[K    {step}: {short}").and_then(|()| err.flush());
            state.open = true;
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.details += 1;
        if state.details % DETAILS_A_LINE == 1 {
            note(&format!("    {step}: {detail}"));
        }
    }

    fn done(&self, step: &str, result: &str, took: Duration) {
        self.say(&format!("  ✓ {step}: {result} ({:.1} s)", took.as_secs_f64()));
    }
}
