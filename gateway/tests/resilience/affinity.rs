//! The same key meets the same replica.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use tokio::task::JoinSet;

use crate::http2::Http2;
use crate::load::{ask, get};
use crate::replica::Replica;
use crate::support::backend::{Backend, Seen};
use crate::support::{Door, eventually};
use crate::{addresses, before, state};

const KEYS: usize = 60;

/// The start of a request that has this key.
type Asking = fn(usize) -> String;

/// Where a key is looked for, and a request that has it there.
const PLACES: [(&str, Asking); 5] = [
    ("header:x-user", |key| format!("GET /users/1 HTTP/1.1\r\nhost: door\r\nX-User: {key}\r\n")),
    ("cookie:sid", |key| format!("GET /users/1 HTTP/1.1\r\nhost: door\r\ncookie: a=1; sid={key}; b=2\r\n")),
    ("cookie:sid", |key| format!("GET /users/1 HTTP/1.1\r\nhost: door\r\ncookie: a=1\r\ncookie: sid={key}\r\n")),
    ("query:who", |key| format!("GET /users/1?a=1&who={key}&b=2 HTTP/1.1\r\nhost: door\r\n")),
    ("path:2", |key| format!("GET /users/{key}/posts?x={key} HTTP/1.1\r\nhost: door\r\n")),
];

/// Which replica each key meets, now and when it asks again.
async fn places(door: &Door, request: Asking) -> HashMap<usize, String> {
    let mut places = HashMap::new();
    for key in (0..KEYS).chain(0..KEYS) {
        let reply = door.send(&format!("{}connection: close\r\n\r\n", request(key))).await;
        let replica = reply.header("x-replica").unwrap().to_owned();
        let before = places.insert(key, replica.clone());
        assert!(before.is_none_or(|before| before == replica), "{key} has moved");
    }
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stays_where_it_is_and_only_those_of_a_replica_that_goes_move() {
    for (balance, request) in PLACES {
        let mut replicas = Replica::start_many(4).await;
        let addresses: Vec<SocketAddr> = replicas.iter().map(|replica| replica.address).collect();
        let mut config = before(&addresses);
        config.clusters.users.balance = balance.to_owned();
        let door = Door::open(config).await;
        let first = places(&door, request).await;
        let shares: Vec<usize> = addresses.iter().map(|address| first.values().filter(|at| **at == address.to_string()).count()).collect();
        println!("{balance}: {shares:?}");
        assert!(shares.iter().all(|share| *share > 3), "{balance}: {shares:?}");

        replicas[1].kill().await;
        let gone = addresses[1].to_string();
        let without = places(&door, request).await;
        let moved = first.iter().filter(|(key, at)| without[*key] != **at);
        assert!(moved.clone().all(|(_, at)| *at == gone), "{balance}: others moved, too");
        assert_eq!(moved.count(), shares[1], "{balance}");
        assert!(without.values().all(|at| *at != gone), "{balance}");

        replicas[1].revive().await;
        eventually("it is back", || async { state(&door, 1) == "live" }).await;
        assert_eq!(places(&door, request).await, first, "{balance}: all as before");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stays_where_it_is_when_several_ask_at_once() {
    let replicas = Replica::start_many(4).await;
    for replica in &replicas {
        replica.take_so_long(Duration::from_millis(5));
    }
    let mut config = before(&replicas.iter().map(|replica| replica.address).collect::<Vec<_>>());
    config.clusters.users.balance = "header:x-user".to_owned();
    let door = Arc::new(Door::open(config).await);
    let mut asking = JoinSet::new();
    for client in 0..12 {
        let door = door.clone();
        asking.spawn(async move {
            let mut met = Vec::new();
            for _ in 0..20 {
                // Two clients for each key.
                let key = client / 2;
                let reply = door.send(&format!("GET /users/1 HTTP/1.1\r\nhost: door\r\nx-user: {key}\r\nconnection: close\r\n\r\n")).await;
                met.push((key, reply.header("x-replica").unwrap().to_owned()));
            }
            met
        });
    }
    let met: BTreeSet<(usize, String)> = asking.join_all().await.into_iter().flatten().collect();
    assert_eq!(met.len(), 6, "{met:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_key_goes_anywhere() {
    let replicas = Replica::start_many(3).await;
    let mut config = before(&replicas.iter().map(|replica| replica.address).collect::<Vec<_>>());
    config.clusters.users.balance = "header:x-user".to_owned();
    let door = Door::open(config).await;
    assert!(ask(door.address, 12, 300, &get("/users/1")).await.all_are(200));
    assert!(replicas.iter().all(|replica| replica.requests() > 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_in_absolute_form_has_the_same_key() {
    for (balance, path) in [("path:2", "/users/KEY/posts"), ("path:3", "/users/1/KEY"), ("query:who", "/users/1?who=KEY")] {
        let replicas = Replica::start_many(4).await;
        let mut config = before(&replicas.iter().map(|replica| replica.address).collect::<Vec<_>>());
        config.clusters.users.balance = balance.to_owned();
        let door = Door::open(config).await;
        let meets = async |target: String| {
            let reply = door.send(&format!("GET {target} HTTP/1.1\r\nhost: door\r\nconnection: close\r\n\r\n")).await;
            reply.header("x-replica").unwrap().to_owned()
        };
        for key in 0..KEYS {
            let path = path.replace("KEY", &key.to_string());
            assert_eq!(meets(path.clone()).await, meets(format!("http://door{path}")).await, "{balance} of {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_found_however_it_comes_and_a_replica_gets_one_field() {
    let mut backends = Vec::new();
    for _ in 0..4 {
        backends.push(Backend::echo().await);
    }
    let mut config = before(&addresses(&backends));
    config.clusters.users.balance = "cookie:sid".to_owned();
    let door = Door::open(config).await;
    let mut client = Http2::connect(door.address).await;
    for key in 0..20 {
        let sid = format!("sid={key}");
        for cookies in [vec![format!("a=1; {sid}")], vec!["a=1".to_owned(), sid.clone()], vec!["a=1".to_owned(), "b=2".to_owned(), sid]] {
            let mut request = Request::get("http://door/users/1");
            for cookie in &cookies {
                request = request.header("cookie", cookie);
            }
            let (answer, _) = client.ask(request.body(Full::default()).unwrap()).await;
            assert_eq!(answer.status(), 200);
        }
        let seen: Vec<Vec<Seen>> = backends.iter().map(Backend::take).filter(|seen| !seen.is_empty()).collect();
        assert!(seen.len() == 1 && seen[0].len() == 3, "{key} met {} replicas", seen.len());
        let got: Vec<_> = seen[0].iter().map(|seen| seen.head.header("cookie").unwrap().to_owned()).collect();
        assert_eq!(got, [format!("a=1; sid={key}"), format!("a=1; sid={key}"), format!("a=1; b=2; sid={key}")]);
    }
}
