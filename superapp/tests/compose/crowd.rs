//! Sockets that mostly listen, through the gateway.

use std::collections::HashMap;
use std::net::SocketAddr;

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::counted;
use crate::project::Project;

/// Sockets that are being opened at the same time.
const AT_ONCE: usize = 20;

/// How a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ended {
    /// By a Close frame with this code.
    Closed(u16),
    /// Without a word.
    Cut,
}

#[derive(Default)]
pub(crate) struct Crowd {
    /// Which replica welcomed each, and how it ends.
    sockets: Vec<(String, JoinHandle<Ended>)>,
}

impl Crowd {
    /// Opens so many more sockets, and reads from each for as long as it lasts.
    pub(crate) async fn join(&mut self, project: &Project, count: usize) {
        let numbers = self.sockets.len()..self.sockets.len() + count;
        let opening = stream::iter(numbers).map(|number| open(project.address("gateway"), number)).buffer_unordered(AT_ONCE);
        self.sockets.extend(opening.collect::<Vec<_>>().await);
    }

    /// How many each replica has welcomed.
    pub(crate) fn by_replica(&self) -> HashMap<String, usize> {
        counted(self.sockets.iter().map(|(replica, _)| replica.clone()))
    }

    /// How many have ended.
    pub(crate) fn cut(&self) -> usize {
        self.sockets.iter().filter(|(_, socket)| socket.is_finished()).count()
    }

    /// Ends them from this side.
    pub(crate) async fn leave(self) {
        for (_, socket) in self.sockets {
            socket.abort();
            let _ = socket.await;
        }
    }

    /// Waits for the end of each.
    pub(crate) async fn ended(self) -> HashMap<Ended, usize> {
        let mut all = Vec::new();
        for (_, socket) in self.sockets {
            all.push(socket.await.unwrap());
        }
        counted(all)
    }
}

/// Opens a socket; who welcomed it, and how it ends.
async fn open(gateway: SocketAddr, number: usize) -> (String, JoinHandle<Ended>) {
    let stream = TcpStream::connect(gateway).await.unwrap();
    let url = format!("ws://{gateway}/ws?user=user-{number}&room=crowd-{}", number % 50);
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let welcome = match socket.next().await {
        Some(Ok(Message::Text(text))) => serde_json::from_str::<Value>(&text).unwrap(),
        other => panic!("no welcome but {other:?}"),
    };
    (welcome["replica"].as_str().unwrap().to_owned(), tokio::spawn(last(socket)))
}

/// Reads to the end, which also answers pings.
async fn last(mut socket: WebSocketStream<TcpStream>) -> Ended {
    let mut ended = Ended::Cut;
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(Some(frame)) = message {
            ended = Ended::Closed(frame.code.into());
        }
    }
    ended
}
