//! GraphQL requests, from the socket on: headers, body, document, execution on a whole fleet in memory.
use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode, Uri},
};
use bff::{Config, http};
use customers::Customers;
use serde_json::{Value, json};
use shell::{
    clock::Clock,
    memory::{Fleet, FleetOptions},
};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// No answer to a request of this size has a reason to be larger.
const ANSWER_BYTES_MAX: usize = 4_000_000;

/// The first byte says what the others are.
pub(super) fn requests(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let json = |body: String| post(body.into_bytes());
    let request = match kind % 4 {
        0 => json(json!({ "query": text }).to_string()),
        1 => Some(post(rest.to_vec())).flatten(),
        2 => {
            let (document, variables) = text.split_once('\0').unwrap_or((&text, "{}"));
            let variables: Value = serde_json::from_str(variables).unwrap_or_default();
            json(json!({ "query": document, "variables": variables }).to_string())
        }
        _ => get(rest),
    };
    if let Some(request) = request {
        answered(request);
    }
}

fn post(body: Vec<u8>) -> Option<Request<Body>> {
    let request = Request::post("/graphql").header("content-type", "application/json");
    request.body(Body::from(body)).ok()
}

/// Lines: the address, then the values of three headers.
fn get(bytes: &[u8]) -> Option<Request<Body>> {
    let mut lines = bytes.splitn(4, |it| *it == b'\n');
    let address = [b"/graphql?", lines.next()?].concat();
    let mut request = Request::get(Uri::try_from(address).ok()?);
    for (name, value) in ["flotilla-position", "idempotency-key", "accept"].into_iter().zip(lines) {
        request = request.header(name, value);
    }
    request.body(Body::empty()).ok()
}

fn answered(request: Request<Body>) {
    // Time passes as soon as everybody waits.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    let local = LocalSet::new();
    let (status, body) = local.block_on(&runtime, async {
        let fleet = Fleet::new(FleetOptions::default(), Clock::system());
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let config = Config::default();
        let executor = bff::schema(&config, fleet.client::<Customers>());
        let assets = http::Assets::load(None).expect("no assets");
        let (clock, shutdown) = (Clock::system(), CancellationToken::new());
        let router = http::router(executor, String::new(), assets, &config, clock, shutdown);
        let answer: Response<Body> = router.oneshot(request).await.expect("an answer");
        let status = answer.status();
        let body = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await;
        (status, body.expect("an answer of bounded size"))
    });
    let text = String::from_utf8_lossy(&body);
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{text}");
    if status.is_redirection() {
        return;
    }
    let value: Value = serde_json::from_slice(&body).expect("JSON");
    let errors = value["errors"].as_array().map_or(&[] as &[_], Vec::as_slice);
    assert!(value.get("data").is_some() || !errors.is_empty(), "neither data nor errors: {text}");
    for error in errors {
        let code = error["extensions"]["code"].as_str();
        assert!(code.is_some_and(|it| it != "INTERNAL"), "{error}");
    }
}
