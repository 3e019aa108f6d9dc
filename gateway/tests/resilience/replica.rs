//! A replica that can be restarted in the ways replicas are: politely, announced, or with a blow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::support::wire::{Head, Wire};

/// It answers with its address.
pub struct Replica {
    pub address: SocketAddr,
    pub facts: Arc<Facts>,
    stop: watch::Sender<Stop>,
    accepting: Option<JoinHandle<()>>,
}

/// What it is like, and what it was asked.
#[derive(Default)]
pub struct Facts {
    /// Requests other than probes.
    pub requests: AtomicUsize,
    /// `/readyz` says no.
    pub is_unready: AtomicBool,
    /// How long an answer takes.
    pub micros: AtomicUsize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    /// What was begun is finished.
    Politely,
    AtOnce,
}

impl Replica {
    pub async fn start() -> Replica {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let facts = Arc::<Facts>::default();
        let (stop, stopped) = watch::channel(Stop::No);
        let accepting = Some(tokio::spawn(accept(listener, facts.clone(), stopped)));
        Replica { address, facts, stop, accepting }
    }

    pub async fn start_many(count: usize) -> Vec<Replica> {
        let mut replicas = Vec::new();
        for _ in 0..count {
            replicas.push(Replica::start().await);
        }
        replicas
    }

    pub fn requests(&self) -> usize {
        self.facts.requests.load(Ordering::SeqCst)
    }

    pub fn take_so_long(&self, time: Duration) {
        self.facts.micros.store(time.as_micros() as usize, Ordering::SeqCst);
    }

    /// Accepts no more, closes what is idle and finishes what was begun, as a backend does at SIGTERM.
    pub async fn stop(&mut self) {
        self.end(Stop::Politely).await;
    }

    /// Gone with everything that was begun.
    pub async fn kill(&mut self) {
        self.end(Stop::AtOnce).await;
    }

    async fn end(&mut self, how: Stop) {
        self.stop.send_replace(how);
        self.accepting.take().unwrap().await.unwrap();
    }

    /// Starts again at the same address.
    pub async fn revive(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.facts.is_unready.store(false, Ordering::SeqCst);
        self.stop.send_replace(Stop::No);
        self.accepting = Some(tokio::spawn(accept(socket.listen(1024).unwrap(), self.facts.clone(), self.stop.subscribe())));
    }
}

async fn accept(listener: TcpListener, facts: Arc<Facts>, stop: watch::Receiver<Stop>) {
    let mut stopped = stop.clone();
    let mut connections = JoinSet::new();
    let how = loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                connections.spawn(converse(Wire::new(stream), facts.clone(), stop.clone()));
            }
            how = stopped.wait_for(|stop| *stop != Stop::No) => break how.map_or(Stop::AtOnce, |how| *how),
        }
    };
    drop(listener);
    match how {
        Stop::AtOnce => connections.shutdown().await,
        Stop::No | Stop::Politely => while connections.join_next().await.is_some() {},
    }
}

async fn converse(mut wire: Wire, facts: Arc<Facts>, mut stop: watch::Receiver<Stop>) {
    loop {
        let head = tokio::select! {
            head = wire.head() => head,
            _ = stop.wait_for(|stop| *stop != Stop::No) => return,
        };
        let Ok(Some(head)) = head else { return };
        let framing = head.request_framing().unwrap();
        wire.body(framing).await;
        let (status, text) = if head.target() == "/readyz" { readyz(&facts) } else { answer(&head, &facts).await };
        let is_last = *stop.borrow() != Stop::No;
        let connection = if is_last { "close" } else { "keep-alive" };
        let local = wire.stream.get_ref().local_addr().unwrap();
        let fields = format!("content-length: {}\r\nconnection: {connection}\r\nx-replica: {local}", text.len());
        if !wire.send(format!("HTTP/1.1 {status}\r\n{fields}\r\n\r\n{text}")).await || is_last {
            return;
        }
    }
}

fn readyz(facts: &Facts) -> (&'static str, String) {
    match facts.is_unready.load(Ordering::SeqCst) {
        false => ("200 OK", r#"{"status":"pass"}"#.to_owned()),
        true => ("503 Service Unavailable", r#"{"status":"fail"}"#.to_owned()),
    }
}

async fn answer(head: &Head, facts: &Facts) -> (&'static str, String) {
    facts.requests.fetch_add(1, Ordering::SeqCst);
    let micros = facts.micros.load(Ordering::SeqCst);
    if micros > 0 {
        // The work.
        tokio::time::sleep(Duration::from_micros(micros as u64)).await;
    }
    ("200 OK", format!("{} {}", head.method(), head.target()))
}
