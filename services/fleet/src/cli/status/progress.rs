//! Partitions that make no progress: who has them, why, and what to do.
use serde::Serialize;
use shell::status::{PartReport, Report};
use uuid::Uuid;

/// Shorter waits are everyday life: a loop looks at the end of the log every 10 seconds.
const SUSPICIOUS_SECONDS: u64 = 15;

/// A partition that makes no progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Standstill {
    /// Who reads it, as `flotilla services` calls it, with the view.
    pub(super) service: String,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) owner: Owner,
    pub(super) epoch: i64,
    /// The next offset to be read.
    pub(super) offset: i64,
    pub(super) lag: Option<i64>,
    pub(super) waiting_seconds: u64,
    pub(super) reason: String,
    /// What to do, in words.
    pub(super) advice: String,
}

/// The process that owns a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Owner {
    pub(super) pid: u32,
    pub(super) instance: Uuid,
}

/// All of a process.
pub(super) fn standstills(report: &Report) -> Vec<Standstill> {
    let owner = Owner { pid: report.pid, instance: report.instance };
    let mut all = Vec::new();
    for (name, service) in &report.services {
        for part in &service.partitions {
            let Some(reason) = reason(part, service.trouble.as_deref()) else { continue };
            all.push(Standstill {
                service: name.clone(),
                topic: part.topic.clone(),
                partition: part.partition,
                owner: owner.clone(),
                epoch: part.epoch,
                offset: part.offset,
                lag: part.lag,
                waiting_seconds: part.waiting_seconds,
                advice: advice(name, part.stopped, &reason, report.pid),
                reason,
            });
        }
    }
    all
}

fn reason(part: &PartReport, of_service: Option<&str>) -> Option<String> {
    let told = part.trouble.as_deref().or(of_service);
    if told.is_none() && part.waiting_seconds < SUSPICIOUS_SECONDS {
        return None;
    }
    Some(told.map_or_else(|| silent(part).to_owned(), str::to_owned))
}

/// Nobody says why: then what waits is all that can be said.
fn silent(part: &PartReport) -> &'static str {
    if part.lag.is_some_and(|it| it > 0) {
        "records wait in the log, and the process does not say why"
    } else {
        "events wait to be published, and the process does not say why"
    }
}

fn advice(service: &str, stopped: bool, reason: &str, pid: u32) -> String {
    let is_view = service.contains('/');
    let says = |word: &str| reason.to_ascii_lowercase().contains(word);
    if stopped && is_view {
        return "Build the view again: raise its REVISION and deploy. The others go on meanwhile."
            .to_owned();
    }
    if stopped {
        return format!(
            "It stays stopped, so that no second history begins: restore the context's database, \
             or give its ledger a new incarnation; then restart process {pid}."
        );
    }
    if says("another process has taken") {
        return "Nothing, if it passes within seconds. Otherwise two fleets work under the same \
                names: stop one of them, or give it a FLOTILLA_NAMESPACE."
            .to_owned();
    }
    if says("nowhere in the log") {
        return "See that the handler of the context runs and is ready: it publishes the event \
                again, from its ledger."
            .to_owned();
    }
    let server = if says("registry") {
        Some(("the schema registry", "SCHEMA_REGISTRY_URL"))
    } else if says("store") {
        Some(("Postgres", "DATABASE_URL"))
    } else if says("the log:") || says("kafka") {
        Some(("Kafka", "KAFKA_BROKERS"))
    } else {
        None
    };
    match server {
        Some((server, variable)) => format!(
            "See that {server} runs and that {variable} is its address; this process goes on by \
             itself, and nothing is lost."
        ),
        None => format!(
            "Look into the log of process {pid} for this partition. If it tells nothing, restart \
             the process: another one, if there is one, takes over within 10 seconds."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shell::status::ServiceReport;

    fn report(part: PartReport, trouble: Option<&str>) -> Report {
        let service = ServiceReport {
            trouble: trouble.map(str::to_owned),
            partitions: vec![part],
            ..ServiceReport::default()
        };
        let services = [("customers-handler".to_owned(), service)].into();
        Report { pid: 7, services, ..Report::default() }
    }

    #[test]
    fn a_partition_that_works_is_not_mentioned() {
        let part = PartReport { lag: Some(3), waiting_seconds: 9, ..PartReport::default() };
        assert_eq!(standstills(&report(part, None)), []);
    }

    #[test]
    fn every_reason_comes_with_what_to_do() {
        for (trouble, advised) in [
            ("the store does not answer: timed out", "DATABASE_URL"),
            ("the schema registry does not answer: refused", "SCHEMA_REGISTRY_URL"),
            ("the log: broker away", "KAFKA_BROKERS"),
            ("another process has taken it", "FLOTILLA_NAMESPACE"),
            ("event 4 is nowhere in the log; asked", "the handler of the context"),
            ("something new", "log of process 7"),
        ] {
            let part = PartReport { trouble: Some(trouble.into()), ..PartReport::default() };
            let found = standstills(&report(part, None));
            assert_eq!(found[0].reason, trouble);
            assert!(found[0].advice.contains(advised), "{trouble}: {}", found[0].advice);
            let of_service = standstills(&report(PartReport::default(), Some(trouble)));
            assert_eq!(of_service[0].advice, found[0].advice);
        }
        let stopped = PartReport {
            trouble: Some("the ledger is corrupt".into()),
            stopped: true,
            ..PartReport::default()
        };
        assert!(standstills(&report(stopped, None))[0].advice.contains("incarnation"));
        let silent = PartReport { lag: Some(1), waiting_seconds: 20, ..PartReport::default() };
        let found = standstills(&report(silent, None));
        assert!(found[0].reason.starts_with("records wait"), "{found:?}");
    }
}
