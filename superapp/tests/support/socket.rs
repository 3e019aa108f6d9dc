//! A chat client.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::LIMIT;

/// An open WebSocket.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    /// Opens `/ws?query`, such as `user=alice&room=ops&after=7`, on a gateway or a replica.
    pub(crate) async fn open(address: SocketAddr, query: &str) -> Self {
        Self::try_open(address, query).await.unwrap_or_else(|error| panic!("no socket: {error}"))
    }

    /// The same, where it may fail.
    pub(crate) async fn try_open(address: SocketAddr, query: &str) -> Result<Self, tokio_tungstenite::tungstenite::Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let opening = tokio_tungstenite::client_async(format!("ws://{address}/ws?{query}"), stream);
        let (stream, _) = timeout(LIMIT, opening).await.expect("an upgrade in time")?;
        Ok(Self { stream })
    }

    /// Sends a line of plain text.
    pub(crate) async fn say(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    /// Sends a JSON frame.
    pub(crate) async fn send(&mut self, frame: Value) {
        self.say(&frame.to_string()).await;
    }

    /// Sends anything.
    pub(crate) async fn send_message(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    /// The same, where the other side may have closed.
    pub(crate) async fn try_send(&mut self, message: Message) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        self.stream.send(message).await
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        match self.next_message().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("no frame but {other:?}"),
        }
    }

    /// The next frame of this type; others are skipped.
    pub(crate) async fn next_of(&mut self, frame_type: &str) -> Value {
        self.next_of_any(&[frame_type]).await
    }

    /// The next frame of one of these types.
    pub(crate) async fn next_of_any(&mut self, frame_types: &[&str]) -> Value {
        loop {
            let frame = self.next().await;
            if frame_types.iter().any(|frame_type| frame["type"] == *frame_type) {
                return frame;
            }
        }
    }

    /// Waits for the close frame; its code and reason. Frames before it are skipped.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next_message().await {
                Some(Message::Close(Some(frame))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Message::Text(_)) => {}
                other => panic!("no close frame but {other:?}"),
            }
        }
    }

    /// The next message but pings and pongs; `None` when the connection has ended.
    pub(crate) async fn next_message(&mut self) -> Option<Message> {
        loop {
            match timeout(LIMIT, self.stream.next()).await.expect("a message in time") {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }
}
