//! Subscriptions over a WebSocket: `graphql-transport-ws`, as its specification has it.
use super::{
    Endpoint,
    answer::{self, Pushed},
    negotiation::is_foreign,
    request,
    server::Open,
};
use crate::{
    errors::{Code, Failure},
    session::{OF_CONNECTION, Session},
};
use answer::Refusal;
use async_graphql::Executor;
use axum::{
    extract::{
        FromRequestParts as _,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use futures::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, AbortHandle, BoxStream, SelectAll},
};
use serde_json::{Map, Value, json};
use std::{collections::HashMap, sync::Arc, time::Duration};

const PROTOCOL: &str = "graphql-transport-ws";
/// How often it is found out whether the client is still there; one that is silent for twice as long is not.
const PULSE: Duration = Duration::from_secs(15);
/// How long the client may take to receive why the connection ends.
const FAREWELL: Duration = Duration::from_secs(1);
/// What is read at once: there may be many sockets, and clients say little.
const READ_BYTES: usize = 4 * 1024;
/// The longest id of a subscription.
const ID_BYTES: usize = 256;
/// The longest reason that fits in a frame.
const REASON_BYTES: usize = 120;

/// Answers the request for a WebSocket, and serves it until it ends.
pub(super) async fn open<E: Executor>(endpoint: Arc<Endpoint<E>>, mut parts: Parts) -> Response {
    if is_foreign(&parts.headers) {
        let message = "a page of another site cannot subscribe here: its Origin is not this Host";
        let refusal =
            Refusal::http(StatusCode::FORBIDDEN, Failure::new(Code::InvalidRequest, message));
        return answer::refused(refusal, super::Media::Json, None);
    }
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(it) => it,
        Err(rejection) => return rejection.into_response(),
    };
    // As long as the socket is open, it counts as a connection.
    let place = parts.extensions.get::<Open>().cloned();
    let limit = endpoint.body_bytes;
    let upgrade = upgrade
        .max_message_size(limit)
        .max_frame_size(limit)
        .read_buffer_size(READ_BYTES)
        .protocols([PROTOCOL]);
    upgrade.on_upgrade(async move |socket| {
        let (open, streams) = (HashMap::new(), SelectAll::new());
        Talk { endpoint, headers: parts.headers, socket, is_begun: false, open, streams }
            .run()
            .await;
        drop(place);
    })
}

/// Why the connection ends, as a frame says it.
struct End(u16, String);

/// What is to be sent of a subscription.
enum Out {
    Pushed(Pushed),
    Complete,
}

struct Talk<E> {
    endpoint: Arc<Endpoint<E>>,
    /// Those of the request, and what `connection_init` had.
    headers: HeaderMap,
    socket: WebSocket,
    /// Whether `connection_init` was there.
    is_begun: bool,
    /// What is subscribed to, by id.
    open: HashMap<String, AbortHandle>,
    streams: SelectAll<BoxStream<'static, (String, Out)>>,
}

impl<E: Executor> Talk<E> {
    async fn run(mut self) {
        let ended = self.talk().await;
        self.streams.clear();
        let clock = self.endpoint.clock.clone();
        let farewell = async {
            if let Err(End(code, reason)) = ended {
                let reason = Utf8Bytes::from(&reason[..reason.floor_char_boundary(REASON_BYTES)]);
                let _ = self.socket.send(Message::Close(Some(CloseFrame { code, reason }))).await;
            }
            // Until the client has taken note, or is gone.
            while let Some(Ok(_)) = self.socket.recv().await {}
        };
        clock.timeout(FAREWELL, farewell).await;
    }

    /// Until the client goes (`Ok`), or there is a reason to end.
    async fn talk(&mut self) -> Result<(), End> {
        if self.socket.protocol().is_none() {
            return Err(End(4406, format!("Subprotocol not acceptable: offer {PROTOCOL}")));
        }
        let clock = self.endpoint.clock.clone();
        let sleep = |time| -> BoxFuture<'static, ()> {
            let clock = clock.clone();
            Box::pin(async move { clock.sleep(time).await })
        };
        let mut begin = sleep(self.endpoint.head_time);
        let mut pulse = sleep(PULSE);
        let mut is_silent = false;
        loop {
            let Self { endpoint, socket, streams, is_begun, .. } = self;
            tokio::select! {
                () = endpoint.shutdown.cancelled() => {
                    return Err(End(1001, "Going away: subscribe again elsewhere".to_owned()));
                }
                () = &mut begin, if !*is_begun => {
                    return Err(End(4408, "Connection initialisation timeout".to_owned()));
                }
                () = &mut pulse => {
                    if is_silent {
                        return Err(End(1001, "No sign of life".to_owned()));
                    }
                    is_silent = true;
                    pulse = sleep(PULSE);
                    let ping = Message::Ping(axum::body::Bytes::new());
                    if socket.send(ping).await.is_err() {
                        return Ok(());
                    }
                }
                message = socket.recv() => {
                    is_silent = false;
                    match message {
                        None | Some(Ok(Message::Close(_))) => return Ok(()),
                        Some(Ok(Message::Text(text))) => self.take(&text).await?,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Binary(_))) => {
                            return Err(invalid("it is binary: send text"));
                        }
                        Some(Err(error)) if error.to_string().contains("too long") => {
                            let limit = self.endpoint.body_bytes;
                            return Err(End(1009, format!("Message larger than {limit} bytes")));
                        }
                        Some(Err(error)) => {
                            tracing::debug!(%error, "a socket broke");
                            return Ok(());
                        }
                    }
                }
                Some((id, out)) = streams.next(), if !streams.is_empty() => {
                    self.push(id, out).await?;
                }
            }
        }
    }

    /// A message of the client.
    async fn take(&mut self, text: &str) -> Result<(), End> {
        let message: Value =
            serde_json::from_str(text).map_err(|error| invalid(&format!("not JSON: {error}")))?;
        let Value::Object(mut message) = message else { return Err(invalid("it is no object")) };
        let Some(Value::String(kind)) = message.remove("type") else {
            return Err(invalid("it has no type"));
        };
        let payload = message.remove("payload").unwrap_or_default();
        match kind.as_str() {
            "connection_init" => self.begin(payload).await,
            "ping" if is_object(&payload) => self.send(&json!({ "type": "pong" })).await,
            "pong" if is_object(&payload) => Ok(()),
            "ping" | "pong" => Err(invalid("its payload is no object")),
            "subscribe" => {
                if !self.is_begun {
                    return Err(End(4401, "Unauthorized: begin with connection_init".to_owned()));
                }
                let id = id(&mut message)?;
                if self.open.contains_key(&id) {
                    return Err(End(4409, format!("Subscriber for {id} already exists")));
                }
                let Value::Object(members) = payload else {
                    return Err(invalid("its payload is no object"));
                };
                self.subscribe(id, members).await
            }
            "complete" => {
                // It may have crossed ours.
                if let Some(it) = self.open.remove(&id(&mut message)?) {
                    it.abort();
                }
                Ok(())
            }
            _ => Err(invalid(&format!("there is no type {kind:?}"))),
        }
    }

    async fn begin(&mut self, payload: Value) -> Result<(), End> {
        if self.is_begun {
            return Err(End(4429, "Too many initialisation requests".to_owned()));
        }
        match payload {
            Value::Null => {}
            // Browsers cannot set headers of a socket: what they would say is here.
            Value::Object(members) => {
                for (name, value) in members {
                    let name = OF_CONNECTION.into_iter().find(|it| it.eq_ignore_ascii_case(&name));
                    let value = value.as_str().and_then(|it| HeaderValue::try_from(it).ok());
                    if let (Some(name), Some(value)) = (name, value) {
                        self.headers.insert(HeaderName::from_static(name), value);
                    }
                }
            }
            _ => return Err(invalid("its payload is no object")),
        }
        if let Err(failure) = Session::open(&self.headers) {
            return Err(invalid(&failure.message));
        }
        self.is_begun = true;
        self.send(&json!({ "type": "connection_ack" })).await
    }

    async fn subscribe(&mut self, id: String, members: Map<String, Value>) -> Result<(), End> {
        let each = self.endpoint.subscriptions_each;
        let begun = if self.open.len() >= each {
            let message = format!("{each} subscriptions are open on this connection: end one");
            Err(Failure::limit("subscriptionsEach", each, message).into())
        } else {
            let request = request::request(members, &["payload"]);
            request.map_err(Into::into).and_then(|it| self.endpoint.begin(it, &self.headers))
        };
        match begun {
            Ok(pushed) => {
                let name = id.clone();
                let out = pushed.map(Out::Pushed).chain(stream::iter([Out::Complete]));
                let (out, handle) = stream::abortable(out);
                self.open.insert(id, handle);
                self.streams.push(out.map(move |it| (name.clone(), it)).boxed());
                Ok(())
            }
            Err(refused) => {
                let errors = answer::errors(*refused);
                self.send(&json!({ "id": id, "type": "error", "payload": errors })).await
            }
        }
    }

    async fn push(&mut self, id: String, out: Out) -> Result<(), End> {
        let message = match out {
            Out::Pushed(Pushed::Next(payload)) => {
                // What it is made of is JSON already.
                let id = Value::from(id);
                let text = format!("{{\"id\":{id},\"type\":\"next\",\"payload\":{payload}}}");
                return self.say(text).await;
            }
            Out::Pushed(Pushed::Refused(errors)) => {
                self.forget(&id);
                json!({ "id": id, "type": "error", "payload": errors })
            }
            Out::Complete => {
                self.forget(&id);
                json!({ "id": id, "type": "complete" })
            }
        };
        self.send(&message).await
    }

    fn forget(&mut self, id: &str) {
        if let Some(it) = self.open.remove(id) {
            it.abort();
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), End> {
        self.say(message.to_string()).await
    }

    async fn say(&mut self, text: String) -> Result<(), End> {
        let sent = self.socket.send(Message::Text(text.into())).await;
        // Who has gone hears no reason.
        sent.map_err(|_| End(1001, "Gone".to_owned()))
    }
}

fn invalid(why: &str) -> End {
    End(4400, format!("Invalid message: {why}"))
}

fn is_object(payload: &Value) -> bool {
    matches!(payload, Value::Null | Value::Object(_))
}

fn id(message: &mut Map<String, Value>) -> Result<String, End> {
    match message.remove("id") {
        Some(Value::String(id)) if !id.is_empty() && id.len() <= ID_BYTES => Ok(id),
        _ => Err(invalid(&format!("its id is no text of 1 to {ID_BYTES} bytes"))),
    }
}
