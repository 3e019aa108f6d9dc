//! What is promised holds when things break: killed at full speed, a full disk, replicas that go and come.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Role, Setup, Socket, System, eventually};

/// How often the process is killed.
const KILLS: usize = 12;
/// Clients that send all the time.
const SENDERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_at_full_speed_many_times_loses_nothing_acked_and_doubles_nothing() {
    let mut system = Setup::all_in_one().set("chat.rate_per_second=100000").set("chat.rate_burst=100000").start().await;
    let mut senders: Vec<Sender> = (0..SENDERS).map(Sender::new).collect();
    let mut events = Events::default();
    for round in 0..KILLS {
        let (address, url) = (system.address(Role::Gateway), format!("http://{}", system.address(Role::Gateway)));
        let mut running = Vec::new();
        for mut sender in senders.drain(..) {
            running.push(tokio::spawn(async move {
                sender.send_until_broken(address).await;
                sender
            }));
        }
        let counting = tokio::spawn(async move {
            events.send_until_broken(&url).await;
            events
        });
        // Let some of it be acked, a little more each time, so that the blow falls in another place.
        let enough = (round + 1) * 100;
        eventually("messages are written", async || {
            system.get("/chat").await.json()["messages"].as_u64().is_some_and(|messages| messages >= enough as u64)
        })
        .await;
        system.kill(Role::Gateway).await;
        for sender in running {
            senders.push(sender.await.unwrap());
        }
        events = counting.await.unwrap();
        system.start(Role::Gateway).await;
        eventually("everything is well again", async || system.get("/").await.json()["status"] == "pass").await;
    }
    // What was never acked is sent once more, as a client would: some of it was written, some was not.
    for sender in &mut senders {
        sender.settle(system.address(Role::Gateway)).await;
    }
    events.settle(&system).await;

    let log = whole_log(&system).await;
    let acked: usize = senders.iter().map(|sender| sender.acked.len()).sum();
    assert_eq!(log.len(), acked, "each message is in the log once");
    for sender in &senders {
        assert!(sender.acked.len() > KILLS, "there was something to lose");
        for (id, seq) in &sender.acked {
            assert_eq!(log[seq], (sender.user.clone(), id.clone()), "what was acked is where it was acked");
        }
    }
    assert_eq!(system.get("/analytics").await.json()["totals"]["by_name"]["tap"], events.sent, "each event is counted once");
}

/// The log of the lobby: who said what at which seq. It has no hole.
async fn whole_log(system: &System) -> BTreeMap<u64, (String, String)> {
    let mut log = BTreeMap::new();
    loop {
        let after = log.len();
        let page = system.get(&format!("/chat/rooms/lobby/messages?limit=200&after={after}")).await.json();
        for message in page.as_array().unwrap() {
            assert_eq!(message["seq"], log.len() + 1, "the log has no hole");
            let text = |key: &str| message[key].as_str().unwrap().to_owned();
            log.insert(message["seq"].as_u64().unwrap(), (text("user"), text("text")));
        }
        if log.len() == after {
            return log;
        }
    }
}

/// Someone who keeps sending, and remembers what was acked. The text of a message is its id.
struct Sender {
    user: String,
    next: usize,
    unacked: Vec<String>,
    acked: HashMap<String, u64>,
}

impl Sender {
    fn new(number: usize) -> Self {
        Self { user: format!("sender-{number}"), next: 0, unacked: Vec::new(), acked: HashMap::new() }
    }

    async fn open(&self, address: std::net::SocketAddr) -> Option<Socket> {
        Socket::try_open(address, &format!("user={}", self.user)).await.ok()
    }

    /// Sends what was not acked before, and then more, with a few on the way at a time, until the connection breaks.
    async fn send_until_broken(&mut self, address: std::net::SocketAddr) {
        let Some(mut socket) = self.open(address).await else { return };
        for id in &self.unacked {
            if socket.try_send(frame(id)).await.is_err() {
                return;
            }
        }
        loop {
            while self.unacked.len() < 8 {
                let id = format!("{}-{}", self.user, self.next);
                self.next += 1;
                self.unacked.push(id.clone());
                if socket.try_send(frame(&id)).await.is_err() {
                    return;
                }
            }
            if !self.take(&mut socket).await {
                return;
            }
        }
    }

    /// Sends what was not acked until it is.
    async fn settle(&mut self, address: std::net::SocketAddr) {
        let mut socket = self.open(address).await.expect("a socket");
        for id in &self.unacked {
            socket.try_send(frame(id)).await.unwrap();
        }
        while !self.unacked.is_empty() {
            assert!(self.take(&mut socket).await, "the connection broke");
        }
    }

    /// Takes a frame; `false` when the connection has broken.
    async fn take(&mut self, socket: &mut Socket) -> bool {
        let Some(Message::Text(text)) = socket.next_message().await else { return false };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame["type"] == "ack" {
            let (id, seq) = (frame["id"].as_str().unwrap().to_owned(), frame["seq"].as_u64().unwrap());
            self.unacked.retain(|unacked| *unacked != id);
            let before = self.acked.insert(id, seq);
            assert!(before.is_none_or(|before| before == seq), "a message has one place");
        }
        true
    }
}

fn frame(id: &str) -> Message {
    Message::text(json!({ "type": "send", "text": id, "id": id }).to_string())
}

/// Events that are sent, each batch again until it is accepted.
#[derive(Default)]
struct Events {
    sent: u64,
    unanswered: Option<Value>,
}

impl Events {
    async fn send_until_broken(&mut self, url: &str) {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        loop {
            let batch = self.unanswered.take().unwrap_or_else(|| self.next());
            let answer = client.post(format!("{url}/analytics/events")).json(&batch).send().await;
            match answer {
                Ok(answer) if answer.status() == 202 => {}
                // The gateway may say 502 or 503 while it falls; whether the batch was stored is not known then.
                _ => {
                    self.unanswered = Some(batch);
                    return;
                }
            }
        }
    }

    async fn settle(&mut self, system: &System) {
        let Some(batch) = self.unanswered.take() else { return };
        assert_eq!(system.post("/analytics/events", &batch).await.status, 202);
    }

    fn next(&mut self) -> Value {
        let batch: Vec<_> = (0..10).map(|number| json!({ "id": format!("e-{}", self.sent + number), "name": "tap" })).collect();
        self.sent += 10;
        json!(batch)
    }
}

#[tokio::test]
async fn a_full_disk_is_told_loses_nothing_and_passes() {
    let system = System::all_in_one().await;
    let ada = system.sign_up("ada").await;
    let mut socket = system.socket("ada").await;
    socket.next_of("joined").await;
    socket.say("before").await;
    socket.next_of("ack").await;

    system.limit_file_size(Some(1));
    let reply = system.post("/users", &json!({ "name": "Bob", "email": "bob@example.com" })).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{reply:?}");
    assert!(reply.header("retry-after").is_some());
    socket.send(json!({ "type": "send", "text": "during", "id": "d" })).await;
    let error = socket.next_of("error").await;
    assert_eq!((&error["code"], &error["id"]), (&json!("unavailable"), &json!("d")));
    assert!(error["retry_after_ms"].is_u64(), "{error}");
    let reply = system.post("/analytics/events", &json!({ "id": "e", "name": "tap" })).await;
    assert_eq!((reply.status, reply.header("retry-after").is_some()), (503, true));
    eventually("the trouble shows", async || system.get("/").await.json()["status"] == "warn").await;
    assert_eq!(system.get(&format!("/users/{}", ada["id"].as_str().unwrap())).await.status, 200, "reading goes on");

    system.limit_file_size(None);
    eventually("it is well again by itself", async || system.get("/").await.json()["status"] == "pass").await;
    assert_eq!(system.post("/users", &json!({ "name": "Bob", "email": "bob@example.com" })).await.status, 201);
    socket.send(json!({ "type": "send", "text": "during", "id": "d" })).await;
    let ack = socket.next_of("ack").await;
    assert_eq!((&ack["seq"], &ack["duplicate"]), (&json!(2), &json!(false)), "what was refused had taken no place");
    assert_eq!(system.post("/analytics/events", &json!({ "id": "e", "name": "tap" })).await.json()["accepted"], 1);
}

#[tokio::test]
async fn a_chat_process_that_dies_is_routed_around_and_its_clients_miss_nothing() {
    let mut system = System::roles().await;
    let mut alice = system.socket("alice").await;
    alice.next_of("joined").await;
    alice.say("one").await;
    let seen = alice.next_of("ack").await["seq"].as_u64().unwrap();
    system.kill(Role::Chat).await;
    while alice.next_message().await.is_some() {}
    eventually("the death shows", async || system.get("/").await.json()["services"]["chat"]["status"] == "fail").await;
    let reply = system.get("/chat").await;
    assert_eq!((reply.status, reply.header("retry-after").is_some()), (503, true));
    assert!(Socket::try_open(system.address(Role::Gateway), "user=alice").await.is_err(), "no replica, no socket");
    system.start(Role::Chat).await;
    eventually("the return shows", async || system.get("/").await.json()["status"] == "pass").await;
    let reply = system.post("/chat/rooms/lobby/messages", &json!({ "user": "bob", "text": "two" })).await;
    assert_eq!(reply.status, 201);
    let mut alice = system.socket_at(system.address(Role::Gateway), &format!("user=alice&after={seen}")).await;
    assert_eq!(alice.next_of("message").await["text"], "two");
}
