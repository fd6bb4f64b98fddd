//! What a collector is told of a mutation: one trace from the request to the row, over three processes; and metrics.
use crate::{
    client::whole_mutation,
    fleet::Fleet,
    live_log::{position, subscribed},
    server::{answer, until_some},
};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    metrics::v1::{Metric, metric::Data},
    trace::v1::Span,
};
use serde_json::json;
use shell::telemetry::metric::{ALL, Kind};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tonic::{Request, Response, Status};

/// Keeps what it is told.
#[derive(Clone, Default)]
struct Collector {
    /// With the name of the service that sent it.
    spans: Arc<Mutex<Vec<(String, Span)>>>,
    metrics: Arc<Mutex<BTreeMap<String, Metric>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        for it in request.into_inner().resource_spans {
            let resource = it.resource.unwrap_or_default();
            let name = resource.attributes.iter().find(|it| it.key == "service.name");
            let name = name.map(|it| format!("{:?}", it.value)).unwrap_or_default();
            let found = it.scope_spans.into_iter().flat_map(|it| it.spans);
            spans.extend(found.map(|it| (name.clone(), it)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let all = request.into_inner().resource_metrics.into_iter();
        for it in all.flat_map(|it| it.scope_metrics).flat_map(|it| it.metrics) {
            metrics.insert(it.name.clone(), it);
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    /// The spans of a trace, with the services that sent them.
    fn of(&self, trace: &str) -> Vec<(String, Span)> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|(_, it)| hex(&it.trace_id) == trace).cloned().collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, it| format!("{text}{it:02x}"))
}

/// A collector, until the runtime of the test ends.
async fn collect() -> (Collector, String) {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let listener = listener.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let serving = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(collector.clone()))
        .add_service(MetricsServiceServer::new(collector.clone()))
        .serve_with_incoming(incoming);
    tokio::spawn(serving);
    (collector, url)
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_sees_a_mutation_from_the_request_to_the_row() {
    let (collector, url) = collect().await;
    let fleet = Fleet::new().await;
    let told = ["--otlp-endpoint", url.as_str()];
    let of = |service: &str| fleet.process_with(&[service], &told);
    let processes = ["customers-handler", "customers-aggregator", "bff"].map(of);
    for it in &processes {
        it.server().ready().await;
    }
    let server = processes[2].server();
    server.invite("zoe@example.com").await;
    let mut socket = subscribed(&server, &position(&server).await).await;
    // What a follower is told before it has caught up is not traced: it was pushed to others before.
    let yves = server.invite("yves@example.com").await;
    assert_eq!(socket.change("a").await["id"], yves["id"]);

    let invite =
        |email: &str| server.post(&whole_mutation("inviteCustomer", &json!({ "email": email })));
    let request = invite("ada@example.com");
    let traced = request.header("traceparent", format!("00-{TRACE}-{CLIENT}-01"));
    let it = answer(traced).await;
    assert_eq!(it.body["extensions"]["traceId"], TRACE, "{}", it.body);
    let untraced = invite("bob@example.com");
    let other = TRACE.replace('4', "5");
    let it = answer(untraced.header("traceparent", format!("00-{other}-{CLIENT}-00"))).await;
    assert_eq!(it.body["extensions"]["traceId"], json!(other), "{}", it.body);

    // The request, what the handler did for it, what each of the two views did, and what was pushed.
    assert_eq!(socket.change("a").await["customer"]["version"], 1);
    let all = async || (collector.of(TRACE).len() >= 5).then(|| collector.of(TRACE));
    let spans = until_some("the spans of the mutation", all).await;
    let by_name: BTreeMap<&str, &(String, Span)> =
        spans.iter().map(|it| (it.1.name.as_str(), it)).collect();
    let (sender, request) = by_name["POST /graphql"];
    assert!(sender.contains("bff"), "{sender}");
    assert_eq!(hex(&request.parent_span_id), CLIENT);
    let topic = fleet.names();
    for (name, service) in [
        (format!("process {}", topic.commands("customers")), "customers-handler"),
        (format!("process {} into customer", topic.events("customers")), "customers-aggregator"),
        ("push customer".to_owned(), "bff"),
    ] {
        let (sender, span) =
            by_name.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in {by_name:?}"));
        assert!(sender.contains(service), "{name} came from {sender}");
        assert_eq!(span.parent_span_id, request.span_id, "{name}");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{span:?}");
        // The batch has a trace of its own; it and those in it are linked.
        assert_eq!(span.links.len(), 1, "{span:?}");
        let batch_of = hex(&span.links[0].trace_id);
        let batch = async || collector.of(&batch_of).pop();
        let (_, batch) = until_some("the span of the batch", batch).await;
        assert_eq!(batch.span_id, span.links[0].span_id);
        assert!(batch.links.iter().any(|it| it.span_id == request.span_id), "{batch:?}");
    }
    // What the client did not want traced is not.
    assert_eq!(collector.of(&other), []);

    // What is left is sent at the end.
    let metrics = Arc::clone(&collector.metrics);
    for it in processes {
        it.stop().await;
    }
    let metrics = metrics.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for name in ["flotilla.commands", "flotilla.view.events", "flotilla.ready"] {
        assert!(metrics.contains_key(name), "{name} is not in {:?}", metrics.keys());
    }
    for it in metrics.values() {
        let listed = ALL.iter().find(|listed| listed.name == it.name);
        let listed = listed.unwrap_or_else(|| panic!("{} is not listed", it.name));
        assert_eq!(it.unit, listed.unit, "{}", it.name);
        let is_exponential = matches!(it.data, Some(Data::ExponentialHistogram(_)));
        assert_eq!(is_exponential, listed.kind == Kind::Histogram, "{}", it.name);
    }
}

#[tokio::test]
async fn nobody_minds_a_collector_that_is_not_there() {
    let fleet = Fleet::new().await;
    let told = ["--otlp-endpoint", "http://127.0.0.1:9"];
    let services = ["customers-handler", "customers-aggregator", "bff"];
    let process = fleet.process_with(&services, &told);
    let server = process.server();
    server.ready().await;
    server.invite("ada@example.com").await;
    process.stop().await;
}
