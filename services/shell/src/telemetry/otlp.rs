//! What goes to the collector, over gRPC, from a thread of its own: nobody waits for it.
use super::{metric, trace};
use anyhow::Context as _;
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key};
use opentelemetry::{
    KeyValue,
    metrics::{Meter, MeterProvider as _},
    trace::TracerProvider as _,
};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    metrics::{Aggregation, Instrument, InstrumentKind, PeriodicReader, SdkMeterProvider, Stream},
    trace::SdkTracerProvider,
};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Runtime;

/// Sends until it is dropped; then what is left is sent, for a moment.
struct Sending {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    runtime: Option<Runtime>,
}

pub(super) fn send(
    url: &str,
    trace_share: f64,
    service: &str,
) -> anyhow::Result<impl Drop + use<>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("telemetry")
        .enable_all()
        .build()
        .context("start the thread for telemetry")?;
    // The client of gRPC begins its connection where it is made.
    let _entered = runtime.enter();
    let spans =
        SpanExporter::builder().with_tonic().with_endpoint(url).with_timeout(PATIENCE).build();
    let measures =
        MetricExporter::builder().with_tonic().with_endpoint(url).with_timeout(PATIENCE).build();
    let wrong = || format!("{url} cannot be sent to");
    let resource = resource(service);
    let traces = SdkTracerProvider::builder()
        .with_batch_exporter(spans.with_context(wrong)?)
        .with_sampler(trace::Chosen::share(trace_share))
        .with_resource(resource.clone())
        .build();
    let reader =
        PeriodicReader::builder(measures.with_context(wrong)?).with_interval(INTERVAL).build();
    let metrics = SdkMeterProvider::builder()
        .with_reader(reader)
        .with_view(exponential)
        .with_resource(resource)
        .build();
    trace::send_to(traces.tracer("flotilla"));
    Sent::to(metrics.meter("flotilla"));
    Ok(Sending { traces, metrics, runtime: Some(runtime) })
}

impl Drop for Sending {
    fn drop(&mut self) {
        for error in
            [self.traces.shutdown(), self.metrics.shutdown()].into_iter().filter_map(Result::err)
        {
            tracing::debug!(%error, "not all telemetry was sent");
        }
        if let Some(it) = self.runtime.take() {
            it.shutdown_background();
        }
    }
}

/// Who sends; the environment has the last word.
fn resource(service: &str) -> Resource {
    let version = KeyValue::new("service.version", super::VERSION);
    let builder = Resource::builder().with_attribute(version);
    let builder = match super::REVISION {
        Some(it) => builder.with_attribute(KeyValue::new("vcs.ref.head.revision", it)),
        None => builder,
    };
    match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => builder.build(),
        None => builder.with_service_name(service.to_owned()).build(),
    }
}

/// Histograms that need no bounds.
fn exponential(of: &Instrument) -> Option<Stream> {
    let buckets = Aggregation::Base2ExponentialHistogram {
        max_size: 160,
        max_scale: 20,
        record_min_max: true,
    };
    (of.kind() == InstrumentKind::Histogram)
        .then(|| Stream::builder().with_aggregation(buckets).build().ok())
        .flatten()
}

/// The instruments that are sent.
pub(super) struct Sent {
    meter: Meter,
    counters: Known<Count>,
    gauges: Known<Level>,
    histograms: Known<Spread>,
}

/// Each instrument once, by its name and labels.
type Known<T> = Mutex<HashMap<Key, Arc<T>>>;

static SENT: OnceLock<Sent> = OnceLock::new();

impl Sent {
    fn to(meter: Meter) {
        let sent = Self {
            meter,
            counters: Mutex::default(),
            gauges: Mutex::default(),
            histograms: Mutex::default(),
        };
        // The first stays.
        let _ = SENT.set(sent);
    }

    /// If anybody listens.
    pub(super) fn get() -> Option<&'static Self> {
        SENT.get()
    }

    pub(super) fn counter(&self, key: &Key) -> Counter {
        Counter::from_arc(known(&self.counters, key, || Count {
            instrument: self.meter.u64_counter(key.name().to_owned()).with_unit(unit(key)).build(),
            labels: labels(key),
        }))
    }

    pub(super) fn gauge(&self, key: &Key) -> Gauge {
        Gauge::from_arc(known(&self.gauges, key, || Level {
            instrument: self.meter.f64_gauge(key.name().to_owned()).with_unit(unit(key)).build(),
            labels: labels(key),
            bits: AtomicU64::default(),
        }))
    }

    pub(super) fn histogram(&self, key: &Key) -> Histogram {
        let name = key.name().to_owned();
        Histogram::from_arc(known(&self.histograms, key, || Spread {
            instrument: self.meter.f64_histogram(name).with_unit(unit(key)).build(),
            labels: labels(key),
        }))
    }
}

fn known<K: Eq + Hash + Clone, T>(
    all: &Mutex<HashMap<K, Arc<T>>>,
    key: &K,
    make: impl FnOnce() -> T,
) -> Arc<T> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(it) = all.get(key) {
        return Arc::clone(it);
    }
    Arc::clone(all.entry(key.clone()).or_insert_with(|| Arc::new(make())))
}

fn unit(key: &Key) -> &'static str {
    metric::ALL.iter().find(|it| it.name == key.name()).map_or("1", |it| it.unit)
}

fn labels(key: &Key) -> Vec<KeyValue> {
    key.labels().map(|it| KeyValue::new(it.key().to_owned(), it.value().to_owned())).collect()
}

struct Count {
    instrument: opentelemetry::metrics::Counter<u64>,
    labels: Vec<KeyValue>,
}

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.instrument.add(value, &self.labels);
    }

    // Nobody in the fleet says how much it is in all.
    fn absolute(&self, _: u64) {}
}

/// It is told what it is, and has to know what it was.
struct Level {
    instrument: opentelemetry::metrics::Gauge<f64>,
    labels: Vec<KeyValue>,
    bits: AtomicU64,
}

impl Level {
    fn change(&self, to: impl Fn(f64) -> f64) {
        let next = |bits| Some(to(f64::from_bits(bits)).to_bits());
        let before = self.bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let before = before.unwrap_or_else(|it| it);
        self.instrument.record(to(f64::from_bits(before)), &self.labels);
    }
}

impl GaugeFn for Level {
    fn increment(&self, value: f64) {
        self.change(|it| it + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|it| it - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

struct Spread {
    instrument: opentelemetry::metrics::Histogram<f64>,
    labels: Vec<KeyValue>,
}

impl HistogramFn for Spread {
    fn record(&self, value: f64) {
        self.instrument.record(value, &self.labels);
    }
}

const PATIENCE: Duration = Duration::from_secs(3);
/// How often metrics are sent.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
