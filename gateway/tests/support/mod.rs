//! A door on free ports, replicas that are a few lines of socket code, and a client that sends bytes and reads an answer.
//!
//! `wire` and `backend`, beside it, are for tests about the bytes themselves: they read to the letter, and a test writes what it likes.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod backend;
pub mod counters;
pub mod dice;
pub mod lines;
pub mod wire;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::{AccessLog, ClusterConfig, Clusters, Config, Gateway, Parts};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};

/// How long anything may take before a test gives up.
pub const LIMIT: Duration = Duration::from_secs(10);
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Waits until `condition` holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl FnMut() -> F) {
    assert!(happens_within(LIMIT, condition).await, "never happened: {what}");
}

/// Whether `condition` holds before `limit` is over.
pub async fn happens_within<F: Future<Output = bool>>(limit: Duration, mut condition: impl FnMut() -> F) -> bool {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(limit, wait).await.is_ok()
}

/// A door that serves.
pub struct Door {
    pub gateway: Gateway,
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Result<(), gateway::Error>>,
}

pub fn config(users: &[SocketAddr], chat: &[SocketAddr], analytics: &[SocketAddr]) -> Config {
    let cluster = |addresses: &[SocketAddr]| ClusterConfig {
        endpoints: addresses.iter().map(ToString::to_string).collect(),
        balance: "least_latency".to_owned(),
    };
    Config {
        workers: 2,
        header_timeout_s: 5,
        header_bytes_max: 32 * 1024,
        body_bytes_max: BODY_BYTES_MAX,
        analytics_body_bytes_max: 2 * BODY_BYTES_MAX,
        body_bytes_per_second_min: 256,
        write_timeout_s: 5,
        keepalive_s: 75,
        websocket_idle_s: 30,
        connections_max: 10_000,
        connections_per_address_max: 10_000,
        connect_timeout_ms: 500,
        try_timeout_s: 1,
        request_timeout_s: 1,
        tries_max: 3,
        retry_budget_percent: 20,
        cluster_in_flight_max: 1024,
        cluster_waiting_max: 1024,
        cluster_uploads_max: 2048,
        queue_timeout_ms: 100,
        endpoint_in_flight_max: 1024,
        ejection_errors: 5,
        ejection_s: 5,
        health_interval_ms: 100,
        health_timeout_ms: 400,
        health_path: "/readyz".to_owned(),
        health_status: 200,
        health_pass_after: 1,
        health_fail_after: 1,
        // Replicas of most tests have none, and count who asks them.
        document_refresh_s: 0,
        allowed_origins: Vec::new(),
        drain_wait_ms: 0,
        drain_s: 30,
        clusters: Clusters { users: cluster(users), chat: cluster(chat), analytics: cluster(analytics) },
    }
}

impl Door {
    pub async fn open(config: Config) -> Door {
        Door::open_gateway(Gateway::new(config, "0.1.0").unwrap()).await
    }

    pub async fn open_with_log(config: Config, access_log: Option<AccessLog>) -> Door {
        Door::open_with(config, Parts { access_log, ..Parts::default() }).await
    }

    pub async fn open_with(config: Config, parts: Parts) -> Door {
        Door::open_gateway(Gateway::with(config, "0.1.0", parts).unwrap()).await
    }

    pub async fn open_gateway(gateway: Gateway) -> Door {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        gateway.first_health_round().await;
        let shutdown = async move { drop(stopped.await) };
        let serving = tokio::spawn(gateway::serve(gateway.clone(), vec![listener], shutdown));
        Door { gateway, address, stop: Some(stop), serving }
    }

    /// Begins to stop; the result arrives once nothing is in flight.
    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub fn is_serving(&self) -> bool {
        !self.serving.is_finished()
    }

    pub async fn closed(self) {
        tokio::time::timeout(LIMIT, self.serving).await.unwrap().unwrap().unwrap();
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: door\r\nconnection: close\r\n\r\n")).await
    }

    pub async fn post(&self, path: &str, body: &str) -> Reply {
        let length = body.len();
        self.send(&format!("POST {path} HTTP/1.1\r\nhost: door\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")).await
    }

    pub async fn send(&self, request: &str) -> Reply {
        let mut connection = Connection::open(self.address).await;
        connection.write(request.as_bytes()).await;
        connection.reply().await
    }
}

/// A client's connection.
pub struct Connection {
    pub stream: BufReader<TcpStream>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        let first = found.next();
        assert!(found.next().is_none(), "{name} more than once: {self:?}");
        first
    }

    pub fn json(&self) -> serde_json::Value {
        assert!(self.body.ends_with('\n'), "no newline: {self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Connection {
        Connection { stream: BufReader::new(TcpStream::connect(address).await.unwrap()) }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub async fn reply(&mut self) -> Reply {
        self.read_reply(true).await
    }

    /// An answer to HEAD, or a 101: there is no body to wait for.
    pub async fn reply_head(&mut self) -> Reply {
        self.read_reply(false).await
    }

    async fn read_reply(&mut self, has_body: bool) -> Reply {
        let read = async {
            let (line, headers) = read_head(&mut self.stream).await.expect("an answer");
            let status = line.split(' ').nth(1).unwrap().parse().unwrap();
            let body = if has_body { read_body(&mut self.stream, &headers).await } else { Vec::new() };
            Reply { status, headers, body: String::from_utf8(body).unwrap() }
        };
        tokio::time::timeout(LIMIT, read).await.expect("an answer in time")
    }

    /// Opens a WebSocket through the door; everything after it is echoed.
    pub async fn open_socket(address: SocketAddr) -> (Connection, Reply) {
        let mut connection = Connection::open(address).await;
        connection
            .write(
                b"GET /ws?user=ada HTTP/1.1\r\nhost: door\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                  sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            )
            .await;
        let reply = connection.reply_head().await;
        (connection, reply)
    }

    pub async fn echo(&mut self, text: &str) {
        self.write(text.as_bytes()).await;
        let mut back = vec![0; text.len()];
        tokio::time::timeout(LIMIT, self.stream.read_exact(&mut back)).await.expect("an echo").unwrap();
        assert_eq!(back, text.as_bytes());
    }

    /// The other side has ended the connection, and said nothing more before.
    pub async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = self.stream.read_to_end(&mut rest);
        let has_ended = tokio::time::timeout(LIMIT, read).await.is_ok();
        assert!(rest.is_empty(), "said more: {}", rest.escape_ascii());
        has_ended
    }
}

type Headers = Vec<(String, String)>;

async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<(String, Headers)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let mut lines = lines.into_iter();
    let first = lines.next()?;
    let headers = lines.filter_map(|line| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())));
    Some((first, headers.collect()))
}

async fn read_body(stream: &mut BufReader<TcpStream>, headers: &Headers) -> Vec<u8> {
    let headers: HashMap<_, _> = headers.iter().cloned().collect();
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return body;
            }
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            if stream.read_exact(&mut chunk).await.is_err() || size == 0 {
                return body;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    body.resize(length, 0);
    match stream.read_exact(&mut body).await {
        Ok(_) => body,
        Err(_) => Vec::new(),
    }
}

/// A backend that answers with what it was asked.
pub struct Replica {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

pub struct Shared {
    name: &'static str,
    /// The body of `/readyz`.
    pub readyz: Mutex<String>,
    /// Requests other than probes.
    pub requests: AtomicUsize,
    /// Lets go what waits at `…/gate`.
    pub gate: Notify,
    die: Notify,
}

impl Replica {
    pub async fn start(name: &'static str) -> Replica {
        let shared = Arc::new(Shared {
            name,
            readyz: Mutex::new(r#"{"status":"pass","checks":{"database":{"status":"pass"}}}"#.to_owned()),
            requests: AtomicUsize::new(0),
            gate: Notify::new(),
            die: Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = Some(tokio::spawn(accept(listener, shared.clone())));
        Replica { address, shared, accepting }
    }

    /// Gone with all its connections, as after a crash. Returns once they are closed.
    pub async fn kill(&mut self) {
        self.shared.die.notify_one();
        self.accepting.take().unwrap().await.unwrap();
    }

    pub async fn revive(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.accepting = Some(tokio::spawn(accept(listener, self.shared.clone())));
    }

    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted.unwrap(),
            () = shared.die.notified() => break,
        };
        connections.spawn(converse(BufReader::new(stream), shared.clone()));
    }
    drop(listener);
    connections.shutdown().await;
}

async fn converse(mut stream: BufReader<TcpStream>, shared: Arc<Shared>) {
    let mut asked_before = 0;
    while let Some((line, headers)) = read_head(&mut stream).await {
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        if path == "/readyz" {
            let readyz = shared.readyz.lock().unwrap().clone();
            write(&mut stream, shared.name, "200 OK", &readyz).await;
            continue;
        }
        shared.requests.fetch_add(1, Ordering::SeqCst);
        if path != "/ws?refuse" && headers.iter().any(|(name, _)| name == "upgrade") {
            let accept = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-replica: {}\r\n\r\n",
                shared.name
            );
            stream.write_all(accept.as_bytes()).await.unwrap();
            let mut buffer = [0; 1024];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                stream.write_all(&buffer[..read]).await.unwrap();
            }
            return;
        }
        let body = read_body(&mut stream, &headers).await;
        let close_now = match path.as_str() {
            "/users/slow" => std::future::pending().await,
            "/users/gate" => {
                shared.gate.notified().await;
                false
            }
            "/users/broken" => true,
            "/users/once-per-connection" => asked_before > 0,
            _ => false,
        };
        if close_now {
            return;
        }
        asked_before += 1;
        let status = if matches!(path.as_str(), "/users/busy" | "/ws?refuse") { "503 Service Unavailable" } else { "200 OK" };
        let heads: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let echo = format!("{line}\n{heads}\n{} bytes", body.len());
        write(&mut stream, shared.name, status, &echo).await;
    }
}

async fn write(stream: &mut BufReader<TcpStream>, name: &str, status: &str, body: &str) {
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: text/plain\r\nx-replica: {name}\r\ncontent-length: {}\r\n\r\n", body.len());
    // The other side may have gone already.
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}
