//! Connections: bounded in number, in the time they may take, and ended in good order.
use super::{fleet::Peer, stream::Impatient};
use crate::config::Config;
use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use shell::{clock::Clock, telemetry::metric};
use std::{io, net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

/// What one connection too many is told before it is closed.
const TURNED_AWAY: &str = "{\"errors\":[{\"message\":\"too many connections: try again later\",\
    \"extensions\":{\"code\":\"UNAVAILABLE\"}}]}";
/// How many are told so at once; others are closed without a word.
const DOORKEEPERS: usize = 100;

/// The place of a connection among those that may be open. What outlives it in its stead, as a WebSocket does, keeps it:
/// it is among the extensions of each request.
#[derive(Clone)]
pub(super) struct Open(
    #[expect(dead_code, reason = "kept, and given back")] Arc<OwnedSemaphorePermit>,
);

/// Serves until `shutdown`; then takes no more, and gives what is in hand its time to finish.
///
/// # Errors
/// If the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: &Config,
    clock: Clock,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let places = u32::try_from(config.connections).unwrap_or(u32::MAX);
    let room = Arc::new(Semaphore::new(places as usize));
    let doorkeepers = Arc::new(Semaphore::new(DOORKEEPERS));
    let connections = GracefulShutdown::new();
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(config.head_time);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .keep_alive_interval(config.head_time)
        .keep_alive_timeout(config.head_time);
    loop {
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &clock) => accepted?,
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            metrics::counter!(metric::GRAPHQL_TURNED_AWAY.name).increment(1);
            if let Ok(doorkeeper) = Arc::clone(&doorkeepers).try_acquire_owned() {
                let clock = clock.clone();
                tokio::spawn(async move {
                    let _doorkeeper = doorkeeper;
                    clock.timeout(Duration::from_secs(1), turn_away(stream)).await;
                });
            }
            continue;
        };
        let io = TokioIo::new(Impatient::new(stream, clock.clone(), config.write_time));
        let (open, router) = (Open(Arc::new(permit)), TowerToHyperService::new(router.clone()));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(open.clone());
            request.extensions_mut().insert(Peer(peer));
            router.call(request)
        });
        let connection = builder.serve_connection_with_upgrades(io, service).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Clients break off all the time.
                tracing::debug!(error = &*error, "a connection ended early");
            }
        });
    }
    drop(listener);
    let finished = async {
        connections.shutdown().await;
        // Sockets too: they say good-bye by themselves.
        let _ = room.acquire_many(places).await;
    };
    if clock.timeout(config.stop_time, finished).await.is_none() {
        tracing::warn!(allowed = ?config.stop_time, "gave up on requests that took too long to finish");
    }
    Ok(())
}

/// The next connection. What goes wrong with one of them, or for want of file descriptors, passes.
async fn accept(listener: &TcpListener, clock: &Clock) -> io::Result<(TcpStream, IpAddr)> {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput};
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are written whole: waiting for more only costs time.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection ended before it began");
                    continue;
                }
                return Ok((stream, peer.ip()));
            }
            Err(error) => match error.kind() {
                ConnectionAborted | ConnectionRefused | ConnectionReset => {}
                // The listener itself is no good.
                InvalidInput => return Err(error),
                _ => {
                    tracing::warn!(%error, "cannot take connections");
                    clock.sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

async fn turn_away(mut stream: TcpStream) {
    let length = TURNED_AWAY.len();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
         content-type: application/json; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{TURNED_AWAY}"
    );
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closed with something unread, the connection would be reset and the answer lost.
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    if let Err(error) = told.await {
        tracing::debug!(%error, "a connection was turned away without a word");
    }
}
