//! Subscribing over a WebSocket, whichever shell is behind it: the tests of the whole fleet subscribe like this too.
use crate::server::Server;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use shell::clock::Clock;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _, handshake::client::Request},
};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection of a subscriber.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

/// What comes next.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Message(Value),
    Closed(u16, String),
    /// Without a word.
    Gone,
}

/// A request for a WebSocket at this address.
pub(crate) fn request(server: &Server) -> Request {
    format!("ws://{}/graphql", server.address).into_client_request().expect("a request")
}

impl Socket {
    /// A connection on which nothing was said yet.
    pub(crate) async fn connect(server: &Server) -> Self {
        let mut request = request(server);
        let protocol = "graphql-transport-ws".parse().expect("a value");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        Self::with(server, request).await
    }

    pub(crate) async fn with(server: &Server, request: Request) -> Self {
        let stream = TcpStream::connect(server.address).await.expect("a connection");
        Self(client_async(request, stream).await.expect("a socket").0)
    }

    /// A connection on which subscriptions can begin.
    pub(crate) async fn begin(server: &Server) -> Self {
        let mut socket = Self::connect(server).await;
        socket.say(&json!({ "type": "connection_init" })).await;
        assert_eq!(socket.hear().await, Heard::Message(json!({ "type": "connection_ack" })));
        socket
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.say_text(&message.to_string()).await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.0.send(message).await.expect("it is sent");
    }

    pub(crate) async fn hear(&mut self) -> Heard {
        let heard = Clock::system().timeout(PATIENCE, self.next()).await;
        heard.expect("something comes")
    }

    async fn next(&mut self) -> Heard {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Heard::Message(serde_json::from_str(&text).expect("JSON"));
                }
                Some(Ok(Message::Close(Some(it)))) => {
                    return Heard::Closed(it.code.into(), it.reason.to_string());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(_)) | None => return Heard::Gone,
            }
        }
    }

    /// Subscribes; what it is answered comes with this id.
    pub(crate) async fn subscribe(&mut self, id: &str, document: &str) {
        let payload = json!({ "query": format!("subscription {{ {document} }}") });
        self.say(&json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    /// The next message of a subscription, which is of this type: its payload.
    pub(crate) async fn told(&mut self, id: &str, kind: &str) -> Value {
        match self.hear().await {
            Heard::Message(mut it) => {
                assert_eq!((&it["id"], &it["type"]), (&json!(id), &json!(kind)), "{it}");
                it["payload"].take()
            }
            other => panic!("{other:?} instead of {kind}"),
        }
    }

    /// The next change that a subscription is told of.
    pub(crate) async fn change(&mut self, id: &str) -> Value {
        let mut payload = self.told(id, "next").await;
        assert_eq!(payload.get("errors"), None, "{payload}");
        assert!(payload["extensions"]["position"].is_string(), "{payload}");
        payload["data"].as_object_mut().expect("data").values_mut().next().expect("a field").take()
    }
}
