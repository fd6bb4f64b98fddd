//! How two generations of a view differ, for a person and as a file.
use super::console;
use anyhow::Context as _;
use futures::StreamExt as _;
use serde_json::Value;
use shell::{
    Shell,
    port::store::Generation,
    postgres::{Differences, RowDifference},
    view::ViewDefinition,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

/// How much of the differences is shown, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Shown {
    /// How many rows that differ are shown
    #[arg(long, value_name = "ROWS", default_value_t = 10)]
    sample: usize,
    /// Write every difference to this file: key, what, field, as it is read, as it is new
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    added: u64,
    removed: u64,
    changed: u64,
    /// How many rows differ in each field.
    fields: BTreeMap<String, u64>,
}

/// Shows in which rows `new` differs from `live`.
pub(super) async fn show(
    shell: &Shell,
    view: &ViewDefinition,
    live: &Generation,
    new: &Generation,
    options: &Shown,
) -> anyhow::Result<()> {
    let Differences { events_apart, columns_of_one, mut rows } =
        shell.postgres.differences(view, live, new).await?;
    let mut csv = match &options.csv {
        Some(path) => Some(BufWriter::new(
            File::create(path).with_context(|| format!("create {}", path.display()))?,
        )),
        None => None,
    };
    if let Some(csv) = &mut csv {
        write_line(csv, &["key", "what", "field", "read", "new"])?;
    }
    let (mut counts, mut sample) = (Counts::default(), Vec::new());
    while let Some(it) = rows.next().await {
        let it = it?;
        let fields = fields(&it);
        counts.take(&it, &fields);
        let lines = lines(&it, &fields);
        if let Some(csv) = &mut csv {
            for line in &lines {
                write_line(csv, &line.each_ref().map(String::as_str))?;
            }
        }
        if counts.rows() <= u64::try_from(options.sample)? {
            sample.extend(lines.into_iter().map(Vec::from));
        }
    }
    if let Some(mut csv) = csv {
        csv.flush().context("write the file")?;
    }
    let name = |it: &Generation| {
        let of = if live.hash == new.hash { String::new() } else { format!(" of {}", it.hash) };
        format!("{}{of}", it.generation)
    };
    console::line(&format!(
        "{}: {} rows only in generation {}, {} only in {}, {} differ",
        view.table,
        counts.added,
        name(new),
        counts.removed,
        name(live),
        counts.changed
    ));
    if !columns_of_one.is_empty() {
        console::note(&format!(
            "not compared, as generation {} does not have them so: {}",
            name(live),
            columns_of_one.join(", ")
        ));
    }
    for (field, rows) in &counts.fields {
        console::line(&format!("  {field} differs in {rows}"));
    }
    if !sample.is_empty() {
        let header = ["KEY", "WHAT", "FIELD", "READ", "NEW"];
        console::line(console::columns(&header, &sample).trim_end());
    }
    if events_apart > 0 {
        console::note(&format!(
            "events come in without a pause: {events_apart} of them were in one of the two only, and rows that they are about may differ for that"
        ));
    }
    Ok(())
}

impl Counts {
    fn rows(&self) -> u64 {
        self.added + self.removed + self.changed
    }

    fn take(&mut self, it: &RowDifference, fields: &[&str]) {
        match (&it.old, &it.new) {
            (None, _) => self.added += 1,
            (_, None) => self.removed += 1,
            (Some(_), Some(_)) => {
                self.changed += 1;
                for field in fields {
                    *self.fields.entry((*field).to_owned()).or_default() += 1;
                }
            }
        }
    }
}

/// The fields in which a row differs.
fn fields(it: &RowDifference) -> Vec<&str> {
    let (Some(Value::Object(old)), Some(Value::Object(new))) = (&it.old, &it.new) else {
        return Vec::new();
    };
    let differs = |(name, value): (_, _)| (old.get(name) != Some(value)).then_some(name);
    new.iter().filter_map(|(name, value)| differs((name, value))).map(String::as_str).collect()
}

/// One line a field that differs; one for a row that only one of them has.
fn lines(it: &RowDifference, fields: &[&str]) -> Vec<[String; 5]> {
    let text = |row: &Option<Value>| row.as_ref().map_or_else(String::new, Value::to_string);
    let one = |what: &str| {
        vec![[it.key.clone(), what.into(), String::new(), text(&it.old), text(&it.new)]]
    };
    match (&it.old, &it.new) {
        (None, _) => one("added"),
        (_, None) => one("removed"),
        (Some(old), Some(new)) => {
            let line = |field: &&str| {
                let value = |row: &Value| match row.get(*field) {
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                    None => String::new(),
                };
                [it.key.clone(), "changed".into(), (*field).into(), value(old), value(new)]
            };
            fields.iter().map(line).collect()
        }
    }
}

/// RFC 4180; what a spreadsheet would take for a formula is text.
fn write_line(to: &mut impl Write, cells: &[&str]) -> anyhow::Result<()> {
    let cell = |it: &&str| {
        let guard = if it.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        format!("\"{guard}{}\"", it.replace('"', "\"\""))
    };
    let line: Vec<String> = cells.iter().map(cell).collect();
    write!(to, "{}\r\n", line.join(",")).context("write the file")
}
