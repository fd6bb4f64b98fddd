//! P12: what it costs that a collector is told of mutations, and of how things stand.
use super::{
    latency::Services,
    load::{Answers, Load, Select},
    report::Entry,
    stage::{Fleet, Stage},
};
use anyhow::ensure;
use opentelemetry_proto::tonic::collector::{
    metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

/// How long each load of a round lasts.
const TIME: Duration = Duration::from_secs(5);
const CLIENTS: usize = 256;
/// Of a hundred mutations so many are traced, as the manifests for production have it, and all.
const SHARES: [(&str, &str); 2] = [("on", "0.1"), ("all", "1")];

pub(super) async fn costs(stage: &Stage) -> anyhow::Result<Entry> {
    let collector = Collector::default();
    let address = collector.serve().await?;
    let endpoint = format!("http://{address}");
    let fleet = stage.fleet("p12").await?;
    let mut entry = Entry::new("mutations/s");
    // What comes first pays for an empty database and cold caches.
    measured(stage, "to begin with", &fleet).await?;
    for round in 1..=stage.plan.rounds {
        let off = measured(stage, &format!("round {round}: without"), &fleet).await?;
        entry.other("off_per_second", off.per_second);
        entry.other("off_p50_ms", off.p50_ms);
        for (name, share) in SHARES {
            let fleet = fleet.with(&["--otlp-endpoint", &endpoint, "--trace-share", share]);
            let told = collector.spans.load(Ordering::Relaxed);
            let on =
                measured(stage, &format!("round {round}: {share} of all traced"), &fleet).await?;
            let told = collector.spans.load(Ordering::Relaxed) - told;
            ensure!(told > 0, "the collector was told of no span: there is nothing to measure");
            #[expect(clippy::cast_precision_loss, reason = "spans of a run fit")]
            entry.other(&format!("{name}_spans"), told as f64);
            entry.other(&format!("{name}_per_second"), on.per_second);
            entry.other(&format!("{name}_p50_ms"), on.p50_ms);
            if name == "on" {
                entry.value.add(on.per_second);
            }
        }
    }
    for (name, _) in SHARES {
        for figure in ["per_second", "p50_ms"] {
            entry.ratio_of(
                &format!("{name}_to_off_{figure}"),
                &format!("{name}_{figure}"),
                &format!("off_{figure}"),
            );
        }
    }
    entry.notes.push(
        "`on`: a tenth of the mutations is traced, and metrics are sent, as in production; `all`: every mutation is. The \
        collector is in this process and takes its part of the machine too"
            .to_owned(),
    );
    Ok(entry)
}

struct Measured {
    per_second: f64,
    p50_ms: f64,
}

/// One in flight for the latency, then as many as get answered.
async fn measured(stage: &Stage, what: &str, fleet: &Fleet) -> anyhow::Result<Measured> {
    let services = Services::start(fleet).await?;
    let load = Load::on(&services.bff, Select::Outcome)?;
    let whole = |answers: Answers| {
        ensure!(answers.are_whole(), "{} mutations failed: {:?}", answers.failed, answers.error);
        Ok(answers)
    };
    stage.tell("P12", &format!("{what}: one in flight"));
    let one = whole(load.one_in_flight(TIME).await?)?;
    stage.tell("P12", &format!("{what}: {CLIENTS} clients"));
    let many = whole(load.clients(CLIENTS, TIME).await?)?;
    let Services { bff, handler, aggregator } = services;
    for it in [bff, handler, aggregator] {
        // What is left to be told is told in the end.
        it.stop(&stage.clock).await?;
    }
    Ok(Measured { per_second: many.per_second, p50_ms: one.millis(0.5) })
}

/// Counts what it is told, and forgets it.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<AtomicU64>,
}

impl Collector {
    /// Serves until the program ends.
    async fn serve(&self) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(server);
        Ok(address)
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans;
        let spans = spans.iter().flat_map(|it| &it.scope_spans).map(|it| it.spans.len() as u64);
        self.spans.fetch_add(spans.sum(), Ordering::Relaxed);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
