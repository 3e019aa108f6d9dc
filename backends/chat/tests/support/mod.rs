//! Replicas of chat on free ports, and clients that hold them in their hands, and them to their schemas.

mod contract;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chat::store::Store;
use chat::store::sqlite::SqliteStore;
use chat::{Chat, Config};
use contract::Contract;
pub(crate) use contract::kinds_of;
use futures_util::{SinkExt, StreamExt};
use kit::bus::Bus;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_util::sync::CancellationToken;

/// Nothing that is waited for takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Replicas on one store and one bus.
pub(crate) struct Replicas {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: Vec<tokio::task::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

/// The settings of the tests, with some of them changed.
pub(crate) fn config(changes: Value) -> Config {
    let mut config = json!({
        "http": { "header_timeout_s": 10, "connections_max": 1000 },
        "body_bytes_max": 65536,
        "frame_bytes_max": 65536,
        "text_bytes_max": 8192,
        "rate_per_second": 100_000,
        "rate_burst": 100_000,
        "rooms_per_socket_max": 4,
        "sockets_max": 1000,
        "heartbeat_s": 25,
        "silence_s": 55,
        "ring_events": 64,
        "refill_events_max": 256,
        "reconnect_after_ms": [700, 9000],
    });
    for (key, value) in changes.as_object().expect("an object") {
        config[key] = value.clone();
    }
    serde_json::from_value(config).expect("settings")
}

impl Replicas {
    /// Starts `count` replicas.
    pub(crate) async fn start(count: usize, bus: Arc<dyn Bus>, config: Config) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).expect("a store"));
        let stop = CancellationToken::new();
        let (mut addresses, mut tasks) = (Vec::new(), Vec::new());
        for number in 0..count {
            // As the binary does: what the kernel keeps for a slow reader is small.
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_send_buffer_size(64 * 1024).expect("a smaller buffer");
            socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
            let listener = socket.listen(1024).expect("a listener");
            addresses.push(listener.local_addr().expect("an address"));
            let chat = Chat::new(config.clone(), format!("chat-{number}"), store.clone(), bus.clone(), kit::clock::now);
            let stopped = stop.clone().cancelled_owned();
            tasks.push(tokio::spawn(chat::serve(chat, vec![listener], stopped)));
        }
        Self { addresses, stop, tasks, _folder: folder }
    }

    /// One replica with the usual settings.
    pub(crate) async fn one() -> Self {
        Self::start(1, Arc::new(kit::bus::InProcess::default()), config(json!({}))).await
    }

    /// A client of the replica with this number, after its `welcome` and `joined`.
    pub(crate) async fn client(&self, number: usize, query: &str) -> Client {
        let mut client = self.connect(number, query).await;
        client.expect("welcome").await;
        client.expect("joined").await;
        client
    }

    /// A client that has heard nothing yet.
    pub(crate) async fn connect(&self, number: usize, query: &str) -> Client {
        let stream = TcpStream::connect(self.addresses[number]).await.expect("a connection");
        self.connect_over(stream, query).await
    }

    /// The same, over a connection that takes little that is not read.
    pub(crate) async fn connect_narrow(&self, number: usize, query: &str) -> Client {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(16 * 1024).expect("a smaller buffer");
        let stream = socket.connect(self.addresses[number]).await.expect("a connection");
        self.connect_over(stream, query).await
    }

    async fn connect_over(&self, stream: TcpStream, query: &str) -> Client {
        let url = format!("ws://{}/ws?{query}", stream.peer_addr().expect("a replica"));
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.expect("a handshake");
        Client { socket, contract: Contract::default(), waiting: VecDeque::new() }
    }
}

/// A client as a person would use it.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) contract: Contract,
    /// Frames that came in one text with those before.
    waiting: VecDeque<Value>,
}

impl Client {
    pub(crate) async fn say(&mut self, text: &str) {
        self.contract.sends(text);
        self.socket.send(Message::text(text)).await.expect("sent");
    }

    pub(crate) async fn frame(&mut self, frame: Value) {
        self.say(&frame.to_string()).await;
    }

    /// The frames of the next text: one, or several for a client that asks for batches.
    pub(crate) async fn batch(&mut self) -> Vec<Value> {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => return self.contract.hears(&text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("expected a frame, got {other:?}"),
            }
        }
    }

    /// The next frame, whatever it is.
    pub(crate) async fn next(&mut self) -> Value {
        while self.waiting.is_empty() {
            self.waiting = self.batch().await.into();
        }
        self.waiting.pop_front().expect("a frame")
    }

    /// The next frame, which must be of this type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// The next frame of this type; others are passed over.
    pub(crate) async fn find(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The close frame, after whatever comes before it.
    pub(crate) async fn closed(&mut self) -> CloseFrame {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a close in time") {
                Some(Ok(Message::Close(Some(frame)))) => return frame,
                Some(Ok(Message::Text(text))) => drop(self.contract.hears(&text)),
                Some(Ok(_)) => {}
                other => panic!("expected a close frame, got {other:?}"),
            }
        }
    }

    /// The seqs of `message` frames up to `head`.
    pub(crate) async fn seqs_to(&mut self, head: u64) -> Vec<u64> {
        let mut seqs = Vec::new();
        while seqs.last() != Some(&head) {
            seqs.push(self.find("message").await["seq"].as_u64().expect("a seq"));
        }
        seqs
    }
}
