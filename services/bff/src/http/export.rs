//! `GET /export/<view>.csv` and `.ndjson`: all rows of a view, as of one position, streamed in constant memory.
//!
//! `where` and `orderBy` are those of the view's query, as JSON; the header with the position says what the rows must
//! not be older than, and in the answer as of when they are. Where something goes wrong on the way, the answer breaks
//! off, and is not whole as HTTP has it.
use super::{answer, negotiation::Media};
use crate::{
    config::Config,
    errors::{Code, Failure},
    export::{Form, VIEWS, View},
    session::{POSITION, Session},
};
use answer::Refusal;
use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State},
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{IntoResponse, Response},
    routing,
};
use futures::{StreamExt as _, future::ready, stream};
use shell::client::Client;
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Exports at the same time: each has a connection to the store of its own.
const AT_ONCE: usize = 4;

struct Exports {
    client: Client,
    patience: Duration,
    room: Arc<Semaphore>,
}

/// The routes of exports.
pub fn exports(client: Client, config: &Config) -> Router {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let exports = Exports { client, patience: config.read_time, room };
    Router::new().route("/export/{file}", routing::get(export)).with_state(Arc::new(exports))
}

async fn export(
    State(exports): State<Arc<Exports>>,
    Path(file): Path<String>,
    Query(parameters): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let refused =
        |status, failure| answer::refused(Refusal::http(status, failure), Media::Json, None);
    let session = match Session::open(&headers) {
        Ok(it) => it,
        Err(failure) => return refused(StatusCode::BAD_REQUEST, failure),
    };
    let Some((view, form)) = named(&file) else {
        let names: Vec<&str> = VIEWS.iter().map(|it| it.table).collect();
        let message = format!(
            "there is no export {file}: ask for one of {}, with .csv or .ndjson behind it",
            names.join(", ")
        );
        return refused(StatusCode::NOT_FOUND, Failure::invalid(["address"], message));
    };
    let Ok(room) = Arc::clone(&exports.room).try_acquire_owned() else {
        let message = "too many exports are being read: try again later";
        return refused(StatusCode::SERVICE_UNAVAILABLE, Failure::new(Code::Unavailable, message));
    };
    let patience = session.patience(exports.patience);
    match view.export(&exports.client, &parameters, form, &session.seen(), patience).await {
        Ok((position, texts)) => {
            let body = texts.map(|it| it.map_err(io::Error::other));
            let head = [
                (CONTENT_TYPE, form.media().to_owned()),
                (CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")),
                (CACHE_CONTROL, "no-store".to_owned()),
                (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
                (HeaderName::from_static(POSITION), position.to_string()),
            ];
            (head, Body::from_stream(held(body, room))).into_response()
        }
        Err(failure) => refused(status(failure.code), failure),
    }
}

fn named(file: &str) -> Option<(&'static View, Form)> {
    let (name, form) = file.rsplit_once('.')?;
    let form = match form {
        "csv" => Form::Csv,
        "ndjson" => Form::Ndjson,
        _ => return None,
    };
    VIEWS.iter().find(|it| it.table == name).map(|it| (it, form))
}

/// Keeps the room until the stream has ended, or nobody reads it any more.
fn held<T: Send + 'static>(
    all: impl stream::Stream<Item = T> + Send + 'static,
    room: OwnedSemaphorePermit,
) -> impl stream::Stream<Item = T> + Send + 'static {
    let end = stream::once(ready(room)).filter_map(|room| {
        drop(room);
        ready(None)
    });
    all.chain(end)
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::InvalidInput | Code::Failed => StatusCode::BAD_REQUEST,
        Code::Pending | Code::Rebuilding | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::Rejected
        | Code::VersionConflict
        | Code::CommandIdReused
        | Code::InvalidDocument
        | Code::InvalidRequest
        | Code::LimitExceeded
        | Code::Resync
        | Code::Timeout
        | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
