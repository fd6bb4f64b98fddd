//! From what became of a GraphQL request to an HTTP answer.
use super::negotiation::Media;
use crate::{
    errors::{self, Code, Failure},
    session::{self, Session},
};
use async_graphql::{Response as Executed, ServerError, Value};
use async_graphql_axum::GraphQLResponse;
use axum::{
    Json,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use shell::telemetry::metric;
use std::collections::BTreeMap;

/// A request that was not executed.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What is wrong with it.
    pub(super) error: Box<ServerError>,
    /// The status; `None` if it is a well-formed GraphQL request, whose status depends on the media type.
    pub(super) status: Option<StatusCode>,
    /// The methods that would do.
    pub(super) allow: Option<&'static str>,
}

impl Refusal {
    /// An HTTP request that this server does not take.
    pub(super) fn http(status: StatusCode, failure: Failure) -> Self {
        Self { error: Box::new(failure.into()), status: Some(status), allow: None }
    }

    /// A method that would not do.
    pub(super) fn method(allow: &'static str, message: &str) -> Self {
        let failure = Failure::new(Code::InvalidRequest, message);
        Self { allow: Some(allow), ..Self::http(StatusCode::METHOD_NOT_ALLOWED, failure) }
    }

    /// A document that will not be executed.
    pub(super) fn document(error: impl Into<ServerError>) -> Self {
        Self { error: Box::new(error.into()), status: None, allow: None }
    }
}

/// A GraphQL response as the specification has it if nothing was executed: without `data`.
#[derive(Serialize)]
struct NotExecuted {
    errors: Vec<ServerError>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: BTreeMap<String, Value>,
}

/// The answer to a request that was refused.
pub(super) fn refused(refusal: Refusal, media: Media, session: Option<&Session>) -> Response {
    let Refusal { mut error, status, allow } = refusal;
    explain(&mut error, false);
    let status = status.unwrap_or_else(|| not_executed(media));
    let mut answer = unexecuted(status, media, session, vec![*error]);
    if let Some(allow) = allow {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

/// The answer to a request that went through the executor, which validates first.
pub(super) fn executed(mut it: Executed, media: Media, session: &Session) -> Response {
    if refuses(&mut it) {
        return unexecuted(not_executed(media), media, Some(session), it.errors);
    }
    it.extensions.extend(context(Some(session)));
    dressed(GraphQLResponse::from(it).into_response(), StatusCode::OK, media, Some(session))
}

/// What is pushed to a subscriber.
pub(super) enum Pushed {
    /// A GraphQL response, as JSON.
    Next(String),
    /// Nothing was executed, and nothing will be.
    Refused(Vec<ServerError>),
}

/// A response of a subscription.
pub(super) fn pushed(mut it: Executed, session: &Session) -> Pushed {
    if refuses(&mut it) {
        return Pushed::Refused(it.errors);
    }
    // It comes from another request than the subscriber's: that one's trace would only mislead.
    it.extensions.extend(position(Some(session)));
    serde_json::to_string(&it).map_or_else(
        |error| gave_up(Failure::new(Code::Internal, format!("it cannot be written: {error}"))),
        Pushed::Next,
    )
}

/// A subscription that cannot go on.
pub(super) fn gave_up(failure: Failure) -> Pushed {
    Pushed::Refused(errors(failure.into()))
}

/// What is told of a subscription that was refused.
pub(super) fn errors(mut error: ServerError) -> Vec<ServerError> {
    explain(&mut error, false);
    vec![error]
}

/// Whether it was refused before anything was executed. Its errors get codes.
fn refuses(it: &mut Executed) -> bool {
    // Errors of fields have a path; those found before anything is executed have none.
    let refused = it.data == Value::Null
        && !it.errors.is_empty()
        && it.errors.iter().all(|it| it.path.is_empty());
    for error in &mut it.errors {
        explain(error, !refused);
    }
    refused
}

/// Where the reader is now, and the trace that whoever looks for a reason looks for.
fn context(session: Option<&Session>) -> impl Iterator<Item = (String, Value)> {
    let trace = session.map(|it| ("traceId".to_owned(), Value::from(it.trace_id())));
    position(session).into_iter().chain(trace)
}

fn position(session: Option<&Session>) -> Option<(String, Value)> {
    Some(("position".to_owned(), Value::from(seen(session)?)))
}

fn not_executed(media: Media) -> StatusCode {
    match media {
        Media::Response => StatusCode::BAD_REQUEST,
        Media::Json => StatusCode::OK,
    }
}

/// Gives an error of the library a code, and its words.
fn explain(error: &mut ServerError, executed: bool) {
    if let Some(failure) = errors::classify(error, executed) {
        if failure.code == Code::Internal {
            tracing::error!(error = error.message, path = ?error.path, "a resolver failed in an unforeseen way");
        }
        let ServerError { message, extensions, .. } = failure.into();
        error.message = message;
        error.extensions = extensions;
    }
    if let Some(Value::String(code)) = error.extensions.as_ref().and_then(|it| it.get("code")) {
        metrics::counter!(metric::GRAPHQL_ERRORS.name, "code" => code.clone()).increment(1);
    }
}

fn unexecuted(
    status: StatusCode,
    media: Media,
    session: Option<&Session>,
    errors: Vec<ServerError>,
) -> Response {
    let it = NotExecuted { errors, extensions: context(session).collect() };
    dressed(Json(it).into_response(), status, media, session)
}

/// The position, as the client is to send it back.
fn seen(session: Option<&Session>) -> Option<String> {
    session.map(Session::seen).filter(|it| !it.is_empty()).map(|it| it.to_string())
}

/// The status and the headers that every answer has.
fn dressed(
    mut answer: Response,
    status: StatusCode,
    media: Media,
    session: Option<&Session>,
) -> Response {
    // The body may already say that it could not be written.
    if answer.status() == StatusCode::OK {
        *answer.status_mut() = status;
    }
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    let mut set = |name, text: Option<String>| {
        if let Some(value) = text.and_then(|it| HeaderValue::try_from(it).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set(session::POSITION, seen(session));
    set(session::CORRELATION, session.map(|it| it.correlation.to_string()));
    answer
}
