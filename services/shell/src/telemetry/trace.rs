//! Spans: what was done for one request, when, and where. Their context is the `traceparent` of W3C, which every message and
//! event carries.
//!
//! A request's own span ([`Span`]) begins with it. What loops do for it is told afterwards, as they do many
//! things at once: such a span has the request's as its parent, and a link to the span of the batch that it was part of.
use crate::ids;
use chrono::{DateTime, Utc};
use opentelemetry::{
    Context, KeyValue,
    trace::{
        Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
        TraceId, TraceState, Tracer as _,
    },
};
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, SdkTracer, ShouldSample,
};
use std::sync::OnceLock;

/// Set once in the life of a process, if anybody listens.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

pub(super) fn send_to(tracer: SdkTracer) {
    // A second one would only send the same to another place.
    let _ = TRACER.set(tracer);
}

/// Which spans are sent: those of a request that is sampled, a share of those that nobody has decided about yet, and batches
/// that are linked to any of these.
#[derive(Clone, Debug)]
pub(super) struct Chosen(Sampler);

impl Chosen {
    pub(super) fn share(share: f64) -> Self {
        Self(Sampler::TraceIdRatioBased(share))
    }
}

impl ShouldSample for Chosen {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let before =
            parent.filter(|it| it.has_active_span()).map(|it| it.span().span_context().clone());
        let is_chosen = match before {
            Some(before) => before.is_sampled(),
            None if links.is_empty() => {
                return self.0.should_sample(None, trace_id, name, kind, attributes, links);
            }
            None => true,
        };
        let decision =
            if is_chosen { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}

/// The span of a request; it ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    traceparent: String,
    open: Option<opentelemetry_sdk::trace::Span>,
}

impl Span {
    /// Begins a span, after the one that the client is in, if it says so. Nobody listens: the client's own context goes on, or
    /// a new one.
    #[must_use]
    pub fn begin(name: &'static str, client: Option<&str>) -> Self {
        let Some(tracer) = TRACER.get() else {
            return Self { traceparent: client.map_or_else(new, str::to_owned), open: None };
        };
        let parent = client
            .and_then(context)
            .map_or_else(Context::new, |it| Context::new().with_remote_span_context(it));
        let builder = tracer.span_builder(name).with_kind(SpanKind::Server);
        let open = tracer.build_with_context(builder, &parent);
        Self { traceparent: text(open.span_context()), open: Some(open) }
    }

    /// The context of what follows from it.
    #[must_use]
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// The trace that it belongs to.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.traceparent.split('-').nth(1).unwrap_or_default()
    }

    /// Says something about it.
    pub fn tell(&mut self, name: &'static str, value: String) {
        if let Some(it) = &mut self.open {
            it.set_attribute(KeyValue::new(name, value));
        }
    }

    /// Says that it failed.
    pub fn failed(&mut self, why: String) {
        if let Some(it) = &mut self.open {
            it.set_status(Status::error(why));
        }
    }
}

/// What was done, after it was done.
pub(crate) struct Done {
    /// What, in the words of OpenTelemetry's conventions: `process customers.commands`.
    pub(crate) name: String,
    pub(crate) began: DateTime<Utc>,
    pub(crate) ended: DateTime<Utc>,
    /// The request that it was done for.
    pub(crate) traceparent: String,
    pub(crate) attributes: Vec<KeyValue>,
}

/// Whether anybody wants to know of what is done for such a request.
pub(crate) fn is_wanted(traceparent: Option<&str>) -> bool {
    // The flags are the last two digits; the lowest bit says whether it is sampled.
    let is_sampled = |it: &str| it.as_bytes().last().is_some_and(|it| is_odd_digit(*it));
    TRACER.get().is_some() && traceparent.is_some_and(is_sampled)
}

/// Tells of what was done together: a span for the batch, in a trace of its own, and one for each request in it that is
/// traced, in the request's trace, with a link to it.
pub(crate) fn record(batch: &'static str, kind: &'static str, done: Vec<Done>) {
    let (Some(tracer), false) = (TRACER.get(), done.is_empty()) else { return };
    let contexts: Vec<SpanContext> =
        done.iter().filter_map(|it| context(&it.traceparent)).collect();
    let links = contexts.iter().map(|it| Link::with_context(it.clone())).collect();
    let began = done.iter().map(|it| it.began).min().unwrap_or_default();
    let ended = done.iter().map(|it| it.ended).max().unwrap_or_default();
    let builder = tracer
        .span_builder(batch)
        .with_kind(SpanKind::Consumer)
        .with_start_time(began)
        .with_links(links)
        .with_attributes([KeyValue::new("messaging.batch.message_count", as_i64(done.len()))]);
    let mut span = tracer.build_with_context(builder, &Context::new());
    let link = Link::with_context(span.span_context().clone());
    span.end_with_timestamp(ended.into());
    for Done { name, began, ended, traceparent, mut attributes } in done {
        let Some(parent) = context(&traceparent) else { continue };
        attributes.push(KeyValue::new("messaging.system", "kafka"));
        attributes.push(KeyValue::new("messaging.operation.type", kind));
        let builder = tracer
            .span_builder(name)
            .with_kind(SpanKind::Consumer)
            .with_start_time(began)
            .with_links(vec![link.clone()])
            .with_attributes(attributes);
        let parent = Context::new().with_remote_span_context(parent);
        tracer.build_with_context(builder, &parent).end_with_timestamp(ended.into());
    }
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn is_odd_digit(digit: u8) -> bool {
    char::from(digit).to_digit(16).is_some_and(|it| it % 2 == 1)
}

/// The context that a `traceparent` says, which was found to be one before.
fn context(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let mut hex = |digits| parts.next().filter(|it| it.len() == digits);
    let trace = TraceId::from_hex(hex(32)?).ok()?;
    let span = SpanId::from_hex(hex(16)?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(hex(2)?, 16).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

fn text(context: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
}

/// A context that nobody has begun before.
fn new() -> String {
    // The second half of an id is random.
    let (_, span) = ids::new_id().as_u64_pair();
    format!("00-{}-{span:016x}-01", ids::new_id().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_read_as_it_is_written() {
        assert_eq!(context(CLIENT).map(|it| text(&it)).as_deref(), Some(CLIENT));
        for wrong in ["", "00-1-2-3", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
            assert!(context(wrong).is_none(), "{wrong}");
        }
        assert!(context(&new()).is_some());
        assert_ne!(new(), new());
    }

    #[test]
    fn the_lowest_bit_says_whether_it_is_sampled() {
        let sampled = |it: u8| is_odd_digit(it);
        assert!(sampled(b'1') && sampled(b'3') && sampled(b'f'));
        assert!(!sampled(b'0') && !sampled(b'2') && !sampled(b'x'));
    }

    #[test]
    fn where_nobody_listens_the_clients_trace_goes_on() {
        assert_eq!(Span::begin("it", Some(CLIENT)).traceparent(), CLIENT);
        assert_eq!(Span::begin("it", Some(CLIENT)).trace_id(), &CLIENT[3..35]);
        assert!(context(Span::begin("it", None).traceparent()).is_some());
    }
}
