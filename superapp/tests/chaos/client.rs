//! Who talks: connects somewhere, says things, tries again elsewhere, and remembers all it was told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::random::Random;
use crate::support::Socket;

/// Messages a client has on the way at most.
const WAITING_MAX: usize = 16;
/// After so long without an ack a client goes elsewhere.
const PATIENCE: Duration = Duration::from_secs(4);

/// What clients are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Sending,
    /// Nothing new; what has no answer is sent again until it has.
    Settling,
    Done,
}

/// How far a client is, as others see it.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) room: &'static str,
    waiting: AtomicUsize,
    cursor: AtomicU64,
}

impl Progress {
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor.load(Ordering::SeqCst)
    }
}

/// What a client has seen and done. The text of a message is its id.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) user: String,
    pub(super) room: &'static str,
    pub(super) sent: BTreeSet<String>,
    pub(super) acked: HashMap<String, u64>,
    /// By seq, who said what.
    pub(super) seen: BTreeMap<u64, (String, String)>,
    pub(super) gaps: usize,
    pub(super) connections: usize,
    pub(super) violations: Vec<String>,
}

pub(super) struct Client {
    targets: Vec<SocketAddr>,
    random: Random,
    progress: Arc<Progress>,
    /// The last seq seen, or known to be in a gap.
    cursor: u64,
    /// Sent, and to be sent again until it is acked.
    waiting: BTreeMap<String, Instant>,
    report: Report,
}

impl Client {
    pub(super) fn new(number: usize, room: &'static str, targets: Vec<SocketAddr>, random: Random) -> Self {
        let report = Report {
            user: format!("user-{number}"),
            room,
            sent: BTreeSet::new(),
            acked: HashMap::new(),
            seen: BTreeMap::new(),
            gaps: 0,
            connections: 0,
            violations: Vec::new(),
        };
        let progress = Arc::new(Progress { room, waiting: AtomicUsize::new(0), cursor: AtomicU64::new(0) });
        Self { targets, random, progress, cursor: 0, waiting: BTreeMap::new(), report }
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Talks until told to be done; what it has seen.
    pub(super) async fn run(mut self, mut phase: watch::Receiver<Phase>) -> Report {
        while *phase.borrow() != Phase::Done {
            let target = self.targets[self.random.below(self.targets.len())];
            let query = format!("user={}&room={}&after={}", self.report.user, self.report.room, self.cursor);
            match timeout(PATIENCE, Socket::try_open(target, &query)).await {
                Ok(Ok(socket)) => {
                    self.report.connections += 1;
                    self.talk(socket, &mut phase).await;
                }
                _ => sleep(self.random.millis(50, 300)).await,
            }
        }
        self.report
    }

    /// Talks on one connection until it breaks, or is not worth keeping.
    async fn talk(&mut self, mut socket: Socket, phase: &mut watch::Receiver<Phase>) {
        let again: Vec<String> = self.waiting.keys().cloned().collect();
        for id in again {
            if !self.send(&mut socket, id).await {
                return;
            }
        }
        let mut say_at = Instant::now();
        loop {
            let now = *phase.borrow_and_update();
            if now == Phase::Done {
                return;
            }
            tokio::select! {
                message = socket.next_message() => match message {
                    Some(Message::Text(text)) => self.hear(&serde_json::from_str(&text).unwrap()),
                    _ => return,
                },
                () = sleep_until(say_at.into()) => {
                    say_at = Instant::now() + self.random.millis(5, 60);
                    let is_stuck = self.waiting.values().any(|since| since.elapsed() > PATIENCE);
                    // Now and then without a reason: clients come and go.
                    if is_stuck || self.random.one_in(400) || !self.say(&mut socket, now).await {
                        return;
                    }
                },
                _ = phase.changed() => {}
            }
        }
    }

    /// Says something new, or something again.
    async fn say(&mut self, socket: &mut Socket, phase: Phase) -> bool {
        let is_new = phase == Phase::Sending && self.waiting.len() < WAITING_MAX;
        if is_new {
            let id = format!("{}-{}", self.report.user, self.report.sent.len());
            self.report.sent.insert(id.clone());
            // Some are never heard of again: they may be in the log, but only once.
            if !self.random.one_in(50) {
                return self.send(socket, id).await;
            }
            return socket.try_send(frame(&id)).await.is_ok();
        }
        let acked = self.report.acked.len();
        if acked > 0 && self.random.one_in(20) {
            // What was acked is said again, perhaps days later on another replica.
            let index = self.random.below(acked);
            let Some(id) = self.report.acked.keys().nth(index) else { return true };
            return socket.try_send(frame(id)).await.is_ok();
        }
        true
    }

    async fn send(&mut self, socket: &mut Socket, id: String) -> bool {
        let is_sent = socket.try_send(frame(&id)).await.is_ok();
        self.waiting.insert(id, Instant::now());
        self.tell();
        is_sent
    }

    fn hear(&mut self, frame: &Value) {
        let text = |key: &str| frame[key].as_str().unwrap_or_default().to_owned();
        let seq = |key: &str| frame[key].as_u64().unwrap_or_default();
        match frame["type"].as_str() {
            Some("ack") => {
                let (id, place) = (text("id"), seq("seq"));
                self.waiting.remove(&id);
                let before = self.report.acked.insert(id.clone(), place);
                if before.is_some_and(|before| before != place) {
                    self.violate(format!("{id} was acked at {before:?} and at {place}"));
                }
            }
            Some("message") => {
                if seq("seq") != self.cursor + 1 {
                    self.violate(format!("{} came after {}", seq("seq"), self.cursor));
                }
                self.cursor = seq("seq");
                self.report.seen.insert(self.cursor, (text("user"), text("text")));
            }
            Some("gap") => {
                if seq("from") != self.cursor + 1 || seq("to") < seq("from") {
                    self.violate(format!("a gap from {} to {} came after {}", seq("from"), seq("to"), self.cursor));
                }
                self.cursor = seq("to");
                self.report.gaps += 1;
            }
            Some("joined") if seq("head") < self.cursor => {
                self.violate(format!("the head was {} when {} had been seen", seq("head"), self.cursor));
            }
            Some("error") if !["unavailable", "overloaded"].contains(&text("code").as_str()) => {
                self.violate(format!("an error that cannot be: {frame}"));
            }
            _ => {}
        }
        self.tell();
    }

    fn violate(&mut self, what: String) {
        self.report.violations.push(format!("{} in {}: {what}", self.report.user, self.report.room));
    }

    fn tell(&self) {
        self.progress.waiting.store(self.waiting.len(), Ordering::SeqCst);
        self.progress.cursor.store(self.cursor, Ordering::SeqCst);
    }
}

fn frame(id: &str) -> Message {
    Message::text(json!({ "type": "send", "text": id, "id": id }).to_string())
}
