//! The production shape by compose, from outside: brought up as a project of its own on free ports, used, scaled, broken, updated,
//! stopped, and taken down again. `make test-compose` runs it; it needs a container engine, so `make test` does not.
//!
//! `project` is the running project, `load` are requests that may not fail, `crowd` are sockets, and the clients and the verdict are
//! those of the checker (`tests/chaos`).

// A story fails where something is not as it expects.
#![allow(clippy::unwrap_used)]

#[path = "../chaos/client.rs"]
mod client;
mod crowd;
mod load;
mod project;
#[path = "../chaos/random.rs"]
mod random;
// The stories of the system use the rest of it.
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../support/mod.rs"]
mod support;
#[path = "../chaos/verdict.rs"]
mod verdict;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;

use client::{Client, Phase};
use crowd::{Crowd, Ended};
use load::Load;
use project::Project;
use random::Random;

const SOCKETS: usize = 500;
/// `stop_grace_period` of our services.
const GRACE: Duration = Duration::from_secs(40);
const ROOMS: [&str; 2] = ["lobby", "ops"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a container engine: make test-compose"]
async fn the_production_shape_keeps_its_promises() {
    let project = Project::prepare();
    project.build().await;
    comes_up(&project).await;
    answers_on_every_port(&project).await;
    each_backend_may_use_its_own_schema_only(&project).await;
    scales_under_load(&project).await;
    loses_nothing_while_it_breaks(&project).await;
    is_updated_without_a_gap(&project).await;
    stops_politely_and_has_its_data_again(&project).await;
    is_restored_from_a_backup(&project).await;
}

fn heading(what: &str) {
    println!("compose: {what}");
}

async fn comes_up(project: &Project) {
    let started = Instant::now();
    project.compose(&["up", "-d", "--no-build"]).await;
    heading(&format!("up after {:.1} s", started.elapsed().as_secs_f64()));
    // Whom nobody depends on is not waited for.
    project::wait("all are healthy", async || project.containers().await.iter().all(|container| container["Health"] == "healthy")).await;
    heading(&format!("all healthy after {:.1} s", started.elapsed().as_secs_f64()));
    let mut services: Vec<String> =
        project.containers().await.iter().map(|container| container["Service"].as_str().unwrap().to_owned()).collect();
    services.sort();
    assert_eq!(services, ["analytics", "chat", "chat", "gateway", "postgres", "redis", "users"]);
    project.eventually("all pass", |status| status["status"] == "pass" && replicas(status, "chat").len() == 2).await;
}

async fn answers_on_every_port(project: &Project) {
    heading("every port answers");
    let ada = project.sign_up("ada").await;
    let path = format!("/users/{}", ada["id"].as_str().unwrap());
    for port in [project.port("gateway"), project.published("users", 3001).await] {
        assert_eq!(project.get_at(port, &path).await.json(), ada, "{port}");
    }
    assert_eq!(project.get_at(project.published("analytics", 3003).await, "/analytics").await.status, 200);
    for (number, port) in ["gateway", "chat"].into_iter().enumerate() {
        let mut socket = support::Socket::open(project.address(port), &format!("user=bob&room=port-{number}")).await;
        socket.say("hi").await;
        assert_eq!(socket.next_of("ack").await["seq"], 1);
    }
    assert_eq!(project.compose(&["exec", "-T", "redis", "redis-cli", "ping"]).await.trim(), "PONG");
    assert_eq!(project.psql("superapp", "select count(*) from users.users").await.unwrap(), "1");
    let refused = project.run("docker", &["run", "--rm", "--read-only", project.image(), "--set", "users.listn=x"]).await.unwrap_err();
    assert!(refused.contains("did you mean"), "a wrong setting is told, in a container too: {refused}");
}

async fn each_backend_may_use_its_own_schema_only(project: &Project) {
    heading("rights");
    for (role, others) in [("users", "chat.rooms"), ("chat", "analytics.events"), ("analytics", "users.users")] {
        let user = format!("superapp_{role}");
        project.psql(&user, "select 1").await.unwrap();
        for statement in [format!("select 1 from {others}"), "create schema mine".to_owned(), "create table public.mine ()".to_owned()] {
            let refused = project.psql(&user, &statement).await.unwrap_err();
            assert!(refused.contains("permission denied"), "{user}: {statement}: {refused}");
        }
    }
}

async fn scales_under_load(project: &Project) {
    heading("scale under load");
    let load = Load::start(project).await;
    let mut crowd = Crowd::default();
    crowd.join(project, SOCKETS / 2).await;
    let before = crowd.by_replica();
    heading(&format!("{} sockets on two replicas, now four", SOCKETS / 2));
    project.compose(&["up", "-d", "--no-build", "--scale", "chat=4", "--scale", "users=2"]).await;
    project
        .eventually("the gateway has found them", |status| replicas(status, "chat").len() == 4 && replicas(status, "users").len() == 2)
        .await;
    crowd.join(project, SOCKETS / 2).await;
    let after = crowd.by_replica();
    // Sockets go where the fewest are, so the new replicas take all of them until they have as many.
    let new: Vec<usize> = after.iter().filter(|(replica, _)| !before.contains_key(replica.as_str())).map(|(_, sockets)| *sockets).collect();
    assert_eq!((before.len(), new.len()), (2, 2), "{before:?} {after:?}");
    assert!(new.iter().all(|sockets| *sockets > SOCKETS / 8), "{before:?} {after:?}");
    assert_eq!(crowd.cut(), 0, "no socket suffers from others coming");
    load.done("while it was scaled").await;
    crowd.leave().await;
}

async fn loses_nothing_while_it_breaks(project: &Project) {
    let (phase, _) = watch::channel(Phase::Sending);
    let phase = Arc::new(phase);
    let mut random = Random::new(7);
    let targets = vec![project.address("gateway"), project.address("chat")];
    let mut clients = Vec::new();
    for number in 0..6 {
        let client = Client::new(number, ROOMS[number % ROOMS.len()], targets.clone(), random.split());
        clients.push((client.progress(), tokio::spawn(client.run(phase.subscribe()))));
    }
    let heads = || clients.iter().map(|(progress, _)| progress.cursor()).collect::<Vec<_>>();
    let everyone_hears_more = async |what: &str| {
        let before = heads();
        let hears_more = || heads().iter().zip(&before).all(|(now, before)| *now > before + 20);
        project::wait(what, async || hears_more()).await;
    };
    everyone_hears_more("they talk").await;

    heading("a chat container is killed");
    let container = project.ids("chat").await.remove(0);
    project.run("docker", &["kill", &container]).await.unwrap();
    project.eventually("the gateway has left it out", |status| live(status, "chat") == 3).await;
    everyone_hears_more("they go on elsewhere").await;
    project.compose(&["up", "-d", "--no-build", "--scale", "chat=4", "--scale", "users=2"]).await;
    project.eventually("it is back", |status| status["status"] == "pass" && live(status, "chat") == 4).await;

    heading("Redis is away");
    project.compose(&["stop", "redis"]).await;
    project.eventually("the gateway warns", |status| status["status"] == "warn").await;
    everyone_hears_more("they talk without Redis").await;
    project.compose(&["start", "redis"]).await;
    project.eventually("it is back", |status| status["status"] == "pass").await;

    heading("PostgreSQL is restarted");
    project.compose(&["restart", "postgres"]).await;
    project.eventually("it is back", |status| status["status"] == "pass").await;
    everyone_hears_more("they talk again").await;

    phase.send_replace(Phase::Settling);
    project::wait("everyone has an answer to all he sent", async || clients.iter().all(|(progress, _)| progress.waiting() == 0)).await;
    let mut logs = verdict::Logs::new();
    for room in ROOMS {
        logs.insert(room, verdict::whole_log(async |path| project.get(&path).await.json(), room).await);
    }
    let has_all = || clients.iter().all(|(progress, _)| progress.cursor() >= logs[progress.room].len() as u64);
    project::wait("everyone has seen the whole log", async || has_all()).await;
    phase.send_replace(Phase::Done);
    let mut reports = Vec::new();
    for (_, client) in clients {
        reports.push(client.await.unwrap());
    }
    heading(&verdict::summary(&logs, &reports));
    let violations = verdict::violations(&logs, &reports);
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

async fn is_updated_without_a_gap(project: &Project) {
    heading("a new image, one container after the other");
    let load = Load::start(project).await;
    let image = project.change_image().await;
    for service in ["users", "chat", "analytics"] {
        let containers = project.ids(service).await.len();
        project.roll(service).await;
        let images = project.inspect(service, "{{.Image}}").await;
        assert_eq!(images, vec![image.clone(); containers], "{service}");
    }
    project.eventually("all are found", |status| status["status"] == "pass" && live(status, "chat") == 4).await;
    load.done("while users, chat and analytics were replaced").await;
    let metrics = project.metrics("gateway").await;
    let available =
        |value: &str| metrics.lines().filter(|line| line.starts_with("gateway_endpoint_available{") && line.ends_with(value)).count();
    assert_eq!((available(" 1"), available(" 0")), (4 + 2 + 1, 0), "those that are gone are no longer told of:\n{metrics}");
    project.roll("gateway").await;
    assert_eq!(project.inspect("gateway", "{{.Image}}").await, [image]);
    project.eventually("all pass", |status| status["status"] == "pass").await;
}

async fn stops_politely_and_has_its_data_again(project: &Project) {
    heading("stop");
    let mut crowd = Crowd::default();
    crowd.join(project, 100).await;
    let before = (project.get("/users").await.json(), last_of_lobby(project).await);
    let started = Instant::now();
    project.compose(&["stop", "gateway", "chat", "users", "analytics"]).await;
    let took = started.elapsed();
    heading(&format!("stopped after {:.1} s", took.as_secs_f64()));
    assert!(took < GRACE, "{took:?}");
    for (ended, sockets) in crowd.ended().await {
        assert!(matches!(ended, Ended::Closed(1001 | 1012)), "{sockets} sockets: {ended:?}");
    }
    for service in ["gateway", "chat", "users", "analytics"] {
        let codes = project.inspect(service, "{{.State.ExitCode}}").await;
        assert!(codes.iter().all(|code| code == "0"), "{service}: {codes:?}");
    }
    heading("down and up again");
    project.compose(&["down"]).await;
    project.compose(&["up", "-d", "--no-build"]).await;
    assert_eq!((project.get("/users").await.json(), last_of_lobby(project).await), before);
}

async fn is_restored_from_a_backup(project: &Project) {
    const BACKUP: &str = "/backups/monday";
    const ROLES: [&str; 4] = ["gateway", "users", "chat", "analytics"];
    let tools = async |arguments: &[&str]| project.run("docker", &[&["compose", "run", "--rm", "tools"], arguments].concat()).await;
    let contents = async || (project.get("/users?limit=100").await.json(), last_of_lobby(project).await);

    heading("a backup while it runs");
    let load = Load::start(project).await;
    tools(&["backup", BACKUP]).await.unwrap();
    load.done("while it was backed up").await;
    tools(&["verify", BACKUP]).await.unwrap();
    let saved = contents().await;
    project.compose(&[&["stop"][..], &ROLES].concat()).await;
    tools(&["backup", "/backups/tuesday"]).await.unwrap();

    heading("restored over what came after");
    project.compose(&["start", "users", "chat", "analytics"]).await;
    project.compose(&["start", "gateway"]).await;
    project.eventually("it is back", |status| status["status"] == "pass").await;
    project.sign_up("late").await;
    let refused = tools(&["restore", BACKUP]).await.unwrap_err();
    assert!(refused.contains("connect") || refused.contains("serve"), "while it runs: {refused}");
    project.compose(&[&["stop"][..], &ROLES].concat()).await;
    let refused = tools(&["restore", "/backups/tuesday"]).await.unwrap_err();
    assert!(refused.contains("--force"), "there is data: {refused}");
    let roles = "superapp_users, superapp_chat, superapp_analytics";
    project.psql("superapp", &format!("grant create on database superapp_db to {roles}")).await.unwrap();
    tools(&["restore", "--force", "/backups/tuesday"]).await.unwrap();
    project.psql("superapp", &format!("revoke create on database superapp_db from {roles}")).await.unwrap();
    project.compose(&["restart", "redis"]).await;
    project.compose(&["up", "-d", "--no-build"]).await;
    project.eventually("it is back", |status| status["status"] == "pass").await;
    assert_eq!(contents().await, saved);

    heading("everything is lost, and restored");
    project.compose(&["down", "-v"]).await;
    tools(&["restore", "/backups/tuesday"]).await.unwrap();
    tools(&["verify"]).await.unwrap();
    project.compose(&["up", "-d", "--no-build"]).await;
    project.eventually("it is back", |status| status["status"] == "pass").await;
    assert_eq!(contents().await, saved);
    each_backend_may_use_its_own_schema_only(project).await;
}

async fn last_of_lobby(project: &Project) -> Value {
    project.get("/chat/rooms/lobby/messages?limit=1").await.json()
}

fn replicas<'a>(status: &'a Value, service: &str) -> &'a [Value] {
    status["services"][service]["replicas"].as_array().map_or(&[], Vec::as_slice)
}

/// How many replicas of a service are well.
fn live(status: &Value, service: &str) -> usize {
    replicas(status, service).iter().filter(|replica| replica["status"] == "pass").count()
}

/// How often each is there.
fn counted<T: std::hash::Hash + Eq>(all: impl IntoIterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    all.into_iter().for_each(|each| *counts.entry(each).or_default() += 1);
    counts
}

/// A user as she is sent.
fn user(name: &str) -> Value {
    json!({ "name": name, "email": format!("{name}@example.com") })
}
