//! The checker: chat clients over all gateways and replicas, while replicas, Redis and PostgreSQL are killed, paused and started
//! again at random; afterwards what was promised is held against what everyone saw.
//!
//! `CHAOS_SECONDS` says how long (`make chaos` takes ten minutes), `CHAOS_SEED` repeats the random choices of a run; the seed is
//! printed. `client` is who talks, `faults` what breaks, `verdict` what must hold.

// A client fails where something is not as it expects.
#![allow(clippy::unwrap_used)]

mod client;
mod faults;
mod random;
// The stories of the system use the rest of it.
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../support/mod.rs"]
mod support;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::{LIMIT, Role, Setup, eventually};

use client::{Client, Phase, Progress};
use faults::Faults;
use random::Random;

/// How long things break when nobody says otherwise.
const SECONDS: u64 = 35;
const ROOMS: [&str; 3] = ["lobby", "ops", "team-1"];
const CLIENTS_PER_ROOM: usize = 5;
/// How long everything may take to settle once nothing breaks any more.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chat_keeps_its_promises_while_everything_around_it_breaks() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number")));
    let seed = number("CHAOS_SEED").unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into());
    let length = Duration::from_secs(number("CHAOS_SECONDS").unwrap_or(SECONDS));
    println!("chaos: {} s with CHAOS_SEED={seed}", length.as_secs());
    let mut random = Random::new(seed);
    let setup = Setup::production().with_own_postgres().set("chat.rate_per_second=100000").set("chat.rate_burst=100000");
    let mut system = setup.start().await;

    let targets = [system.replicas(Role::Gateway), system.replicas(Role::Chat)].concat();
    let phase = Arc::new(tokio::sync::watch::Sender::new(Phase::Sending));
    let mut clients = Vec::new();
    for number in 0..ROOMS.len() * CLIENTS_PER_ROOM {
        let client = Client::new(number, ROOMS[number % ROOMS.len()], targets.clone(), random.split());
        clients.push((client.progress(), tokio::spawn(client.run(phase.subscribe()))));
    }

    let mut faults = Faults::new(random);
    let until = Instant::now() + length;
    while Instant::now() < until {
        faults.strike(&mut system).await;
    }
    println!("chaos: {}", faults.summary());

    eventually("it is well when nothing breaks any more", async || system.get("/").await.json()["status"] == "pass").await;
    phase.send_replace(Phase::Settling);
    everyone(&clients, "has an answer to all he sent", |progress| progress.waiting() == 0).await;
    let mut logs = verdict::Logs::new();
    for room in ROOMS {
        logs.insert(room, verdict::whole_log(async |path| system.get(&path).await.json(), room).await);
    }
    everyone(&clients, "has seen the whole log", |progress| progress.cursor() >= logs[progress.room].len() as u64).await;
    phase.send_replace(Phase::Done);

    let mut reports = Vec::new();
    for (_, client) in clients {
        reports.push(tokio::time::timeout(LIMIT, client).await.expect("a client ends").unwrap());
    }
    let violations = verdict::violations(&logs, &reports);
    println!("chaos: {}", verdict::summary(&logs, &reports));
    assert!(violations.is_empty(), "CHAOS_SEED={seed}: {} violations:\n{}", violations.len(), violations.join("\n"));
}

/// Waits until something holds for every client.
async fn everyone<T>(clients: &[(Arc<Progress>, T)], what: &str, holds: impl Fn(&Progress) -> bool) {
    let started = Instant::now();
    while let Some((progress, _)) = clients.iter().find(|(progress, _)| !holds(progress)) {
        assert!(started.elapsed() < SETTLE_LIMIT, "not everyone {what}: {progress:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
