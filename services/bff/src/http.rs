//! GraphQL over HTTP, as its specification has it: POST, and GET for queries.
//!
//! In the order in which a request meets them: media type of the answer, headers, method, body, room for one more,
//! document, execution. Whatever is wrong is answered in the form of a GraphQL error. Subscriptions come over a
//! `socket`, or as `events`.
mod answer;
mod events;
mod export;
mod fleet;
mod negotiation;
mod page;
mod request;
mod server;
mod socket;
mod stream;

pub use export::exports;
pub use page::Assets;
pub use server::serve;

use crate::{
    config::Config,
    document::{self, Operation},
    errors::{Code, Failure},
    limits::Limits,
    session::Session,
};
use answer::{Pushed, Refusal};
use async_graphql::{Executor, Request, Response as Executed, ServerError, Value};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, StatusCode, header::CONTENT_LENGTH, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing,
};
pub(crate) use fleet::router as fleet;
use futures::{FutureExt, StreamExt, stream::BoxStream};
use negotiation::Media;
use shell::{clock::Clock, telemetry::metric};
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// The routes: `/graphql`, `/schema.graphql`, and `/` with its files.
///
/// Every request that is executed has its [`Session`], in an [`Arc`], among its data. Subscriptions end with `shutdown`.
pub fn router<E: Executor>(
    executor: E,
    sdl: String,
    assets: Assets,
    config: &Config,
    clock: Clock,
    shutdown: CancellationToken,
) -> Router {
    let endpoint = Endpoint {
        executor,
        limits: Limits {
            tokens: config.tokens,
            fields: config.fields,
            directives: config.directives,
            root_fields: config.root_fields,
            depth: config.depth,
        },
        body_bytes: config.body_bytes,
        body_time: config.body_time,
        request_time: config.request_time,
        head_time: config.head_time,
        room: Semaphore::new(config.in_flight.min(Semaphore::MAX_PERMITS)),
        subscriptions: Arc::new(Semaphore::new(config.subscriptions.min(Semaphore::MAX_PERMITS))),
        subscriptions_each: config.subscriptions_each,
        clock,
        shutdown,
    };
    Router::new()
        .route("/graphql", routing::any(graphql::<E>))
        .with_state(Arc::new(endpoint))
        .merge(page::router(sdl, assets))
}

struct Endpoint<E> {
    executor: E,
    limits: Limits,
    body_bytes: usize,
    body_time: Duration,
    request_time: Duration,
    head_time: Duration,
    room: Semaphore,
    subscriptions: Arc<Semaphore>,
    subscriptions_each: usize,
    clock: Clock,
    shutdown: CancellationToken,
}

async fn graphql<E: Executor>(
    State(endpoint): State<Arc<Endpoint<E>>>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let address = parts.method == Method::GET && parts.uri.query().is_none();
    if address && negotiation::wants_page(&parts.headers) {
        return Redirect::to("/").into_response();
    }
    if negotiation::wants_socket(&parts.headers) {
        return socket::open(endpoint, parts).await;
    }
    if negotiation::wants_events(&parts.headers) {
        return match endpoint.subscribe(&parts, body).await {
            Ok(pushed) => events::answer(&endpoint, pushed),
            Err(refusal) => answer::refused(refusal, Media::Response, None),
        };
    }
    let Some(media) = Media::accepted(&parts.headers) else {
        let message =
            "answers are application/graphql-response+json or application/json: accept one of them";
        let refusal =
            Refusal::http(StatusCode::NOT_ACCEPTABLE, Failure::new(Code::InvalidRequest, message));
        return answer::refused(refusal, Media::Json, None);
    };
    let session = match Session::open(&parts.headers) {
        Ok(session) => Arc::new(session),
        Err(failure) => {
            let refusal = Refusal::http(StatusCode::BAD_REQUEST, failure);
            return answer::refused(refusal, media, None);
        }
    };
    let span = tracing::info_span!(
        "graphql",
        correlation = %session.correlation,
        trace_id = session.trace_id(),
        traceparent = session.traceparent(),
    );
    match endpoint.execute(&parts, body, &session).instrument(span).await {
        Ok(it) => answer::executed(it, media, &session),
        Err(refusal) => answer::refused(refusal, media, Some(&session)),
    }
}

impl<E: Executor> Endpoint<E> {
    async fn execute(
        &self,
        parts: &Parts,
        body: Body,
        session: &Arc<Session>,
    ) -> Result<Executed, Refusal> {
        let bad = |failure| Refusal::http(StatusCode::BAD_REQUEST, failure);
        let request = self.request(parts, body).await?;
        let _room = self.room()?;
        let (request, operation) = self.examined(request)?;
        match operation {
            Operation::Subscription { .. } => {
                let message = "what is subscribed to comes as text/event-stream: accept that, or open a WebSocket with \
                    graphql-transport-ws";
                return Err(Refusal::document(Failure::new(Code::InvalidDocument, message)));
            }
            Operation::Mutation { .. } if parts.method == Method::GET => {
                return Err(Refusal::method(
                    "POST",
                    "a GET changes nothing: send a mutation as a POST",
                ));
            }
            Operation::Mutation { fields } if fields != 1 && session.idempotency_key.is_some() => {
                let message = format!(
                    "the request has {fields} mutations, and one Idempotency-Key: give each its own commandId"
                );
                return Err(bad(Failure::invalid(["headers", "idempotency-key"], message)));
            }
            Operation::Query | Operation::Mutation { .. } => {}
        }
        let begun = self.clock.elapsed();
        let outcome = self.finish(request.data(Arc::clone(session)), session).await;
        let seconds = self.clock.elapsed().saturating_sub(begun).as_secs_f64();
        let kind = if operation == Operation::Query { "query" } else { "mutation" };
        session.describe(|it| {
            it.tell("graphql.operation.type", kind.to_owned());
            it.tell("flotilla.correlation", session.correlation.to_string());
            if let Ok(executed) = &outcome
                && let Some(error) = executed.errors.first()
            {
                it.failed(error.message.clone());
            }
        });
        metrics::histogram!(metric::GRAPHQL_DURATION.name, "operation" => kind).record(seconds);
        outcome
    }

    /// The request, once all of it is there.
    async fn request(&self, parts: &Parts, body: Body) -> Result<Request, Refusal> {
        let bad = |failure| Refusal::http(StatusCode::BAD_REQUEST, failure);
        match parts.method {
            Method::GET => request::from_address(&parts.uri).map_err(bad),
            Method::POST => {
                request::check_media(&parts.headers)
                    .map_err(|it| Refusal::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, it))?;
                // A slow client has no claim on the room, and a full one costs it nothing.
                let body = self.body(&parts.headers, body).await?;
                request::from_body(&body).map_err(bad)
            }
            _ => Err(Refusal::method("GET, POST", "send a POST, or a GET for a query")),
        }
    }

    /// What is subscribed to by a request of its own.
    async fn subscribe(
        &self,
        parts: &Parts,
        body: Body,
    ) -> Result<BoxStream<'static, Pushed>, Refusal> {
        let request = self.request(parts, body).await?;
        self.begin(request, &parts.headers).map_err(|it| Refusal::document(*it))
    }

    /// Begins a subscription: what is pushed until it ends.
    fn begin(
        &self,
        request: Request,
        headers: &HeaderMap,
    ) -> Result<BoxStream<'static, Pushed>, Box<ServerError>> {
        let session = Arc::new(Session::open(headers)?);
        let room = Arc::clone(&self.subscriptions).try_acquire_owned().map_err(|_| {
            let message = "too many subscriptions are open: try again later";
            Failure::new(Code::Unavailable, message)
        })?;
        let (request, operation) = self.examined(request).map_err(|it| it.error)?;
        let Operation::Subscription { fields } = operation else {
            let message =
                "only subscriptions are served here: send a query or a mutation as a POST";
            return Err(Failure::new(Code::InvalidDocument, message).into());
        };
        if fields != 1 {
            let message = format!("a subscription has one field, and this one has {fields}");
            return Err(Failure::new(Code::InvalidDocument, message).into());
        }
        let executed = self.executor.execute_stream(request.data(Arc::clone(&session)), None);
        // The room is kept as long as the stream is.
        let pushed = AssertUnwindSafe(executed).catch_unwind().map(move |it| {
            let _room = &room;
            it.map_or_else(
                |_| {
                    tracing::error!("a resolver panicked");
                    let message = "a defect of the server: the subscription was given up";
                    answer::gave_up(Failure::new(Code::Internal, message))
                },
                |it| answer::pushed(it, &session),
            )
        });
        Ok(pushed.boxed())
    }

    fn room(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.room.try_acquire().map_err(|_| {
            let message = "too many requests are being worked on: try again later";
            let failure = Failure::new(Code::Unavailable, message);
            Refusal::http(StatusCode::SERVICE_UNAVAILABLE, failure)
        })
    }

    /// Parses the document, once it is known to be small enough, and finds out what it asks for.
    fn examined(&self, mut request: Request) -> Result<(Request, Operation), Refusal> {
        self.limits.text(&request.query).map_err(Refusal::document)?;
        let name = request.operation_name.clone();
        let variables = std::mem::take(&mut request.variables);
        let document = request.parsed_query().map_err(Refusal::document)?;
        self.limits.document(document).map_err(Refusal::document)?;
        let operation =
            document::examine(document, name.as_deref(), &variables).map_err(Refusal::document)?;
        request.variables = variables;
        Ok((request, operation))
    }

    /// Executes the request, within its time.
    async fn finish(&self, request: Request, session: &Session) -> Result<Executed, Refusal> {
        let work = AssertUnwindSafe(self.executor.execute(request)).catch_unwind();
        match self.clock.timeout(self.request_time, work).await {
            Some(Ok(executed)) => Ok(executed),
            Some(Err(_)) => {
                tracing::error!("a resolver panicked");
                let failure = Failure::new(
                    Code::Internal,
                    "a defect of the server: the request was given up",
                );
                Err(Refusal::http(StatusCode::INTERNAL_SERVER_ERROR, with_sent(failure, session)))
            }
            None => {
                let allowed = self.request_time;
                let message =
                    format!("the request took longer than {allowed:?}: ask for less at once");
                let failure = Failure::new(Code::Timeout, message);
                Err(Refusal::http(StatusCode::GATEWAY_TIMEOUT, with_sent(failure, session)))
            }
        }
    }

    async fn body(&self, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
        let announced = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
        if announced.is_some_and(|it: u64| it > self.body_bytes as u64) {
            return Err(self.too_large());
        }
        let gathered = self.clock.timeout(self.body_time, self.gathered(body)).await;
        gathered.unwrap_or_else(|| {
            let allowed = self.body_time;
            let message = format!("the body did not arrive within {allowed:?}: send it faster");
            let failure = Failure::new(Code::InvalidRequest, message);
            Err(Refusal::http(StatusCode::REQUEST_TIMEOUT, failure))
        })
    }

    async fn gathered(&self, body: Body) -> Result<Vec<u8>, Refusal> {
        let mut chunks = body.into_data_stream();
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|e| {
                let message = format!("the body broke off: {e}");
                Refusal::http(StatusCode::BAD_REQUEST, Failure::invalid(["body"], message))
            })?;
            if all.len() + chunk.len() > self.body_bytes {
                return Err(self.too_large());
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    fn too_large(&self) -> Refusal {
        let maximum = self.body_bytes;
        let message = format!("the body is larger than {maximum} bytes: send less at once");
        let failure = Failure::limit("bodyBytes", maximum, message);
        Refusal::http(StatusCode::PAYLOAD_TOO_LARGE, failure)
    }
}

/// Names the commands that were sent: they may yet be decided.
fn with_sent(failure: Failure, session: &Session) -> Failure {
    let sent = session.sent();
    if sent.is_empty() {
        return failure;
    }
    let sent = sent.iter().map(|it| Value::from(it.to_string())).collect();
    failure.with("commandIds", Value::List(sent))
}
