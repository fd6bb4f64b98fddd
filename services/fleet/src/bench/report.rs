//! What was measured, where, and when.
use super::{Figures, Measure, Plan, figures::round};
use serde_json::{Map, Value, json};
use shell::clock::Clock;
use std::{collections::BTreeMap, fs, time::Duration};

/// All that a run has measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it was asked for.
    pub command: String,
    /// The day, in UTC.
    pub date: String,
    /// What it ran on.
    pub machine: Machine,
    /// What was measured; what was not is not there.
    pub entries: BTreeMap<Measure, Entry>,
    /// How long it took.
    pub took: Duration,
}

/// What a run ran on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The processors' name.
    pub processor: String,
    /// How many there are.
    pub processors: usize,
    /// Memory in megabytes.
    pub memory_mb: u64,
    /// How many processes wanted a processor when it began, and in the end: a minute's mean.
    pub load: Vec<String>,
}

/// One measure.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The figure that the measure is about.
    pub value: Figures,
    /// Its unit.
    pub unit: &'static str,
    /// The figure divided by those of the limits and the peers, each round by itself.
    pub ratios: BTreeMap<String, Figures>,
    /// All other figures, with their units in their names.
    pub others: BTreeMap<String, Figures>,
    /// What the processes took meanwhile, by name.
    pub processes: BTreeMap<String, Value>,
    /// What else a reader has to know.
    pub notes: Vec<String>,
    /// Latency against throughput.
    pub curve: Vec<Point>,
}

/// A point of the curve of latency against throughput.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What was done so often.
    pub line: &'static str,
    /// How often it was done.
    pub per_second: f64,
    /// How long half of them took at most.
    pub p50_ms: f64,
    /// How long 99 of 100 took at most.
    pub p99_ms: f64,
}

impl Entry {
    /// A measure with nothing measured yet.
    #[must_use]
    pub fn new(unit: &'static str) -> Self {
        Self { unit, ..Self::default() }
    }

    /// One more round of another figure.
    pub fn other(&mut self, name: &str, figure: f64) {
        self.others.entry(name.to_owned()).or_default().add(figure);
    }

    /// The ratio of the value to another figure, where both were measured.
    pub fn ratio(&mut self, name: &str, to: &str) {
        let Some(to) = self.others.get(to) else { return };
        let ratios = self.value.ratios(to);
        if !ratios.is_empty() {
            self.ratios.insert(name.to_owned(), ratios);
        }
    }

    /// The ratio of one of the other figures to another one, where both were measured.
    pub fn ratio_of(&mut self, name: &str, figure: &str, to: &str) {
        let (Some(figure), Some(to)) = (self.others.get(figure), self.others.get(to)) else {
            return;
        };
        let ratios = figure.ratios(to);
        if !ratios.is_empty() {
            self.ratios.insert(name.to_owned(), ratios);
        }
    }

    /// For a line of progress.
    #[must_use]
    pub fn in_short(&self) -> String {
        let value =
            self.value.median().map_or_else(|| "nothing".to_owned(), |it| round(it).to_string());
        let ratio =
            |(name, it): (&String, &Figures)| Some(format!(", {:.2} × {name}", it.median()?));
        let ratios: String = self.ratios.iter().filter_map(ratio).collect();
        format!("{value} {}{ratios}", self.unit)
    }

    /// As the report has it.
    #[must_use]
    pub fn json(&self) -> Value {
        let medians = |all: &BTreeMap<String, Figures>| -> Map<String, Value> {
            all.iter()
                .filter_map(|(name, it)| Some((name.clone(), json!(round(it.median()?)))))
                .collect()
        };
        let whole = |all: &BTreeMap<String, Figures>| -> Map<String, Value> {
            all.iter().filter_map(|(name, it)| Some((name.clone(), it.json()?))).collect()
        };
        let mut json = json!({ "unit": self.unit, "ratios": medians(&self.ratios) });
        if let Some(median) = self.value.median() {
            json["value"] = json!(round(median));
            json["rounds"] = self.value.json().unwrap_or_default();
        }
        json["ratio_rounds"] = Value::Object(whole(&self.ratios));
        json["figures"] = Value::Object(whole(&self.others));
        json["processes"] = json!(self.processes);
        json["notes"] = json!(self.notes);
        if !self.curve.is_empty() {
            let point = |it: &Point| {
                json!({
                    "line": it.line, "per_second": round(it.per_second),
                    "p50_ms": round(it.p50_ms), "p99_ms": round(it.p99_ms),
                })
            };
            json["curve"] = self.curve.iter().map(point).collect();
        }
        json
    }
}

impl Report {
    pub(super) fn new(plan: &Plan) -> Self {
        let all = plan.only.len() == Measure::ALL.len();
        let only: Vec<&str> = plan.only.iter().map(|it| it.name()).collect();
        let only = if all { String::new() } else { format!(" --only {}", only.join(",")) };
        let full = if plan.full { " --full" } else { "" };
        let rounds = plan.rounds;
        let peers = if plan.peers { "" } else { " --no-peers" };
        Self {
            command: format!("./flotilla bench --rounds {rounds}{only}{full}{peers}"),
            date: Clock::system().now().date_naive().to_string(),
            machine: Machine::this(),
            entries: BTreeMap::new(),
            took: Duration::ZERO,
        }
    }

    pub(super) fn add(&mut self, measure: Measure, entry: Entry) {
        self.entries.insert(measure, entry);
    }

    pub(super) fn finish(&mut self, took: Duration) {
        self.machine.load.extend(load());
        self.took = took;
    }

    /// For programs: a key for each measure, and `run` for how it was measured.
    #[must_use]
    pub fn json(&self) -> Value {
        let entries = self.entries.iter().map(|(it, entry)| (it.name().to_owned(), entry.json()));
        let mut json: Map<String, Value> = entries.collect();
        let Machine { processor, processors, memory_mb, load } = &self.machine;
        let machine = json!({
            "processor": processor, "processors": processors, "memory_mb": memory_mb, "load": load,
        });
        let run = json!({
            "command": self.command, "date": self.date, "machine": machine,
            "seconds": self.took.as_secs(),
        });
        json.insert("run".to_owned(), run);
        Value::Object(json)
    }
}

impl Machine {
    /// This machine, as it says itself.
    fn this() -> Self {
        let value = |text: String, name: &str| {
            let line = text.lines().find(|it| it.starts_with(name))?.to_owned();
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let memory = value(read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let memory_kb: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
        Self {
            processor: value(read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            memory_mb: memory_kb / 1024,
            load: load().into_iter().collect(),
        }
    }
}

fn load() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    Some(text.split_whitespace().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let mut entry = Entry::new("commands/s");
        for (fleet, raw) in [(90.0, 100.0), (40.0, 50.0), (80.0, 100.0)] {
            entry.value.add(fleet);
            entry.other("raw_sql_1000_per_second", raw);
        }
        entry.ratio("raw_sql_1000", "raw_sql_1000_per_second");
        entry.ratio("cqrs_es", "cqrs_es_per_second");
        entry
    }

    #[test]
    fn a_ratio_is_there_only_if_both_sides_were_measured() {
        let json = entry().json();
        assert_eq!(json["value"], json!(80.0));
        assert_eq!(json["unit"], json!("commands/s"));
        assert_eq!(json["ratios"], json!({ "raw_sql_1000": 0.8 }));
        assert_eq!(json["figures"]["raw_sql_1000_per_second"]["spread"], json!([50.0, 100.0]));
        assert_eq!(Entry::new("ms").json().get("value"), None);
    }

    #[test]
    fn the_report_has_a_key_for_what_was_measured_and_none_for_the_rest() {
        let only = [Measure::P1].into();
        let plan = Plan {
            only,
            rounds: 3,
            full: false,
            peers: false,
            sources: "bench/peers".into(),
            data: "data".into(),
        };
        let mut report = Report::new(&plan);
        report.add(Measure::P1, entry());
        let json = report.json();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["P1", "run"]);
        assert_eq!(json["run"]["command"], "./flotilla bench --rounds 3 --only P1 --no-peers");
    }
}
