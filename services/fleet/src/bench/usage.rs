//! What the processes that descend from this one take, from `/proc`.
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

/// What processes have taken so far, by name; those of one name together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Usage(BTreeMap<String, Taken>);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Taken {
    processor: Duration,
    memory_mb: f64,
}

impl Usage {
    /// Of this process and all that it has started.
    pub(super) fn now() -> Self {
        let mut parents: BTreeMap<u32, u32> = BTreeMap::new();
        let mut stats: BTreeMap<u32, Stat> = BTreeMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
                continue;
            };
            let text = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            if let Some(stat) = Stat::parse(&text) {
                parents.insert(pid, stat.parent);
                stats.insert(pid, stat);
            }
        }
        let mut usage = Self::default();
        for pid in family(std::process::id(), &parents) {
            let Some(stat) = stats.get(&pid) else { continue };
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            let name = if pid == std::process::id() { "bench".to_owned() } else { name_of(&words) };
            let it = usage.0.entry(name).or_default();
            it.processor += stat.processor;
            it.memory_mb += memory_mb(pid);
        }
        usage
    }

    /// What was taken since `before`: processors, as a share of the time, and memory now.
    pub(super) fn since(&self, before: &Self, took: Duration) -> BTreeMap<String, Value> {
        let share = |(name, it): (&String, &Taken)| {
            let before = before.0.get(name).map_or(Duration::ZERO, |it| it.processor);
            let used = it.processor.saturating_sub(before).as_secs_f64() / took.as_secs_f64();
            let share = (used * 1000.0).round() / 1000.0;
            (name.clone(), json!({ "processors": share, "memory_mb": it.memory_mb.round() }))
        };
        self.0.iter().map(share).collect()
    }
}

impl Usage {
    /// Megabytes that the processes of this name take more than they did.
    pub(super) fn memory_mb_since(&self, before: &Self, name: &str) -> f64 {
        let memory = |of: &Self| of.0.get(name).map_or(0.0, |it| it.memory_mb);
        memory(self) - memory(before)
    }
}

struct Stat {
    parent: u32,
    processor: Duration,
}

impl Stat {
    /// The name of the program is in brackets, and may have brackets and spaces in it.
    fn parse(text: &str) -> Option<Self> {
        let rest: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: u64 = rest.get(11)?.parse::<u64>().ok()? + rest.get(12)?.parse::<u64>().ok()?;
        Some(Self {
            parent: rest.get(1)?.parse().ok()?,
            processor: Duration::from_millis(ticks * 10),
        })
    }
}

/// A process and all that descend from it.
fn family(root: u32, parents: &BTreeMap<u32, u32>) -> BTreeSet<u32> {
    let mut all = BTreeSet::from([root]);
    loop {
        let more: Vec<u32> = parents
            .iter()
            .filter(|(pid, parent)| all.contains(parent) && !all.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// What a process is, from its command line.
fn name_of(command: &str) -> String {
    if let Some((_, rest)) = command.split_once(" run ") {
        return rest.split(" --").next().unwrap_or_default().trim().to_owned();
    }
    for (part, name) in
        [("kafka.Kafka", "kafka"), ("apicurio", "registry"), ("postgres", "postgres")]
    {
        if command.contains(part) {
            return name.to_owned();
        }
    }
    let program = command.split_whitespace().next().unwrap_or_default();
    program.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Its own share of what it shares with others, where the system tells.
fn memory_mb(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let text =
        text.or_else(|_| fs::read_to_string(format!("/proc/{pid}/status"))).unwrap_or_default();
    let line = text.lines().find(|it| it.starts_with("Pss:") || it.starts_with("VmRSS:"));
    let kb = line.and_then(|it| it.split_whitespace().nth(1)?.parse::<f64>().ok());
    kb.unwrap_or_default() / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let text = "7 (a) (b c) S 4 7 7 0 -1 0 1 0 0 0 150 50 0 0 20 0 1 0 10 0 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.parent, stat.processor), (4, Duration::from_secs(2)));
    }

    #[test]
    fn descendants_are_found_at_any_depth() {
        let parents = BTreeMap::from([(2, 1), (3, 2), (4, 9), (5, 3)]);
        assert_eq!(family(2, &parents), BTreeSet::from([2, 3, 5]));
    }

    #[test]
    fn processes_have_the_names_of_their_services() {
        let handler = "/x/flotilla run customers-handler --kafka-brokers 127.0.0.1:1";
        assert_eq!(name_of(handler), "customers-handler");
        assert_eq!(name_of("postgres: flotilla customers [local] idle"), "postgres");
        assert_eq!(name_of("java -cp /a.jar kafka.Kafka x"), "kafka");
        assert_eq!(name_of("/target/release/limits append"), "limits");
    }

    #[test]
    fn what_was_taken_is_what_was_not_taken_before() {
        let taken = |seconds| Taken { processor: Duration::from_secs(seconds), memory_mb: 5.4 };
        let before = Usage(BTreeMap::from([("kafka".to_owned(), taken(3))]));
        let after = Usage(BTreeMap::from([("kafka".to_owned(), taken(5))]));
        let share = after.since(&before, Duration::from_secs(4));
        assert_eq!(share["kafka"], json!({ "processors": 0.5, "memory_mb": 5.0 }));
    }
}
