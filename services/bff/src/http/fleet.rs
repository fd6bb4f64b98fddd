//! The page about the fleet, at `/fleet`: what a person looks at first. It only reads, and needs nothing from elsewhere.
//!
//! What it shows comes from the databases alone, so that no BFF has to know where the other services are.
use crate::{operator::Gate, session::OPERATOR};
use axum::{
    Json, Router,
    extract::{Extension, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use shell::{
    Shell,
    port::store::{Reads as _, StoreError},
    postgres::{PartitionState, PostgresReads, Version},
    status::{ContextReport, ServiceReport},
    telemetry::{REVISION, VERSION},
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

const PAGE: &str = include_str!("fleet.html");
/// Nothing but what is in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'";

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

#[derive(Clone)]
struct Watched {
    shell: Shell,
    reads: Arc<PostgresReads>,
    contexts: &'static [&'static str],
    gate: Gate,
}

#[derive(Serialize)]
struct Fleet {
    version: &'static str,
    revision: Option<&'static str>,
    /// Those of this process.
    services: BTreeMap<String, ServiceReport>,
    contexts: BTreeMap<&'static str, Seen>,
}

/// A context, or why it cannot be seen.
#[derive(Serialize)]
#[serde(untagged)]
enum Seen {
    Whole { partitions: Vec<PartitionState>, views: Vec<Version>, troubles: ContextReport },
    Not { error: String },
}

/// `/fleet` and what it shows. Who is not on this machine has to be an operator.
pub(crate) fn router(shell: &Shell, contexts: &'static [&'static str], gate: Gate) -> Router {
    let page = || async {
        (
            [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")],
            Html(PAGE),
        )
    };
    Router::new().route("/fleet", get(page)).route("/fleet.json", get(tell)).with_state(Watched {
        shell: shell.clone(),
        reads: Arc::new(PostgresReads::new(shell.postgres.clone())),
        contexts,
        gate,
    })
}

async fn tell(
    State(watched): State<Watched>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    let is_here = peer.is_some_and(|Extension(Peer(it))| it.is_loopback());
    let token = headers.get(OPERATOR).and_then(|it| it.to_str().ok());
    if !is_here && !watched.gate.lets_in(token) {
        let why = "only from this machine, or with the operators' token";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let mut contexts = BTreeMap::new();
    for context in watched.contexts {
        contexts.insert(*context, watched.see(context).await);
    }
    let services = watched.shell.status.report().services;
    let it = Fleet { version: VERSION, revision: REVISION, services, contexts };
    ([(header::CACHE_CONTROL, "no-store")], Json(it)).into_response()
}

impl Watched {
    async fn see(&self, context: &str) -> Seen {
        let postgres = &self.shell.postgres;
        let seen = async {
            Ok::<_, StoreError>(Seen::Whole {
                partitions: postgres.partitions(context).await?,
                views: postgres.versions(context).await?,
                troubles: self.reads.troubles(context).await?,
            })
        };
        match self.shell.clock.timeout(PATIENCE, seen).await {
            Some(Ok(it)) => it,
            Some(Err(error)) => Seen::Not { error: error.to_string() },
            None => Seen::Not { error: format!("the store does not answer within {PATIENCE:?}") },
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, extract::Request};
    use clap::Parser;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt as _;

    const TOKEN: &str = "a-long-token-of-operators";

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        shell: shell::Config,
    }

    async fn status(peer: Option<&str>, token: Option<&str>) -> StatusCode {
        // Nobody answers there, which is told as what is seen.
        let nowhere = ["flotilla", "--database-url", "postgres://nobody@127.0.0.1:9/postgres"];
        let shell = Shell::new(Program::parse_from(nowhere).shell, CancellationToken::new());
        let gate = Gate(TOKEN.parse().ok());
        let router = router(&shell.expect("a shell"), &["customers"], gate);
        let mut request = Request::get("/fleet.json").body(Body::empty()).expect("a request");
        if let Some(peer) = peer {
            request.extensions_mut().insert(Peer(peer.parse().expect("an address")));
        }
        if let Some(token) = token {
            request.headers_mut().insert(OPERATOR, token.parse().expect("a header"));
        }
        router.oneshot(request).await.expect("an answer").status()
    }

    #[tokio::test]
    async fn only_this_machine_and_operators_see_the_fleet() {
        assert_eq!(status(Some("127.0.0.1"), None).await, StatusCode::OK);
        assert_eq!(status(Some("::1"), None).await, StatusCode::OK);
        assert_eq!(status(Some("10.0.0.7"), None).await, StatusCode::FORBIDDEN);
        assert_eq!(status(None, None).await, StatusCode::FORBIDDEN);
        assert_eq!(
            status(Some("10.0.0.7"), Some("not-the-token-at-all")).await,
            StatusCode::FORBIDDEN
        );
        assert_eq!(status(Some("10.0.0.7"), Some(TOKEN)).await, StatusCode::OK);
    }
}
