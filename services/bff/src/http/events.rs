//! Subscriptions as a stream of events: `text/event-stream`, in the "distinct connections mode" of GraphQL over
//! Server-Sent Events. What `curl` shows, and what needs no WebSocket.
use super::{Endpoint, answer::Pushed};
use async_graphql::Executor;
use axum::{
    body::Body,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    response::{IntoResponse, Response},
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use std::{convert::Infallible, sync::Arc, time::Duration};

/// How often a connection on which nothing happens is kept alive, which also finds out whether anybody is there.
const PULSE: Duration = Duration::from_secs(15);

/// The answer with these events. It ends without `complete` when the service stops: the client is to come again.
pub(super) fn answer<E: Executor>(
    endpoint: &Arc<Endpoint<E>>,
    pushed: BoxStream<'static, Pushed>,
) -> Response {
    let text = |it: Pushed| match it {
        Pushed::Next(payload) => format!("event: next\ndata: {payload}\n\n"),
        Pushed::Refused(errors) => {
            let payload = serde_json::json!({ "errors": errors });
            format!("event: next\ndata: {payload}\n\n")
        }
    };
    let events = pushed.map(text).chain(stream::iter(["event: complete\ndata:\n\n".to_owned()]));
    let stop = endpoint.shutdown.clone().cancelled_owned();
    let events = Box::pin(events.take_until(stop));
    let clock = endpoint.clock.clone();
    let kept_alive = stream::unfold((events, clock), async |(mut events, clock)| {
        let next = clock.timeout(PULSE, events.next()).await;
        let text = next.unwrap_or_else(|| Some(":\n\n".to_owned()))?;
        Some((Ok::<_, Infallible>(text), (events, clock)))
    });
    let head = [
        (CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (head, Body::from_stream(kept_alive)).into_response()
}
