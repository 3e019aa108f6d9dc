//! Replicas found by name, as in production: the name gets more addresses and fewer, and whose replica stays notices nothing.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{DeadAddress, Process, Reply, Socket, eventually};

const NAME: &str = "chat.test";
const SOCKETS: usize = 1000;
/// Sockets that are opened at the same time.
const CROWD: usize = 50;

/// The addresses of `NAME` for the processes that are started with [`Names::environment`], and only for them.
struct Names {
    hosts: PathBuf,
    library: String,
}

impl Names {
    fn new(folder: &Path) -> Self {
        let library = ["x86_64", "aarch64"].map(|machine| format!("/usr/lib/{machine}-linux-gnu/libnss_wrapper.so"));
        let library = library.into_iter().find(|path| Path::new(path).exists());
        Self { hosts: folder.join("hosts"), library: library.expect("deploy/need brings libnss-wrapper") }
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [("LD_PRELOAD", &self.library), ("NSS_WRAPPER_HOSTS", self.hosts.to_str().unwrap())]
    }

    fn are(&self, replicas: &[&Replica]) {
        self.have(&replicas.iter().map(|replica| replica.address).collect::<Vec<_>>());
    }

    fn have(&self, addresses: &[SocketAddr]) {
        let lines: Vec<_> = addresses.iter().map(|address| format!("{} {NAME}\n", address.ip())).collect();
        let next = self.hosts.with_extension("next");
        fs::write(&next, lines.concat()).unwrap();
        fs::rename(next, &self.hosts).unwrap();
    }
}

/// A process of chat.
struct Replica {
    process: Process,
    address: SocketAddr,
}

impl Replica {
    /// On a loopback address of its own; with port 0 on any.
    async fn start(number: u8, port: u16, shared: &[String]) -> Self {
        let listen = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, number), port));
        let mut process = Process::spawn(&arguments("chat", shared, &[format!("chat.listen={listen}")]), &[]);
        let address = process.ready().await["chat"][0];
        Self { process, address }
    }
}

fn arguments(role: &str, shared: &[String], own: &[String]) -> Vec<String> {
    let set = shared.iter().chain(own).flat_map(|assignment| ["--set".to_owned(), assignment.clone()]);
    std::iter::once(role.to_owned()).chain(set).collect()
}

fn allow_many_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// A socket through the door, with the replica it is on.
async fn open(door: SocketAddr, number: usize) -> (Socket, SocketAddr) {
    let mut socket = Socket::open(door, &format!("user=u{number}")).await;
    let welcome = socket.next_of("welcome").await;
    socket.next_of("joined").await;
    (socket, welcome["replica"].as_str().unwrap().parse().unwrap())
}

async fn open_many(door: SocketAddr, count: usize) -> Vec<(Socket, SocketAddr)> {
    let (mut opening, mut opened) = (JoinSet::new(), Vec::new());
    for number in 0..count {
        opening.spawn(open(door, number));
        if opening.len() == CROWD {
            opened.push(opening.join_next().await.unwrap().unwrap());
        }
    }
    opened.extend(opening.join_all().await);
    opened
}

fn counts(sockets: &[(Socket, SocketAddr)]) -> HashMap<SocketAddr, usize> {
    let mut counts = HashMap::new();
    for (_, replica) in sockets {
        *counts.entry(*replica).or_default() += 1;
    }
    counts
}

/// Sockets are spread over exactly these replicas, as evenly as can be.
fn assert_even(sockets: &[(Socket, SocketAddr)], replicas: &[&Replica]) {
    let counts = counts(sockets);
    let each = replicas.iter().map(|replica| counts.get(&replica.address).copied().unwrap_or_default());
    let each: Vec<_> = each.collect();
    assert!(each.iter().max().unwrap() - each.iter().min().unwrap() <= 2, "{counts:?}");
    assert_eq!(each.iter().sum::<usize>(), sockets.len(), "{counts:?}");
}

/// What the door says of chat: the addresses of the replicas that are well.
async fn known(door: SocketAddr) -> Vec<SocketAddr> {
    let status = Reply::of(reqwest::Client::new().get(format!("http://{door}/"))).await.json();
    let replicas = status["services"]["chat"]["replicas"].as_array().unwrap().clone();
    let well = replicas.iter().filter(|replica| replica["status"] == "pass");
    well.map(|replica| replica["address"].as_str().unwrap().parse().unwrap()).collect()
}

async fn eventually_known(door: SocketAddr, replicas: &[&Replica]) {
    let mut expected: Vec<_> = replicas.iter().map(|replica| replica.address).collect();
    expected.sort_unstable();
    eventually("the door knows them", async || {
        let mut known = known(door).await;
        known.sort_unstable();
        known == expected
    })
    .await;
}

/// One says something, and all hear that next, and nothing before it.
async fn assert_undisturbed(sockets: &mut [(Socket, SocketAddr)], text: &str) {
    sockets[0].0.say(text).await;
    for (socket, replica) in sockets {
        let message = loop {
            let frame = socket.next().await;
            match frame["type"].as_str() {
                Some("ack" | "heads") => {}
                _ => break frame,
            }
        };
        assert_eq!((&message["type"], &message["text"]), (&json!("message"), &json!(text)), "at {replica}: {message}");
    }
}

#[tokio::test]
async fn a_thousand_sockets_stay_while_a_name_has_three_addresses_then_five_and_then_two() {
    allow_many_descriptors();
    let (database, redis) = (servers::Database::create(), servers::Redis::start());
    let shared = [format!("database_url={}", database.url()), format!("redis_url={}", redis.url())];
    let mut first = Replica::start(1, 0, &shared).await;
    let port = first.address.port();
    let mut second = Replica::start(2, port, &shared).await;
    let third = Replica::start(3, port, &shared).await;

    let folder = tempfile::tempdir().unwrap();
    let names = Names::new(folder.path());
    names.are(&[&first, &second, &third]);
    // Where the machine is busy, a late answer must not look like a replica that has gone.
    let calm = ["gateway.health_timeout_ms=5000", "gateway.health_fail_after=20"].map(str::to_owned);
    let own = ["gateway.listen=127.0.0.1:0", "gateway.admin_listen=127.0.0.1:0"].map(str::to_owned);
    let own = [&own[..], &calm, &[format!("gateway.clusters.chat.endpoints=[\"{NAME}:{port}\"]")]].concat();
    let mut gateway = Process::spawn(&arguments("gateway", &shared, &own), &names.environment());
    let door = gateway.ready().await["gateway"][0];
    eventually_known(door, &[&first, &second, &third]).await;
    let mut sockets = open_many(door, SOCKETS).await;
    assert_even(&sockets, &[&first, &second, &third]);

    let mut fourth = Replica::start(4, port, &shared).await;
    let fifth = Replica::start(5, port, &shared).await;
    names.are(&[&first, &second, &third, &fourth, &fifth]);
    eventually_known(door, &[&first, &second, &third, &fourth, &fifth]).await;
    assert_undisturbed(&mut sockets, "five now").await;
    // As many as it takes to fill the new ones up.
    sockets.extend(open_many(door, SOCKETS * 2 / 3).await);
    assert_even(&sockets, &[&first, &second, &third, &fourth, &fifth]);

    // A name loses addresses before the replicas there are told to stop: their sockets stay until then.
    names.are(&[&third, &fifth]);
    eventually_known(door, &[&third, &fifth]).await;
    assert_undisturbed(&mut sockets, "two soon").await;
    let (mut staying, leaving): (Vec<_>, Vec<_>) =
        sockets.into_iter().partition(|(_, replica)| [third.address, fifth.address].contains(replica));
    let left = leaving.len();
    for replica in [&mut first, &mut second, &mut fourth] {
        replica.process.terminate();
    }
    let mut told = JoinSet::new();
    for (mut socket, replica) in leaving {
        told.spawn(async move {
            let advice = socket.next_of("goodbye").await["reconnect_after_ms"].clone();
            assert!(matches!(advice.as_array().map(Vec::as_slice), Some([Value::Number(_), Value::Number(_)])), "at {replica}: {advice}");
            assert_eq!(socket.closed().await.0, 1012, "at {replica}");
        });
    }
    told.join_all().await;
    for replica in [&mut first, &mut second, &mut fourth] {
        assert_eq!(replica.process.ended().await, Some(0));
    }
    staying.extend(open_many(door, left).await);
    assert_even(&staying, &[&third, &fifth]);
    assert_undisturbed(&mut staying, "two now").await;
}

/// Users on a loopback address of its own, with data of its own.
async fn start_users(number: u8, port: u16) -> (Process, SocketAddr, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let own = [format!("users.listen=127.0.0.{number}:{port}"), format!("data_dir={}", folder.path().display())];
    let mut process = Process::spawn(&arguments("users", &[], &own), &[]);
    let address = process.ready().await["users"][0];
    (process, address, folder)
}

/// What operators read of a replica of the users; nothing where it is not shown.
async fn metric(admin: SocketAddr, name: &str, endpoint: SocketAddr) -> Option<f64> {
    let page = Reply::of(reqwest::Client::new().get(format!("http://{admin}/metrics"))).await;
    let labels = format!("{name}{{cluster=\"users\",endpoint=\"{endpoint}\"}} ");
    page.text().lines().find_map(|line| line.strip_prefix(&labels)?.parse().ok())
}

#[tokio::test]
async fn a_replica_that_left_is_not_available_and_its_counts_go_on_when_it_returns() {
    const REQUESTS: &str = "gateway_endpoint_requests_total";
    let (_first, one, _first_folder) = start_users(1, 0).await;
    let (_second, other, _second_folder) = start_users(2, one.port()).await;
    let (folder, nobody) = (tempfile::tempdir().unwrap(), DeadAddress::new());
    let names = Names::new(folder.path());
    names.have(&[one, other]);
    let own = [
        "gateway.listen=127.0.0.1:0".to_owned(),
        "gateway.admin_listen=127.0.0.1:0".to_owned(),
        format!("gateway.clusters.users.endpoints=[\"{NAME}:{}\"]", one.port()),
        format!("gateway.clusters.chat.endpoints=[\"{}\"]", nobody.address),
        format!("gateway.clusters.analytics.endpoints=[\"{}\"]", nobody.address),
    ];
    let mut gateway = Process::spawn(&arguments("gateway", &[], &own), &names.environment());
    let ready = gateway.ready().await;
    let (door, admin) = (ready["gateway"][0], ready["admin"][0]);
    let available = async |endpoint| metric(admin, "gateway_endpoint_available", endpoint).await.unwrap_or_default();
    let ask_until = async |least: f64| {
        let client = reqwest::Client::new();
        eventually("it is asked", async || {
            assert_eq!(Reply::of(client.get(format!("http://{door}/users"))).await.status, 200);
            metric(admin, REQUESTS, other).await >= Some(least)
        })
        .await;
    };
    ask_until(20.0).await;
    assert_eq!(available(other).await, 1.0);

    names.have(&[one]);
    eventually("it is not told of", async || available(other).await.is_nan()).await;
    let counted = metric(admin, REQUESTS, other).await.unwrap();
    assert!(counted >= 20.0, "{counted}");
    assert_eq!(available(one).await, 1.0);

    names.have(&[one, other]);
    eventually("it is available again", async || available(other).await == 1.0).await;
    // From its first request on, not from its twentieth.
    ask_until(counted + 1.0).await;
    assert!(metric(admin, REQUESTS, other).await.unwrap() < counted + 20.0);
}

#[tokio::test]
async fn a_name_server_that_hangs_does_not_keep_the_door_closed() {
    let (_users, users, _folder) = start_users(1, 0).await;
    let folder = tempfile::tempdir().unwrap();
    let names = Names::new(folder.path());
    // Nobody ever writes into it, so whoever opens it to look a name up waits.
    assert!(std::process::Command::new("mkfifo").arg(&names.hosts).status().unwrap().success());
    let own = [
        "gateway.listen=127.0.0.1:0".to_owned(),
        "gateway.admin_listen=127.0.0.1:0".to_owned(),
        format!("gateway.clusters.users.endpoints=[\"{users}\"]"),
        format!("gateway.clusters.chat.endpoints=[\"{NAME}:1\"]"),
        format!("gateway.clusters.analytics.endpoints=[\"{users}\"]"),
    ];
    let mut gateway = Process::spawn(&arguments("gateway", &[], &own), &names.environment());
    let door = gateway.ready().await["gateway"][0];
    let startup = gateway.log().iter().find_map(|line| serde_json::from_str::<Value>(line).ok()?["startup_ms"].as_u64());
    // A look-up is given two seconds.
    assert!(startup.unwrap() < 2000, "{startup:?}");
    let client = reqwest::Client::new();
    assert_eq!(Reply::of(client.get(format!("http://{door}/users"))).await.status, 200);
    assert_eq!(Reply::of(client.get(format!("http://{door}/chat"))).await.code(), "unavailable");
}
