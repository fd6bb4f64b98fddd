//! Every metric of the fleet: its name, its unit, and what it says.
//!
//! Names and units follow OpenTelemetry's conventions (`messaging.*` is theirs, `flotilla.*` ours). Prometheus has them with `_` for
//! `.`, with the unit behind, and `_total` behind counters: [`Metric::text_name`].
use super::otlp::Sent;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::sync::{Arc, OnceLock};

/// What can be measured of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What happened, counted: only grows while the process lives.
    Counter,
    /// What is.
    Gauge,
    /// How long things took, or how large they were, in buckets.
    Histogram,
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// As OpenTelemetry has it.
    pub name: &'static str,
    /// How it is measured.
    pub kind: Kind,
    /// As UCUM has it: `s`, or in braces what is counted.
    pub unit: &'static str,
    /// What it is told apart by.
    pub labels: &'static [&'static str],
    /// What it says.
    pub about: &'static str,
}

impl Metric {
    /// As it stands in `/metrics`; a histogram has `_bucket`, `_sum` and `_count` behind that.
    #[must_use]
    pub fn text_name(&self) -> String {
        let unit = if self.unit == "s" { "_seconds" } else { "" };
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", self.name.replace('.', "_"))
    }
}

macro_rules! metrics {
    ($($kind:ident $constant:ident = $name:literal, $unit:literal, [$($label:literal),*], $about:literal;)*) => {
        $(
            #[doc = $about]
            pub const $constant: Metric = Metric {
                name: $name, kind: Kind::$kind, unit: $unit, labels: &[$($label),*], about: $about,
            };
        )*
        /// All of them.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    // What loops do.
    Histogram PROCESS_DURATION = "messaging.process.duration", "s", ["messaging.destination.name", "messaging.consumer.group.name"],
        "From when a batch of records was taken up until it was committed.";
    Counter CONSUMED = "messaging.client.consumed.messages", "{message}", ["messaging.destination.name", "messaging.consumer.group.name"],
        "Records that were processed.";
    Histogram BATCH_SIZE = "flotilla.batch.size", "{message}", ["loop"],
        "Records that were committed together.";
    Histogram COMMIT_DURATION = "flotilla.commit.duration", "s", ["loop"],
        "How long the store took for one batch.";
    Counter REBALANCES = "flotilla.rebalances", "{rebalance}", ["loop"],
        "How often partitions came or went.";
    // The write side.
    Counter COMMANDS = "flotilla.commands", "{command}", ["context", "verdict"],
        "Commands that were decided, by what became of them.";
    Counter EVENTS = "flotilla.events", "{event}", ["context"],
        "Events that were written down.";
    Histogram COMMAND_AGE = "flotilla.command.age", "s", ["context"],
        "From when Kafka took a command until what became of it was written down.";
    Histogram DECIDE_DURATION = "flotilla.decide.duration", "s", ["context"],
        "How long a batch of commands took to decide, without the store.";
    Histogram PUBLISH_DURATION = "flotilla.publish.duration", "s", ["context"],
        "From when events were handed to Kafka until it had them.";
    Counter CACHE_HITS = "flotilla.cache.hits", "{stream}", ["context"],
        "Streams that a handler knew when a command came.";
    Counter CACHE_MISSES = "flotilla.cache.misses", "{stream}", ["context"],
        "Streams whose events a handler had to read.";
    Counter FENCED = "flotilla.fenced", "{partition}", ["context"],
        "Partitions that another process had taken.";
    Counter DEAD_LETTERS = "flotilla.dead_letters", "{record}", ["context"],
        "Records that became dead letters.";
    Gauge DEAD_LETTERS_OPEN = "flotilla.dead_letters.open", "{record}", ["context"],
        "Dead letters that nobody has dealt with.";
    // The read side.
    Counter VIEW_EVENTS = "flotilla.view.events", "{event}", ["view"],
        "Events that a view took in.";
    Histogram EVENT_AGE = "flotilla.event.age", "s", ["view"],
        "From when an event was decided until the view showed it; not while a generation is built.";
    Histogram FOLD_DURATION = "flotilla.fold.duration", "s", ["view"],
        "How long a batch of events took to fold, without the store.";
    Counter PARKED_EVENTS = "flotilla.parked_events", "{event}", ["view"],
        "Events that a view set aside.";
    Gauge PARKED_EVENTS_OPEN = "flotilla.parked_events.open", "{event}", ["context", "view"],
        "Events that wait in a view, as one of their stream could not be folded.";
    Counter FOREIGN_RECORDS = "flotilla.foreign_records", "{record}", ["view"],
        "Records of an event topic that are no events.";
    Counter EVENTS_FROM_THE_FUTURE = "flotilla.events_from_the_future", "{event}", ["view"],
        "Events of a newer build that a view passed over.";
    // The BFF.
    Histogram GRAPHQL_DURATION = "flotilla.graphql.duration", "s", ["operation"],
        "How long queries and mutations took.";
    Counter GRAPHQL_ERRORS = "flotilla.graphql.errors", "{error}", ["code"],
        "Errors in answers, by code.";
    Counter GRAPHQL_TURNED_AWAY = "flotilla.graphql.turned_away", "{connection}", [],
        "Connections that there was no room for.";
    Histogram POSITION_WAIT_DURATION = "flotilla.position.wait.duration", "s", ["outcome"],
        "How long queries waited for what their reader has seen; those that did not have to wait are left out.";
    Gauge LIVE_FOLLOWERS = "flotilla.live.followers", "{subscriber}", ["view"],
        "Subscribers.";
    Counter LIVE_ROWS = "flotilla.live.rows", "{row}", ["view"],
        "Rows that were pushed to subscribers.";
    Counter LIVE_RESYNCS = "flotilla.live.resyncs", "{subscriber}", ["view", "reason"],
        "Subscribers who were told to read again.";
    // Where everything stands.
    Gauge LAG = "flotilla.lag", "{message}", ["service", "partition"],
        "Records that wait in a partition.";
    Gauge WAITING = "flotilla.waiting.duration", "s", ["service", "partition"],
        "For how long something has waited in a partition without any progress.";
    Gauge PSEQ = "flotilla.pseq", "{event}", ["service", "partition"],
        "The last event of a partition that was decided, or shown.";
    Gauge PUBLISHED = "flotilla.published", "{event}", ["service", "partition"],
        "The last event of a partition that Kafka has for certain.";
    Gauge POOL_CONNECTIONS = "db.client.connection.count", "{connection}", ["db.client.connection.pool.name", "db.client.connection.state"],
        "Connections to a context's database for queries, at work (`used`) or not (`idle`).";
    Counter SERVER_ERRORS = "flotilla.server.errors", "{error}", ["server"],
        "How often Kafka or Postgres did not answer, broke a connection or refused one.";
    Gauge READY = "flotilla.ready", "1", ["service"],
        "Whether a service is ready.";
    Gauge BUILD = "flotilla.build", "1", ["version", "revision"],
        "Which build this is; always 1.";
}

/// All of them as a Markdown table, for the README.
#[must_use]
pub fn table() -> String {
    let row = |it: &Metric| {
        let labels: Vec<String> = it.labels.iter().map(|it| it.replace('.', "_")).collect();
        let kind = format!("{:?}", it.kind).to_lowercase();
        format!("| `{}` | {kind} | {} | {} |\n", it.text_name(), labels.join(", "), it.about)
    };
    let rows: String = ALL.iter().map(row).collect();
    format!("| Metric | | Labels | Meaning |\n|---|---|---|---|\n{rows}")
}

/// Bounds of the buckets of what is measured in seconds, for Prometheus' text; OTLP has exponential ones.
const SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];
/// The same, of what is counted.
const COUNTS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0];

/// The text of all metrics. Counting begins when this is called first.
pub(crate) fn recorder() -> &'static PrometheusHandle {
    static TEXT: OnceLock<PrometheusHandle> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut builder = PrometheusBuilder::new().with_recommended_naming(true);
        for it in ALL.iter().filter(|it| it.kind == Kind::Histogram) {
            let bounds = if it.unit == "s" { SECONDS } else { COUNTS };
            let of = Matcher::Full(it.name.to_owned());
            // It refuses only an empty list.
            builder = match builder.set_buckets_for_metric(of, bounds) {
                Ok(builder) => builder,
                Err(_) => PrometheusBuilder::new().with_recommended_naming(true),
            };
        }
        let text = builder.build_recorder();
        let handle = text.handle();
        // In a test several fleets share a process, and the first recorder.
        drop(metrics::set_global_recorder(Twice(text)));
        describe();
        handle
    })
}

fn describe() {
    for it in ALL {
        let unit = (it.unit == "s").then_some(Unit::Seconds);
        let (name, about) = (KeyName::from(it.name), SharedString::from(it.about));
        metrics::with_recorder(|recorder| match it.kind {
            Kind::Counter => recorder.describe_counter(name, unit, about),
            Kind::Gauge => recorder.describe_gauge(name, unit, about),
            Kind::Histogram => recorder.describe_histogram(name, unit, about),
        });
    }
}

/// What is measured goes into the text, and to the collector if there is one.
struct Twice(PrometheusRecorder);

struct Both<T>(T, T);

impl Recorder for Twice {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, about: SharedString) {
        self.0.describe_counter(key, unit, about);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, about: SharedString) {
        self.0.describe_gauge(key, unit, about);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, about: SharedString) {
        self.0.describe_histogram(key, unit, about);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let text = self.0.register_counter(key, metadata);
        match Sent::get() {
            Some(sent) => Counter::from_arc(Arc::new(Both(text, sent.counter(key)))),
            None => text,
        }
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let text = self.0.register_gauge(key, metadata);
        match Sent::get() {
            Some(sent) => Gauge::from_arc(Arc::new(Both(text, sent.gauge(key)))),
            None => text,
        }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let text = self.0.register_histogram(key, metadata);
        match Sent::get() {
            Some(sent) => Histogram::from_arc(Arc::new(Both(text, sent.histogram(key)))),
            None => text,
        }
    }
}

impl CounterFn for Both<Counter> {
    fn increment(&self, value: u64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn absolute(&self, value: u64) {
        self.0.absolute(value);
        self.1.absolute(value);
    }
}

impl GaugeFn for Both<Gauge> {
    fn increment(&self, value: f64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn decrement(&self, value: f64) {
        self.0.decrement(value);
        self.1.decrement(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
        self.1.set(value);
    }
}

impl HistogramFn for Both<Histogram> {
    fn record(&self, value: f64) {
        self.0.record(value);
        self.1.record(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_those_that_prometheus_expects() {
        assert_eq!(COMMANDS.text_name(), "flotilla_commands_total");
        assert_eq!(PROCESS_DURATION.text_name(), "messaging_process_duration_seconds");
        assert_eq!(WAITING.text_name(), "flotilla_waiting_duration_seconds");
        assert_eq!(LAG.text_name(), "flotilla_lag");
        let names: BTreeSet<String> = ALL.iter().map(Metric::text_name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn the_text_has_the_names_units_and_buckets_of_the_list() {
        let text = recorder();
        for it in ALL {
            let labels: Vec<metrics::Label> =
                it.labels.iter().map(|name| metrics::Label::new(*name, "x")).collect();
            match it.kind {
                Kind::Counter => metrics::counter!(it.name, labels).increment(1),
                Kind::Gauge => metrics::gauge!(it.name, labels).set(1.0),
                Kind::Histogram => metrics::histogram!(it.name, labels).record(0.3),
            }
        }
        let text = text.render();
        for it in ALL {
            let name = it.text_name();
            let kind = format!("{:?}", it.kind).to_lowercase();
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} in\n{text}");
            assert!(text.contains(&format!("# HELP {name} {}\n", it.about)), "{name} in\n{text}");
            if it.kind == Kind::Histogram {
                assert!(text.contains(&format!("{name}_bucket{{")), "{name} in\n{text}");
            }
        }
    }
}
