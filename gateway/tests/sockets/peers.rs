//! WebSocket peers, both of them tungstenite: a backend that does what a client asks for, and clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::LIMIT;
use crate::support::backend::{Backend, Visit};

/// The backend's end of a socket.
pub type Served = WebSocketStream<BufReader<TcpStream>>;
/// A client's end.
pub type Client<S = TcpStream> = WebSocketStream<S>;

/// Bytes of messages that are numbered.
pub const SMALL: usize = 1024;
pub const LARGE: usize = 64 * 1024;

/// How a replica says goodbye itself.
pub const RESTARTING: &str = "restarting, come back in 250 ms";

/// A replica of chat: `/ws?echo` echoes, `/ws?flood` never stops talking, `/ws?specks` neither, and says nothing, `/ws?frame=N` says one frame of N bytes, `/ws?large=N`
/// so many of [`LARGE`] bytes.
pub struct Replica {
    pub backend: Backend,
    /// Messages that it has handed to its kernel.
    pub sent: Arc<AtomicUsize>,
    end: watch::Sender<End>,
}

/// How its sockets end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    /// Each is told to go and when to come back, as a polite stop does.
    Goodbye,
    /// By a reset, as of a machine that has forgotten them.
    Reset,
}

impl Replica {
    pub async fn start() -> Replica {
        Replica::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub fn start_on(listener: TcpListener) -> Replica {
        let (end, ended) = watch::channel(End::NotYet);
        let sent = Arc::new(AtomicUsize::new(0));
        let counting = sent.clone();
        let backend = Backend::start_on(listener, move |visit| serve(visit, ended.clone(), counting.clone()));
        Replica { backend, sent, end }
    }

    pub fn address(&self) -> SocketAddr {
        self.backend.address
    }

    pub fn say_goodbye(&self) {
        self.end.send_replace(End::Goodbye);
    }

    pub fn reset(&self) {
        self.end.send_replace(End::Reset);
    }
}

async fn serve(visit: Visit, mut ended: watch::Receiver<End>, sent: Arc<AtomicUsize>) -> Option<Visit> {
    let target = visit.head.target().to_owned();
    let mut socket = accept(visit).await;
    let end = tokio::select! {
        () = converse(&mut socket, &target, &sent) => End::NotYet,
        end = ended.wait_for(|end| *end != End::NotYet) => end.map_or(End::NotYet, |end| *end),
    };
    match end {
        End::NotYet => {}
        End::Goodbye => {
            let frame = CloseFrame { code: CloseCode::Restart, reason: RESTARTING.into() };
            // Who has gone already needs no telling.
            let _ = socket.close(Some(frame)).await;
            while let Some(Ok(_)) = socket.next().await {}
        }
        End::Reset => socket.get_ref().get_ref().set_zero_linger().unwrap(),
    }
    None
}

/// Answers the upgrade.
pub async fn accept(mut visit: Visit) -> Served {
    let key = derive_accept_key(visit.head.header("sec-websocket-key").expect("a key").as_bytes());
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket";
    let replica = visit.wire.stream.get_ref().local_addr().unwrap().port();
    visit.wire.send(format!("{switch}\r\nx-replica: {replica}\r\nsec-websocket-accept: {key}\r\n\r\n")).await;
    WebSocketStream::from_raw_socket(visit.wire.stream, Role::Server, Some(without_limits())).await
}

async fn converse(socket: &mut Served, target: &str, sent: &AtomicUsize) {
    let number = |ask: &str| target.strip_prefix(ask).map(|number| number.parse().unwrap());
    if let Some(bytes) = number("/ws?frame=") {
        // It may be told to go in the middle.
        let _ = socket.send(Message::binary(pattern(bytes))).await;
    }
    for turn in 0..number("/ws?large=").unwrap_or(0) {
        socket.send(Message::binary(numbered(turn, LARGE))).await.unwrap();
        sent.fetch_add(1, Ordering::SeqCst);
    }
    if target == "/ws?flood" {
        flood(socket, sent).await;
    }
    if target == "/ws?specks" {
        let specks = [0x82, 0].repeat(4096);
        while socket.get_mut().write_all(&specks).await.is_ok() {
            sent.fetch_add(4096, Ordering::SeqCst);
        }
    }
    while let Some(Ok(message)) = socket.next().await {
        let is_text = message.is_text() || message.is_binary();
        if is_text && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Talks until it is told to go, or nobody is there.
async fn flood(socket: &mut Served, sent: &AtomicUsize) {
    while socket.send(Message::binary(numbered(sent.load(Ordering::SeqCst), SMALL))).await.is_ok() {
        sent.fetch_add(1, Ordering::SeqCst);
        if let Some(None | Some(Err(_))) = socket.next().now_or_never() {
            return;
        }
    }
}

/// So many bytes that begin with a number.
pub fn numbered(number: usize, length: usize) -> Vec<u8> {
    let mut bytes = vec![0xa5; length];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    bytes
}

pub fn pattern(length: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..251).collect();
    let mut bytes = period.repeat(length / period.len() + 1);
    bytes.truncate(length);
    bytes
}

fn without_limits() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(None).max_frame_size(None)
}

/// Opens `/ws?ask` on the door.
pub async fn open(door: SocketAddr, ask: &str) -> Client {
    open_on(connect(door).await, ask).await
}

/// The same; and the port of the replica that took it.
pub async fn open_somewhere(door: SocketAddr, ask: &str) -> (Client, u16) {
    upgrade(connect(door).await, ask).await
}

pub async fn open_on<S: AsyncRead + AsyncWrite + Unpin>(stream: S, ask: &str) -> Client<S> {
    upgrade(stream, ask).await.0
}

async fn connect(door: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(door).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(stream: S, ask: &str) -> (Client<S>, u16) {
    let opening = tokio_tungstenite::client_async_with_config(format!("ws://door/ws?{ask}"), stream, Some(without_limits()));
    let (socket, reply) = tokio::time::timeout(LIMIT, opening).await.expect("an upgrade in time").unwrap();
    (socket, reply.headers()["x-replica"].to_str().unwrap().parse().unwrap())
}

/// Says it and hears it again.
pub async fn echo<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut Client<S>, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
    assert_eq!(next(socket).await, Some(Message::text(text)));
}

/// The next message; `None` when the connection ended without a Close frame.
pub async fn next<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut Client<S>) -> Option<Message> {
    match socket.next().await {
        Some(Ok(message)) => Some(message),
        None | Some(Err(Error::ConnectionClosed | Error::Io(_) | Error::Protocol(_))) => None,
        Some(Err(error)) => panic!("no frame: {error}"),
    }
}

/// The code and the reason of a message, which must be a Close frame.
pub fn goodbye(message: Option<&Message>) -> (u16, &str) {
    match message {
        Some(Message::Close(Some(frame))) => (frame.code.into(), frame.reason.as_str()),
        other => panic!("no Close frame with a code, but {other:?}"),
    }
}

/// Answers a Close frame, as tungstenite does when it is asked for more, and waits until the other side ends the connection.
pub async fn is_over<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut Client<S>) -> bool {
    matches!(tokio::time::timeout(LIMIT, socket.next()).await, Ok(None | Some(Err(Error::ConnectionClosed | Error::Io(_)))))
}
