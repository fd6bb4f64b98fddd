//! What the clients and the checks of `chaos` and `drill` came to.
use super::console;
use crate::drill::Tally;
use std::collections::BTreeMap;

/// Prints it.
pub(super) fn print(tally: &Tally) {
    pairs("Commands by outcome", &tally.commands);
    if !tally.attempts_failed.is_empty() {
        pairs("Attempts without a final answer, all made again", &tally.attempts_failed);
    }
    title("Checked");
    console::table(&[
        ("queries", tally.queries.to_string()),
        ("events", tally.events.to_string()),
        ("records of events", tally.records.to_string()),
        ("anomalies", tally.anomalies.len().to_string()),
    ]);
    for it in &tally.anomalies {
        console::line(&format!("  {it}"));
    }
}

/// Prints what comes next, after a line of its own.
pub(super) fn title(text: &str) {
    console::line(&format!("\n{text}"));
}

fn pairs(text: &str, all: &BTreeMap<String, usize>) {
    title(text);
    let rows: Vec<(&str, String)> =
        all.iter().map(|(name, count)| (name.as_str(), count.to_string())).collect();
    console::table(&rows);
}
