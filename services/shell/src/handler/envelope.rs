//! The envelope of an event: what is kept of it, and as it is published.
use crate::port::store::EventRow;
use serde::{Deserialize, Serialize};
use shared_events::headers::EventHeaders;
use uuid::Uuid;

/// What of an event's envelope has no column of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) id: Uuid,
    pub(crate) correlation: Uuid,
    pub(crate) causation: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) actor: Option<String>,
}

/// The envelope with which an event is published.
///
/// # Errors
/// What is kept of it cannot be read.
pub(crate) fn event_headers(
    context: &str,
    incarnation: i64,
    event: &EventRow,
) -> Result<EventHeaders, String> {
    let meta: Meta = serde_json::from_str(&event.meta)
        .map_err(|error| format!("the meta of event {} is damaged: {error}", event.pseq))?;
    Ok(EventHeaders {
        id: meta.id,
        record: event.record.clone(),
        source: format!("flotilla/{context}"),
        time: event.at,
        fingerprint: event.schema,
        correlation: meta.correlation,
        causation: meta.causation,
        traceparent: meta.traceparent,
        actor: meta.actor,
        stream: event.stream,
        pseq: event.pseq,
        version: event.version,
        incarnation,
    })
}
