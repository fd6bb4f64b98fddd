//! What `flotilla status` shows to people.
use super::{
    Told,
    progress::{Standstill, standstills},
};
use crate::{
    cli::console::{columns, pairs},
    stack::Description,
};
use shell::status::{Report, ServiceReport};
use std::collections::BTreeMap;

/// Partitions beside each other in a table.
const ABREAST: usize = 12;
/// Longer reasons are cut in tables.
const REASON_CHARS: usize = 60;

/// A fleet that was found by its data folder.
pub(super) fn fleet(it: &Description, told: &Told) -> String {
    let state = match told {
        Ok(report) if report.ready => "is ready",
        Ok(_) => "is not ready",
        Err(_) => "does not answer",
    };
    let mut text = format!("The fleet in {} {state} (pid {}).\n\n", it.data.display(), it.pid);
    text += &pairs(&[
        ("HTTP", it.http.clone()),
        ("Kafka", it.kafka.clone()),
        ("schema registry", it.registry.clone()),
        ("Postgres", it.postgres.clone()),
        ("data folder", it.data.display().to_string()),
        ("logs", it.logs.display().to_string()),
    ]);
    match told {
        Ok(report) => text + &details(report),
        Err(error) => {
            text + &format!(
                "\n{error}.\nWait for it with --wait; the log of the terminal tells more.\n"
            )
        }
    }
}

/// A process that was named by its address.
pub(super) fn process(http: &str, told: &Told) -> String {
    match told {
        Ok(report) => {
            let state = if report.ready { "is ready" } else { "is not ready" };
            let (pid, instance) = (report.pid, report.instance);
            format!("The process at {http} {state} (pid {pid}, instance {instance}).\n")
                + &details(report)
        }
        Err(error) => format!("{error}.\n"),
    }
}

fn details(report: &Report) -> String {
    let mut text = services(report) + &lags(report) + &aside(report);
    let still = standstills(report);
    if !still.is_empty() {
        text += &no_progress(&still);
    }
    text
}

fn services(report: &Report) -> String {
    let row = |(name, it): (&String, &ServiceReport)| {
        let state = match &it.reason {
            None => "ready".to_owned(),
            Some(reason) => format!("not ready: {reason}"),
        };
        let parts = it.partitions.len();
        let parts = if parts == 0 { String::new() } else { parts.to_string() };
        vec![name.clone(), parts, behind(it), state]
    };
    let rows: Vec<_> = report.services.iter().map(row).collect();
    titled("Services", &columns(&["service", "partitions", "behind", "state"], &rows))
}

/// All that waits in its partitions, as far as that is known.
fn behind(service: &ServiceReport) -> String {
    if service.partitions.is_empty() {
        return String::new();
    }
    let lags: Option<Vec<i64>> = service.partitions.iter().map(|it| it.lag).collect();
    lags.map_or_else(|| "?".to_owned(), |it| it.iter().sum::<i64>().to_string())
}

fn lags(report: &Report) -> String {
    let lag = |it: Option<i64>| it.map_or_else(|| "?".to_owned(), |it| it.to_string());
    let mut of: Vec<(String, BTreeMap<i32, String>)> = Vec::new();
    for (name, service) in &report.services {
        let mut topics: BTreeMap<&str, BTreeMap<i32, String>> = BTreeMap::new();
        for it in &service.partitions {
            topics.entry(&it.topic).or_default().insert(it.partition, lag(it.lag));
        }
        of.extend(topics.into_iter().map(|(topic, lags)| (format!("{name} < {topic}"), lags)));
    }
    let mut numbers: Vec<i32> = of.iter().flat_map(|(_, it)| it.keys().copied()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut text = String::new();
    for some in numbers.chunks(ABREAST) {
        let mut header = vec!["partition".to_owned()];
        header.extend(some.iter().map(i32::to_string));
        let row = |(name, lags): &(String, BTreeMap<i32, String>)| {
            // What is missing here is another process's.
            let own = some.iter().map(|it| lags.get(it).cloned().unwrap_or_else(|| "-".to_owned()));
            [name.clone()].into_iter().chain(own).collect()
        };
        let rows: Vec<Vec<String>> = of.iter().map(row).collect();
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        text += &columns(&header, &rows);
    }
    if text.is_empty() {
        return text;
    }
    titled("Records that wait, by partition (? not looked at yet, - in another process)", &text)
}

fn aside(report: &Report) -> String {
    let (mut letters, mut parked, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for (context, it) in &report.contexts {
        letters.extend(it.dead_letters.iter().map(|it| {
            let latest = it.latest.format("%Y-%m-%d %H:%M:%S UTC").to_string();
            let reason = short(&it.reason);
            vec![context.clone(), it.code.clone(), it.count.to_string(), latest, reason]
        }));
        parked.extend(it.parked.iter().filter(|it| it.events > 0).map(|it| {
            let view = format!("{context}/{}", it.view);
            vec![view, it.events.to_string(), it.streams.to_string(), short(&it.reason)]
        }));
        unknown.extend(it.error.iter().map(|why| vec![context.clone(), why.clone()]));
    }
    let mut text = String::new();
    if letters.is_empty() && parked.is_empty() && unknown.is_empty() {
        return "\nNo dead letters, no parked events.\n".to_owned();
    }
    if !letters.is_empty() {
        let header = ["context", "code", "count", "latest", "one of them"];
        text += &titled(
            "Dead letters: commands that could not be decided",
            &columns(&header, &letters),
        );
        text += "  `flotilla dead-letters list` names them; `resubmit` sends one again, `discard` is done with it.\n";
    }
    if !parked.is_empty() {
        let header = ["view", "events", "streams", "one of them"];
        text += &titled("Parked events: not shown, their streams wait", &columns(&header, &parked));
        text += "  `flotilla dead-letters list` names them; once the cause is gone, `retry --all` shows them in order.\n  Where the fold itself is wrong: mend it, raise its REVISION, deploy: it is built again with them.\n";
    }
    if !unknown.is_empty() {
        text += &titled(
            "Dead letters and parked events are not known",
            &columns(&["context", "why"], &unknown),
        );
    }
    text
}

fn short(reason: &str) -> String {
    let reason = reason.lines().next().unwrap_or_default();
    if reason.chars().count() <= REASON_CHARS {
        return reason.to_owned();
    }
    reason.chars().take(REASON_CHARS - 1).chain(['…']).collect()
}

/// Those with the same reason together.
fn no_progress(all: &[Standstill]) -> String {
    let mut groups: BTreeMap<(&str, &str), Vec<&Standstill>> = BTreeMap::new();
    for it in all {
        groups.entry((&it.service, &it.reason)).or_default().push(it);
    }
    let mut text = String::new();
    for ((service, reason), group) in groups {
        let row = |it: &&Standstill| {
            let waits = match it.waiting_seconds {
                0 => String::new(),
                seconds => format!("{seconds} s"),
            };
            vec![
                format!("{}/{}", it.topic, it.partition),
                format!("pid {}, instance {}", it.owner.pid, it.owner.instance),
                it.epoch.to_string(),
                it.offset.to_string(),
                it.lag.map_or_else(|| "?".to_owned(), |it| it.to_string()),
                waits,
            ]
        };
        let header = ["partition", "owner", "epoch", "offset", "lag", "waits"];
        let rows: Vec<_> = group.iter().map(row).collect();
        text += &titled(&format!("No progress in {service}: {reason}"), &columns(&header, &rows));
        if let Some(first) = group.first() {
            text = text + "  What to do: " + &first.advice + "\n";
        }
    }
    text
}

fn titled(title: &str, table: &str) -> String {
    format!("\n{title}\n{table}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use shell::status::{ContextReport, DeadLetters, ParkedEvents, PartReport};

    fn part(partition: i32, lag: i64) -> PartReport {
        PartReport {
            topic: "customers.commands".into(),
            partition,
            epoch: 4,
            offset: 17,
            lag: Some(lag),
            ..PartReport::default()
        }
    }

    fn report() -> Report {
        let handler = ServiceReport {
            ready: true,
            partitions: vec![part(2, 3), PartReport { waiting_seconds: 20, ..part(10, 5) }],
            ..ServiceReport::default()
        };
        let bff = ServiceReport { reason: Some("is starting".into()), ..ServiceReport::default() };
        let context = ContextReport {
            dead_letters: vec![DeadLetters {
                code: "UNDECODABLE".into(),
                count: 12,
                latest: DateTime::UNIX_EPOCH,
                reason: "x".repeat(200),
            }],
            parked: vec![ParkedEvents {
                view: "customer".into(),
                events: 9,
                streams: 2,
                reason: "it panicked".into(),
            }],
            error: None,
        };
        Report {
            pid: 7,
            services: [("customers-handler".to_owned(), handler), ("bff".to_owned(), bff)].into(),
            contexts: [("customers".to_owned(), context)].into(),
            ..Report::default()
        }
    }

    #[test]
    fn people_see_what_is_up_what_waits_and_what_is_kept_aside() {
        let text = process("http://127.0.0.1:1", &Ok(report()));
        for expected in [
            "The process at http://127.0.0.1:1 is not ready (pid 7,",
            "  service            partitions  behind  state\n",
            "  bff                                    not ready: is starting\n",
            "  customers-handler           2       8  ready\n",
            "  partition                               2  10\n",
            "  customers-handler < customers.commands  3   5\n",
            "  customers  UNDECODABLE     12  1970-01-01 00:00:00 UTC  xxxx",
            "  customers/customer       9        2  it panicked\n",
            "No progress in customers-handler: records wait in the log",
            "  customers.commands/10  pid 7, instance 00000000-0000-0000-0000-000000000000      4      17    5   20 s\n",
            "  What to do: Look into the log of process 7",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
        assert!(text.lines().all(|it| it == it.trim_end()), "{text}");
    }

    #[test]
    fn a_process_without_troubles_says_so_in_a_line() {
        let text = process("http://x:1", &Ok(Report { ready: true, ..Report::default() }));
        assert!(text.ends_with("\nNo dead letters, no parked events.\n"), "{text}");
        assert_eq!(process("http://x:1", &Err("nobody".into())), "nobody.\n");
    }
}
