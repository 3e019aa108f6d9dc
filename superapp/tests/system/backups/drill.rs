//! The drill: back up under load, lose everything, restore, verify; and what clients see then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Shelf, text, well};
use crate::support::{Role, System, eventually, in_every_shape};

/// What was answered with success, at some moment.
#[derive(Clone, Default)]
struct Answered {
    /// Room and seq, and what was said.
    messages: BTreeMap<(String, u64), String>,
    /// Ids and names.
    users: BTreeMap<String, String>,
    events: u64,
}

/// Clients who write as fast as they are answered, until told to stop.
struct Load {
    answered: Arc<Mutex<Answered>>,
    stop: CancellationToken,
    clients: TaskTracker,
}

impl Load {
    fn start(system: &System) -> Self {
        let load = Self { answered: Arc::default(), stop: CancellationToken::new(), clients: TaskTracker::new() };
        let door = format!("http://{}", system.address(Role::Gateway));
        for client in 0..4 {
            let (door, answered, stop) = (door.clone(), load.answered.clone(), load.stop.clone());
            load.clients.spawn(write(door, client, answered, stop));
        }
        load.clients.close();
        load
    }

    fn answered(&self) -> Answered {
        self.answered.lock().unwrap().clone()
    }

    /// Waits until so many more messages are acked, and something of everything.
    async fn goes_on(&self, more: usize) {
        let before = self.answered();
        let has_moved = async || {
            let now = self.answered();
            now.messages.len() >= before.messages.len() + more && now.users.len() > before.users.len() && now.events > before.events
        };
        eventually("more is answered", has_moved).await;
    }

    async fn end(self) {
        self.stop.cancel();
        self.clients.wait().await;
    }
}

async fn write(door: String, client: usize, answered: Arc<Mutex<Answered>>, stop: CancellationToken) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |path: String, body: Value| post(http.post(format!("{door}{path}")).json(&body));
    for number in 0.. {
        if stop.is_cancelled() {
            return;
        }
        let (room, said) = (format!("room-{}", number % 3), format!("{number} of {client}"));
        let message = json!({ "user": format!("u{client}"), "text": said, "id": said });
        if let Some(ack) = post(format!("/chat/rooms/{room}/messages"), message).await {
            answered.lock().unwrap().messages.insert((room, ack["seq"].as_u64().unwrap()), said.clone());
        }
        if number % 5 == 0
            && let Some(user) = post("/users".to_owned(), json!({ "name": said, "email": format!("u{client}.{number}@example.com") })).await
        {
            answered.lock().unwrap().users.insert(user["id"].as_str().unwrap().to_owned(), said);
        }
        if number % 7 == 0
            && let Some(outcome) = post("/analytics/events".to_owned(), json!({ "name": "load", "id": format!("{client}-{number}") })).await
        {
            answered.lock().unwrap().events += outcome["accepted"].as_u64().unwrap();
        }
    }
}

/// What was answered, if it was a success.
async fn post(request: reqwest::RequestBuilder) -> Option<Value> {
    let reply = request.send().await.ok()?;
    if reply.status().is_success() { reply.json().await.ok() } else { None }
}

/// The whole log of a room: seq, and what was said.
async fn log(system: &System, room: &str) -> Vec<(u64, String)> {
    let mut log: Vec<(u64, String)> = Vec::new();
    loop {
        let after = log.last().map_or(0, |(seq, _)| *seq);
        let page = system.get(&format!("/chat/rooms/{room}/messages?after={after}&limit=200")).await.json();
        let page = page.as_array().unwrap().clone();
        if page.is_empty() {
            return log;
        }
        log.extend(page.iter().map(|message| (message["seq"].as_u64().unwrap(), message["text"].as_str().unwrap().to_owned())));
    }
}

in_every_shape!(what_was_acked_before_a_backup_is_there_when_everything_was_lost, a_client_that_saw_more_than_was_restored_can_tell);

async fn what_was_acked_before_a_backup_is_there_when_everything_was_lost(mut system: System) {
    let (shelf, load) = (Shelf::new(), Load::start(&system));
    let backup = shelf.backup("monday");
    load.goes_on(100).await;
    let before = load.answered();
    let said = well(&system, &["backup", text(&backup)]).await;
    assert_eq!(said.lines().count(), 4, "{said}");
    for (line, backend) in said.lines().zip(["users", "chat", "analytics", "The backup is in"]) {
        assert!(line.starts_with(backend), "{said}");
    }
    // Nobody was held up, and what comes now is not in it.
    load.goes_on(20).await;
    load.end().await;
    assert!(well(&system, &["verify"]).await.ends_with("The databases are whole.\n"));

    system.stop_all().await;
    system.wipe();
    well(&system, &["restore", text(&backup)]).await;
    assert!(well(&system, &["verify"]).await.ends_with("The databases are whole.\n"));
    assert!(well(&system, &["verify", text(&backup)]).await.contains("The backup is whole."));
    system.start_all().await;

    let mut logs = BTreeMap::new();
    for room in ["room-0", "room-1", "room-2"] {
        let log = log(&system, room).await;
        let seqs: Vec<u64> = log.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(seqs, (1..=log.len() as u64).collect::<Vec<_>>(), "{room}");
        logs.extend(log.into_iter().map(|(seq, said)| ((room.to_owned(), seq), said)));
    }
    for (place, said) in &before.messages {
        assert_eq!(logs.get(place), Some(said), "{place:?}");
    }
    for (id, name) in &before.users {
        assert_eq!(system.get(&format!("/users/{id}")).await.json()["name"], *name);
    }
    let counted = system.get("/analytics").await.json()["totals"]["by_name"]["load"].as_u64().unwrap();
    assert!(counted >= before.events, "{counted} and not {}", before.events);

    // It goes on where the backup ends, and a retry from before still is one.
    let ((room, seq), said) = before.messages.first_key_value().unwrap();
    let user = format!("u{}", said.rsplit(' ').next().unwrap());
    let retry = system.post(&format!("/chat/rooms/{room}/messages"), &json!({ "user": user, "text": said, "id": said })).await.json();
    assert_eq!((&retry["seq"], &retry["duplicate"]), (&json!(seq), &json!(true)), "{retry}");
    let head = logs.keys().filter(|(of, _)| of == room).count() as u64;
    let next = system.post(&format!("/chat/rooms/{room}/messages"), &json!({ "user": "eve", "text": "after" })).await.json();
    assert_eq!(next["seq"], head + 1);
}

async fn a_client_that_saw_more_than_was_restored_can_tell(mut system: System) {
    let shelf = Shelf::new();
    let backup = shelf.backup("monday");
    let say = async |system: &System, said: &str| {
        system.post("/chat/rooms/lobby/messages", &json!({ "user": "ada", "text": said })).await.json()["seq"].as_u64().unwrap()
    };
    for said in ["one", "two"] {
        say(&system, said).await;
    }
    well(&system, &["backup", text(&backup)]).await;
    for said in ["lost", "lost", "lost"] {
        say(&system, said).await;
    }
    system.stop_all().await;
    well(&system, &["restore", "--force", text(&backup)]).await;
    system.start_all().await;

    // The head it is told is before what it has seen: it goes back there, and gets all that is said from then on.
    let mut bob = system.socket_at(system.address(Role::Gateway), "user=bob&after=5").await;
    assert_eq!(bob.next_of("joined").await["head"], 2);
    assert_eq!(say(&system, "new").await, 3);
    let message = bob.next_of("message").await;
    assert_eq!((&message["seq"], &message["text"]), (&json!(3), &json!("new")));
}

/// Where pg_restore's own transaction ends well and a later one does not.
#[tokio::test]
async fn a_restore_that_fails_half_way_leaves_everything_as_it_was() {
    let mut system = System::production().await;
    let shelf = Shelf::new();
    let backup = shelf.backup("monday");
    system.sign_up("ada").await;
    well(&system, &["backup", text(&backup)]).await;
    system.sign_up("bob").await;
    system.stop_all().await;
    // A file that cannot be restored to its end, though it is the one of the manifest: its data, beyond the list, is cut off.
    let path = backup.join("chat.dump");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 20);
    std::fs::write(&path, &bytes).unwrap();
    let sha256: String = <sha2::Sha256 as sha2::Digest>::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    super::rewrite(&backup, |manifest| {
        manifest["databases"][1]["bytes"] = json!(bytes.len());
        manifest["databases"][1]["sha256"] = json!(sha256);
    });

    let exit = system.run(&["restore", "--force", text(&backup)]).await;
    super::says(&exit, 1, &["nothing was restored", "chat"]);
    let schemas = "select nspname from pg_namespace where nspname ~ 'users|chat|analytics' order by 1";
    assert_eq!(system.sql(schemas), [["analytics"], ["chat"], ["users"]]);
    well(&system, &["verify"]).await;
    system.start_all().await;
    assert_eq!(system.get("/users").await.json().as_array().unwrap().len(), 2);
}
