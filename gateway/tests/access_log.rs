//! What the access log says is what clients saw: as many lines as exchanges, each with its status, also when hardly anything goes
//! as it should; and what is counted says the same.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use support::backend::{Backend, Visit};
use support::dice::Dice;
use support::lines::Lines;
use support::wire::Wire;
use support::{BODY_BYTES_MAX, LIMIT, Replica, config, counters, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

/// What a client that left before it was answered would have seen.
const CLIENT_LEFT: u16 = 499;
const CLIENTS: u64 = 8;
const ROUNDS: usize = 40;
const CONNECTIONS_PER_ADDRESS_MAX: usize = 60;

/// What a client saw of a request that has an id.
struct Answer {
    status: u16,
    /// Of the body it got.
    bytes: usize,
    /// Of the body it sent, where a backend has read all of it, or there was none.
    sent: Option<usize>,
}

/// What clients saw: how often which status, and of some requests, by their id, also how many bytes.
#[derive(Default)]
struct Seen {
    statuses: BTreeMap<u16, u64>,
    answers: HashMap<String, Answer>,
}

impl Seen {
    fn note(&mut self, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
    }

    fn add(&mut self, other: Seen) {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.answers.extend(other.answers);
    }
}

/// The status a connection is answered with, and how many bytes of a body there are to its end; 499 for none.
async fn answer_to(mut stream: TcpStream) -> (u16, usize) {
    let mut answer = Vec::new();
    // A reset is an end.
    let _ = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("an end in time");
    let status = answer.get(9..12).map_or(CLIENT_LEFT, |digits| std::str::from_utf8(digits).unwrap().parse().unwrap());
    (status, body_bytes(&answer))
}

/// How many bytes of payload an answer has.
fn body_bytes(answer: &[u8]) -> usize {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return 0 };
    let (head, mut body) = answer.split_at(end + 4);
    if !String::from_utf8_lossy(head).contains("transfer-encoding: chunked") {
        return body.len();
    }
    let mut bytes = 0;
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        bytes += size;
        if size == 0 {
            break;
        }
        body = &body[end + 2 + size + 2..];
    }
    bytes
}

async fn connect(door: SocketAddr, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(door).await.unwrap()
}

/// A backend that does what its path says.
async fn misbehave(mut visit: Visit) -> Option<Visit> {
    let target = visit.head.target().split('?').next().unwrap().to_owned();
    if target != "/users/slow" {
        visit.body().await?;
    }
    match target.as_str() {
        "/users/slow" => std::future::pending().await,
        "/users/broken" => None,
        "/users/half" => {
            visit.wire.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
            None
        }
        "/users/nonsense" => {
            visit.wire.send("what?\r\n\r\n").await;
            None
        }
        "/users/chunks" => {
            visit.wire.send("HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
            Some(visit)
        }
        _ => {
            visit.answer("well").await;
            Some(visit)
        }
    }
}

const ASKS: [&str; 15] = [
    "GET /users/1",
    "HEAD /users/1",
    "GET /users/1?secret=x",
    "GET /version",
    "GET /nothing/\"quoted\\",
    "GET /nothing",
    "POST /version",
    "GET /users/%2e%2e/x",
    "GET /users/broken",
    "GET /users/half",
    "GET /users/nonsense",
    "GET /users/chunks",
    "GET /users/slow",
    "GET /chat/rooms",
    "GET /analytics/dying",
];

async fn ask(door: SocketAddr, start: &str, dice: &mut Dice, seen: &mut Seen) {
    let id = format!("id-{:x}", dice.next());
    let head = format!("{start} HTTP/1.1\r\nhost: door\r\nconnection: close\r\nx-request-id: {id}\r\n\r\n");
    let mut stream = TcpStream::connect(door).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (status, bytes) = answer_to(stream).await;
    seen.note(status);
    seen.answers.insert(id, Answer { status, bytes, sent: Some(0) });
}

async fn upload(door: SocketAddr, dice: &mut Dice, seen: &mut Seen) {
    let length = *dice.pick(&[0, 1, 5000, 40_000, BODY_BYTES_MAX, BODY_BYTES_MAX + 1]);
    let framing = format!("content-length: {length}\r\n\r\n{}", "x".repeat(length));
    let chunked = format!("transfer-encoding: chunked\r\n\r\n{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length));
    let bad_chunk = "transfer-encoding: chunked\r\n\r\n5\r\nhello, world\r\n0\r\n\r\n".to_owned();
    let framing = match dice.below(5) {
        0 | 1 => framing,
        2 | 3 if length > 0 => chunked,
        _ => bad_chunk,
    };
    let mut stream = TcpStream::connect(door).await.unwrap();
    let id = format!("id-{:x}", dice.next());
    let request = format!("POST /users/1 HTTP/1.1\r\nhost: door\r\nconnection: close\r\nx-request-id: {id}\r\n{framing}");
    // The door may have had enough before all is written.
    let _ = stream.write_all(request.as_bytes()).await;
    let (status, bytes) = answer_to(stream).await;
    seen.note(status);
    seen.answers.insert(id, Answer { status, bytes, sent: (status == 200).then_some(length) });
}

const NONSENSE: [&str; 9] = [
    "GET /users/1 HTTP/1.1\r\n\r\n",
    "GET /users/1 HTTP/1.1\r\nhost: door\n\r\n",
    "GET /users/1 HTTP/9.9\r\nhost: door\r\n\r\n",
    "\x16\x03\x01 this is TLS",
    "POST /users/1 HTTP/1.1\r\nhost: door\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
    "POST /users/1 HTTP/1.1\r\nhost: door\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
    "GET /ws HTTP/1.1\r\nhost: door\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 5\r\n\r\nhello",
    // These never become complete.
    "GET /users/1 HTTP/1.1\r\nhost: d",
    TOO_LARGE,
];
const TOO_LARGE: &str = "too large";

async fn write_nonsense(door: SocketAddr, kind: &str, is_half_closed: bool, seen: &mut Seen) {
    let large = format!("GET /users/1 HTTP/1.1\r\nhost: door\r\nx-a: {}", "x".repeat(40_000));
    let nonsense = if kind == TOO_LARGE { large.as_str() } else { kind };
    let mut stream = TcpStream::connect(door).await.unwrap();
    let _ = stream.write_all(nonsense.as_bytes()).await;
    if is_half_closed {
        let _ = stream.shutdown().await;
    }
    seen.note(answer_to(stream).await.0);
}

/// Leaves in the middle of its body, or while the backend still thinks.
async fn hang_up(door: SocketAddr, dice: &mut Dice, seen: &mut Seen) {
    let mut stream = TcpStream::connect(door).await.unwrap();
    if dice.one_in(2) {
        stream.write_all(b"POST /users/1 HTTP/1.1\r\nhost: door\r\ncontent-length: 50000\r\n\r\nhello").await.unwrap();
    } else {
        stream.write_all(b"GET /users/slow HTTP/1.1\r\nhost: door\r\n\r\n").await.unwrap();
        // An end alone would only say that it has no more to ask.
        stream.set_zero_linger().unwrap();
    }
    seen.note(CLIENT_LEFT);
}

/// Requests on one connection, the next before the answer to the last.
async fn pipeline(door: SocketAddr, seen: &mut Seen) {
    let mut wire = Wire::connect(door).await;
    let paths = ["/users/1", "/nothing", "/version", "/users/chunks", "/users/2"];
    for path in paths {
        wire.send(format!("GET {path} HTTP/1.1\r\nhost: door\r\n\r\n")).await;
    }
    for _ in paths {
        seen.note(wire.whole_answer("GET").await.status);
    }
}

async fn speak_http2(door: SocketAddr, dice: &mut Dice, seen: &mut Seen) {
    let stream = TcpStream::connect(door).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut asked = Vec::new();
    for _ in 0..10 {
        let path = dice.pick(&["/users/1", "/nothing", "/version", "/users/broken", "/users/chunks", "/users/slow", "/chat/rooms"]);
        let length = *dice.pick(&[0, 10, BODY_BYTES_MAX + 1]);
        let id = format!("id-{:x}", dice.next());
        let request = hyper::Request::builder().method("POST").uri(format!("http://door{path}")).header("x-request-id", &id);
        sender.ready().await.unwrap();
        asked.push((id, length, sender.send_request(request.body(Full::new(Bytes::from(vec![b'x'; length]))).unwrap())));
    }
    for (id, length, answer) in asked {
        let answer = tokio::time::timeout(LIMIT, answer).await.expect("an answer in time").unwrap();
        let status = answer.status().as_u16();
        seen.note(status);
        let bytes = answer.into_body().collect().await.unwrap().to_bytes().len();
        let is_read = matches!(status, 200 | 201);
        seen.answers.insert(id, Answer { status, bytes, sent: is_read.then_some(length) });
    }
    drop(sender);
    tokio::time::timeout(LIMIT, connection).await.expect("an end in time").unwrap().unwrap();
}

/// Takes back a request that a backend has, and breaks the connection off while it has another.
async fn hang_up_http2(door: SocketAddr, users: &Backend, dice: &mut Dice, seen: &mut Seen) {
    let stream = TcpStream::connect(door).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..2 {
        let path = format!("/users/slow?{:x}", dice.next());
        let request = hyper::Request::builder().uri(format!("http://door{path}")).body(Full::<Bytes>::default()).unwrap();
        let asking = sender.send_request(request);
        let has_arrived = || async { users.seen().iter().any(|seen| seen.head.target() == path) };
        eventually("the backend has it", has_arrived).await;
        drop(asking);
        seen.note(CLIENT_LEFT);
    }
    connection.abort();
}

/// More connections than one address may have.
async fn crowd(door: SocketAddr, seen: &mut Seen) {
    let mut inside = Vec::new();
    for _ in 0..CONNECTIONS_PER_ADDRESS_MAX {
        let mut wire = Wire::new(connect(door, "127.0.0.7").await);
        wire.send("GET /version HTTP/1.1\r\nhost: door\r\n\r\n").await;
        seen.note(wire.whole_answer("GET").await.status);
        inside.push(wire);
    }
    for _ in 0..10 {
        let (status, _) = answer_to(connect(door, "127.0.0.7").await).await;
        assert_eq!(status, 503);
        seen.note(status);
    }
}

async fn anything(door: SocketAddr, users: Arc<Backend>, seed: u64) -> Seen {
    let (mut dice, mut seen) = (Dice::with_seed(seed), Seen::default());
    for _ in 0..ROUNDS {
        match dice.below(13) {
            0..5 => ask(door, dice.pick::<&str>(&ASKS), &mut dice, &mut seen).await,
            5..7 => upload(door, &mut dice, &mut seen).await,
            7..9 => write_nonsense(door, dice.pick::<&str>(&NONSENSE), dice.one_in(4), &mut seen).await,
            9 => hang_up(door, &mut dice, &mut seen).await,
            10 => pipeline(door, &mut seen).await,
            11 => hang_up_http2(door, &users, &mut dice, &mut seen).await,
            _ => speak_http2(door, &mut dice, &mut seen).await,
        }
    }
    seen
}

/// A WebSocket that says something and stays until the door closes.
async fn stay(door: SocketAddr) -> tokio_tungstenite::WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(door).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("ws://door/ws?user=ada", stream).await.unwrap();
    futures_util::SinkExt::send(&mut socket, Message::text("hello")).await.unwrap();
    socket
}

async fn until_told(mut socket: tokio_tungstenite::WebSocketStream<TcpStream>) {
    while let Some(Ok(message)) = socket.next().await {
        assert!(matches!(message, Message::Close(Some(frame)) if u16::from(frame.code) == 1001));
    }
}

/// Takes a socket and listens.
async fn listen(mut visit: Visit) -> Option<Visit> {
    if visit.head.target().starts_with("/ws") {
        let key = visit.head.header("sec-websocket-key").unwrap();
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept:";
        visit.wire.send(format!("{switch} {accept}\r\n\r\n")).await;
        let _ = visit.wire.stream.read_to_end(&mut Vec::new()).await;
        return None;
    }
    visit.answer("well").await;
    Some(visit)
}

/// Kills it and brings it back, again and again, until it is told to stop.
async fn kill_and_revive(mut replica: Replica, is_over: Arc<AtomicBool>, killed: Arc<AtomicUsize>) {
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(60));
    while !is_over.load(Ordering::SeqCst) {
        pace.tick().await;
        replica.kill().await;
        killed.fetch_add(1, Ordering::SeqCst);
        pace.tick().await;
        replica.revive().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_line_for_all_that_clients_saw_and_nothing_else() {
    counters::start();
    let seed = Dice::new().seed;
    let (users, chat, dying) = (Arc::new(Backend::start(misbehave).await), Backend::start(listen).await, Replica::start("dying").await);
    let mut config = config(&[users.address], &[chat.address], &[dying.address]);
    config.header_timeout_s = 1;
    config.connections_per_address_max = CONNECTIONS_PER_ADDRESS_MAX;
    let (mut door, log) = Lines::of_door(config).await;
    let (is_over, killed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let killing = tokio::spawn(kill_and_revive(dying, is_over.clone(), killed.clone()));

    let mut seen = Seen::default();
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(stay(door.address).await);
        seen.note(101);
    }
    // Everything at least once.
    let mut dice = Dice::with_seed(!seed);
    for start in ASKS {
        ask(door.address, start, &mut dice, &mut seen).await;
    }
    for kind in NONSENSE {
        write_nonsense(door.address, kind, false, &mut seen).await;
    }
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(anything(door.address, users.clone(), seed + number));
    }
    crowd(door.address, &mut seen).await;
    for client in clients.join_all().await {
        seen.add(client);
    }
    is_over.store(true, Ordering::SeqCst);
    killing.await.unwrap();
    // Who has hung up is noticed when the backend should answer.
    eventually("only sockets are open", || async { door.gateway.in_flight() == sockets.len() }).await;
    door.stop();
    futures_util::future::join_all(sockets.into_iter().map(until_told)).await;
    door.closed().await;

    let lines = log.all();
    lines.iter().for_each(check);
    let mut logged = BTreeMap::new();
    for line in &lines {
        *logged.entry(line["status"].as_u64().unwrap() as u16).or_insert(0_u64) += 1;
    }
    let counted = counters::by_label("gateway_requests_total", "status").into_iter();
    let counted: BTreeMap<u16, u64> = counted.map(|(status, count)| (status.parse().unwrap(), count)).collect();
    println!("FUZZ_SEED={seed}: {logged:?}, a backend was killed {} times", killed.load(Ordering::SeqCst));
    assert_eq!(seen.statuses, logged, "FUZZ_SEED={seed}");
    assert_eq!(counted, logged);
    for status in [101, 200, 201, 400, 404, 405, 408, 413, 431, 499, 501, 502, 503, 504, 505] {
        assert!(logged.contains_key(&status), "FUZZ_SEED={seed}: the chaos brought no {status}");
    }
    assert_eq!(counters::sum("gateway_access_log_lost_total"), 0);

    let by_id: HashMap<&str, &Value> = lines.iter().map(|line| (line["request_id"].as_str().unwrap(), line)).collect();
    assert_eq!(by_id.len(), lines.len(), "an id twice");
    for (id, answer) in &seen.answers {
        let line = by_id[id.as_str()];
        let number = |key: &str| line[key].as_u64().unwrap();
        assert_eq!((number("status"), number("bytes_out")), (answer.status.into(), answer.bytes as u64), "FUZZ_SEED={seed}: {line}");
        assert!(answer.sent.is_none_or(|sent| sent as u64 == number("bytes_in")), "FUZZ_SEED={seed}: {:?} sent: {line}", answer.sent);
    }
    for protocol in ["HTTP/1.1", "HTTP/2"] {
        let took = lines.iter().filter(|line| line["protocol"] == protocol).filter_map(|line| line["connect_ms"].as_f64());
        assert!(took.sum::<f64>() > 0.0, "{protocol}: no connection to a backend took any time");
    }
}

/// A line says nothing that cannot be.
fn check(line: &Value) {
    let text = |key: &str| line[key].as_str().unwrap_or_else(|| panic!("{key}: {line}"));
    let number = |key: &str| line[key].as_f64().unwrap_or_else(|| panic!("{key}: {line}"));
    let status = line["status"].as_u64().unwrap();
    assert!(text("time").parse::<jiff::Timestamp>().is_ok(), "{line}");
    assert!(["127.0.0.1", "127.0.0.7"].contains(&text("client")), "{line}");
    assert!(["HTTP/1.0", "HTTP/1.1", "HTTP/2"].contains(&text("protocol")), "{line}");
    assert!(["none", "own", "/ws", "/users", "/chat", "/analytics", "/dashboard"].contains(&text("route")), "{line}");
    assert!(!text("method").is_empty() && !text("request_id").is_empty(), "{line}");
    assert!(!text("path").contains('?'), "{line}");
    assert_eq!(text("endpoint") != "-", number("tries") > 0.0, "{line}");
    assert!(text("endpoint") == "-" || text("endpoint").parse::<SocketAddr>().is_ok(), "{line}");
    assert!(number("tries") <= 3.0, "{line}");
    assert!(number("bytes_in") <= (2 * BODY_BYTES_MAX) as f64, "{line}");
    // Rounded down, each of them.
    let waited = number("queue_ms") + number("connect_ms");
    let first_byte = line.get("first_byte_ms").map(|first_byte| first_byte.as_f64().unwrap());
    assert!(waited <= first_byte.unwrap_or(f64::MAX) + 0.002, "{line}");
    assert!(first_byte.unwrap_or(waited) <= number("total_ms") + 0.002, "{line}");
    let is_answered_by_a_backend = matches!(text("why"), "done" | "drained" | "replica_broke") && text("endpoint") != "-";
    assert!(!is_answered_by_a_backend || first_byte.is_some(), "{line}");
    match text("why") {
        "done" | "replica_broke" => assert!((200..=504).contains(&status) && status != 499 || status == 101, "{line}"),
        "drained" => assert_eq!(status, 101, "{line}"),
        "client_left" => {}
        "request_timeout" => assert_eq!(status, 408, "{line}"),
        code => assert!(status >= 400 && status != 499, "{code}: {line}"),
    }
}
