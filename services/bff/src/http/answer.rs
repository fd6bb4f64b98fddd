//! From what became of a GraphQL request to an HTTP answer.
use super::negotiation::Media;
use crate::{
    errors::{self, Code, Failure},
    session::{self, Session},
};
use async_graphql::{Response as Executed, ServerError, Value};
use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY},
    },
    response::Response,
};
use serde::Serialize;
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

/// A GraphQL response as the specification has it: without `data` if nothing was executed.
#[derive(Serialize)]
struct Wire {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ServerError>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: BTreeMap<String, Value>,
}

/// The answer to a request that was refused.
pub(super) fn refused(refusal: Refusal, media: Media, session: Option<&Session>) -> Response {
    let Refusal { mut error, status, allow } = refusal;
    explain(&mut error, false);
    let status = status.unwrap_or_else(|| not_executed(media));
    let mut answer = answer(status, media, session, None, vec![*error], BTreeMap::new());
    if let Some(allow) = allow {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

/// The answer to a request that went through the executor, which validates first.
pub(super) fn executed(it: Executed, media: Media, session: &Session) -> Response {
    let Executed { data, mut errors, extensions, .. } = it;
    // Errors of fields have a path; those found before anything is executed have none.
    let refused =
        data == Value::Null && !errors.is_empty() && errors.iter().all(|it| it.path.is_empty());
    for error in &mut errors {
        explain(error, !refused);
    }
    let status = if refused { not_executed(media) } else { StatusCode::OK };
    answer(status, media, Some(session), (!refused).then_some(data), errors, extensions)
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
        metrics::counter!("flotilla_graphql_errors_total", "code" => code.clone()).increment(1);
    }
}

fn answer(
    status: StatusCode,
    media: Media,
    session: Option<&Session>,
    data: Option<Value>,
    errors: Vec<ServerError>,
    mut extensions: BTreeMap<String, Value>,
) -> Response {
    let seen = session.map(Session::seen).filter(|it| !it.is_empty()).map(|it| it.to_string());
    if let Some(seen) = &seen {
        extensions.insert("position".to_owned(), Value::from(seen.as_str()));
    }
    let wire = Wire { data, errors, extensions };
    let (status, body) = match serde_json::to_vec(&wire) {
        Ok(body) => (status, body),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            let text = r#"{"errors":[{"message":"the answer cannot be written","extensions":{"code":"INTERNAL"}}]}"#;
            (StatusCode::INTERNAL_SERVER_ERROR, text.as_bytes().to_vec())
        }
    };
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    let mut set = |name, text: Option<String>| {
        if let Some(value) = text.and_then(|it| HeaderValue::try_from(it).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set(session::POSITION, seen);
    set(session::CORRELATION, session.map(|it| it.correlation.to_string()));
    answer
}
