//! The figures as Markdown: `bench/RESULTS.md`.
use super::{Entry, Report, figures::round};
use std::fmt::Write as _;

impl Report {
    /// A page that says what was measured, where and how; `picture` is the name of the picture beside it.
    #[must_use]
    pub fn markdown(&self, picture: Option<&str>) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "# Results\n\nWritten by `{} --write-results`, {}, in {} minutes, on {} × {}, {} GB of memory; \
            load average at the beginning and in the end: {}.\n\n\
            Figures of different machines cannot be compared; ratios can, more or less. Each is the median of the ratios \
            of the rounds, in which the fleet, the limits and the peers take turns; in brackets the smallest and the \
            largest. What the limits and the peers do is in `bench/peers`.\n",
            self.command,
            self.date,
            self.took.as_secs().div_ceil(60),
            machine.processors,
            machine.processor,
            machine.memory_mb.div_ceil(1024),
            machine.load.join(", "),
        );
        if let Some(picture) = picture {
            let _ = write!(text, "\n![Latency against throughput]({picture})\n");
        }
        for (measure, entry) in &self.entries {
            let _ = write!(text, "\n## {measure}: {}\n\n", measure.about());
            section(&mut text, entry);
        }
        text
    }
}

fn section(text: &mut String, entry: &Entry) {
    let value = |it: Option<f64>| it.map(|it| round(it).to_string()).unwrap_or_default();
    let _ = writeln!(text, "| | median | from | to |\n|---|---|---|---|");
    let own = (format!("**{}**", entry.unit), &entry.value);
    let ratios = entry.ratios.iter().map(|(name, it)| (format!("× {name}"), it));
    let others = entry.others.iter().map(|(name, it)| (name.replace('_', " "), it));
    for (name, figures) in std::iter::once(own).chain(ratios).chain(others) {
        if figures.is_empty() {
            continue;
        }
        let (low, high) = figures.spread().unzip();
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} |",
            value(figures.median()),
            value(low),
            value(high)
        );
    }
    if !entry.processes.is_empty() {
        let _ =
            write!(text, "\n| process, last round | processors | memory, MB |\n|---|---|---|\n");
        for (name, it) in &entry.processes {
            let _ = writeln!(text, "| {name} | {} | {} |", it["processors"], it["memory_mb"]);
        }
    }
    for note in &entry.notes {
        let _ = write!(text, "\n{note}.\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_has_no_row() {
        let mut entry = Entry::new("commands/s");
        entry.value.add(1234.0);
        entry.other("raw_sql_1000_per_second", 2468.0);
        entry.ratio("raw_sql_1000", "raw_sql_1000_per_second");
        entry.ratio("emmett", "emmett_per_second");
        let mut text = String::new();
        section(&mut text, &entry);
        assert!(text.contains("| **commands/s** | 1234 | 1234 | 1234 |"), "{text}");
        assert!(text.contains("| × raw_sql_1000 | 0.5 | 0.5 | 0.5 |"), "{text}");
        assert!(!text.contains("emmett"), "{text}");
    }
}
