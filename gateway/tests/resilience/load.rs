//! Clients on kept connections, each asking one request after the other, and what they got.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::support::wire::Wire;

/// What clients got.
#[derive(Debug, Default)]
pub struct Tally {
    pub statuses: BTreeMap<u16, usize>,
    /// Connections that ended in place of a whole answer, with the reason.
    pub cut: Vec<String>,
}

impl Tally {
    pub fn of(&self, status: u16) -> usize {
        self.statuses.get(&status).copied().unwrap_or_default()
    }

    pub fn asked(&self) -> usize {
        self.statuses.values().sum::<usize>() + self.cut.len()
    }

    pub fn all_are(&self, status: u16) -> bool {
        self.of(status) == self.asked()
    }

    fn add(&mut self, other: Tally) {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.cut.extend(other.cut);
    }
}

pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: door\r\n\r\n")
}

pub fn post(target: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nhost: door\r\ncontent-length: 5\r\n\r\nhello")
}

/// Clients that ask until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    clients: JoinSet<Tally>,
}

impl Load {
    /// Each client asks once in `pace`, or as soon as it has its answer.
    pub fn start(door: SocketAddr, clients: usize, pace: Duration, request: &str) -> Load {
        let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let one = || {
            let (stop, asked, request) = (stop.clone(), asked.clone(), request.to_owned());
            async move {
                let mut pace = tokio::time::interval(pace);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let mut client = Client::new(door);
                while !stop.load(Ordering::SeqCst) {
                    pace.tick().await;
                    asked.fetch_add(1, Ordering::SeqCst);
                    client.ask(&request).await;
                }
                client.tally
            }
        };
        let clients = (0..clients).map(|_| one()).collect();
        Load { stop, asked, clients }
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub async fn end(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        sum(self.clients).await
    }
}

/// Asks so many times, from so many clients at once.
pub async fn ask(door: SocketAddr, clients: usize, times: usize, request: &str) -> Tally {
    let asked = Arc::<AtomicUsize>::default();
    let one = || {
        let (asked, request) = (asked.clone(), request.to_owned());
        async move {
            let mut client = Client::new(door);
            while asked.fetch_add(1, Ordering::SeqCst) < times {
                client.ask(&request).await;
            }
            client.tally
        }
    };
    sum((0..clients).map(|_| one()).collect()).await
}

async fn sum(mut clients: JoinSet<Tally>) -> Tally {
    let mut sum = Tally::default();
    while let Some(tally) = clients.join_next().await {
        sum.add(tally.unwrap());
    }
    sum
}

/// A client that keeps its connection as long as the door does.
pub struct Client {
    door: SocketAddr,
    wire: Option<Wire>,
    pub tally: Tally,
}

impl Client {
    pub fn new(door: SocketAddr) -> Client {
        Client { door, wire: None, tally: Tally::default() }
    }

    pub async fn ask(&mut self, request: &str) {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::connect(self.door).await,
        };
        wire.send(request).await;
        match wire.answer(request.split(' ').next().unwrap_or_default()).await {
            Ok(Some(answer)) if answer.is_whole() => {
                *self.tally.statuses.entry(answer.status).or_default() += 1;
                self.wire = (answer.header("connection") != Some("close")).then_some(wire);
            }
            other => self.tally.cut.push(format!("{other:?}")),
        }
    }
}
