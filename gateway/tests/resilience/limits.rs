//! How much is asked of replicas at the same time, and what is said to those who are too many.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::load::get;
use crate::support::backend::Backend;
use crate::support::lines::Lines;
use crate::support::wire::{Answer, Wire};
use crate::support::{Door, eventually};
use crate::{before, endpoints, timed};

/// Answers once the gate is open for it.
async fn gated() -> (Backend, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let its_gate = gate.clone();
    let backend = Backend::start(move |mut visit| {
        let gate = its_gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            visit.answer("through").await;
            Some(visit)
        }
    })
    .await;
    (backend, gate)
}

async fn asking(door: &Door) -> Wire {
    let mut client = Wire::connect(door.address).await;
    client.send(get("/users/1")).await;
    client
}

fn assert_overloaded(answer: &Answer) {
    let body: Value = serde_json::from_slice(&answer.body.bytes).unwrap();
    assert_eq!((answer.status, body["code"].as_str()), (503, Some("overloaded")), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("connection"), Some("keep-alive"), "it may come again on the same connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_asked_no_more_at_once_than_it_may() {
    let ((first, gate), (second, other_gate)) = (gated().await, gated().await);
    let mut config = before(&[first.address, second.address]);
    config.endpoint_in_flight_max = 2;
    config.request_timeout_s = 10;
    let door = Door::open(config).await;
    let mut clients = Vec::new();
    for count in 1..=4 {
        clients.push(asking(&door).await);
        eventually("it is with a replica", || async { first.requests() + second.requests() == count }).await;
    }
    assert_eq!((first.requests(), second.requests()), (2, 2));
    let mut one_more = asking(&door).await;
    assert_overloaded(&one_more.whole_answer("GET").await);

    gate.add_permits(10);
    other_gate.add_permits(10);
    for client in &mut clients {
        assert_eq!(client.whole_answer("GET").await.status, 200);
    }
    one_more.send(get("/users/1")).await;
    assert_eq!(one_more.whole_answer("GET").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_asked_no_more_at_once_than_it_may_and_some_wait() {
    let (backend, gate) = gated().await;
    let mut config = before(&[backend.address]);
    (config.cluster_in_flight_max, config.cluster_waiting_max) = (2, 1);
    config.queue_timeout_ms = 5_000;
    config.request_timeout_s = 10;
    let (door, lines) = Lines::of_door(config).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(asking(&door).await);
    }
    eventually("two are in", || async { backend.requests() == 2 }).await;
    clients.push(asking(&door).await);
    eventually("one waits", || async { cluster(&door)["waiting"] == 1 }).await;
    let mut one_more = asking(&door).await;
    let (took, answer) = timed(one_more.whole_answer("GET")).await;
    assert_overloaded(&answer);
    assert!(took.as_millis() < 1000, "{took:?}: it should not have waited");
    assert_eq!((cluster(&door)["in_flight"].as_u64(), cluster(&door)["limit"].as_u64()), (Some(2), Some(2)));
    // What is the door's own is never shed.
    assert_eq!((door.get("/livez").await.status, door.get("/").await.status), (200, 503));

    gate.add_permits(10);
    for client in &mut clients {
        assert_eq!(client.whole_answer("GET").await.status, 200);
    }
    assert_eq!((backend.requests(), cluster(&door)["waiting"].as_u64()), (3, Some(0)));
    let refused = || lines.all().iter().filter(|line| line["why"] == "overloaded").count();
    eventually("it is in the log", || async { refused() == 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_waits_no_longer_than_allowed() {
    let (backend, gate) = gated().await;
    let mut config = before(&[backend.address]);
    (config.cluster_in_flight_max, config.cluster_waiting_max) = (1, 100);
    config.queue_timeout_ms = 50;
    let door = Door::open(config).await;
    let mut first = asking(&door).await;
    eventually("one is in", || async { backend.requests() == 1 }).await;
    for _ in 0..3 {
        let (took, answer) = timed(async { asking(&door).await.whole_answer("GET").await }).await;
        assert_overloaded(&answer);
        assert!((50..1000).contains(&took.as_millis()), "{took:?}");
    }
    gate.add_permits(1);
    assert_eq!(first.whole_answer("GET").await.status, 200);
    assert_eq!(backend.requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_begun_keeps_nobody_elses_place() {
    let backend = Backend::start(|mut visit| async move {
        visit.wire.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n").await;
        std::future::pending().await
    })
    .await;
    let mut config = before(&[backend.address]);
    (config.cluster_in_flight_max, config.cluster_waiting_max) = (2, 0);
    let door = Door::open(config).await;
    let mut listening = Vec::new();
    for _ in 0..10 {
        let mut client = asking(&door).await;
        assert_eq!(client.head().await.unwrap().unwrap().status(), Ok(200));
        listening.push(client);
    }
    assert_eq!((backend.requests(), cluster(&door)["in_flight"].as_u64()), (10, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_slowly_a_client_sends_says_nothing_about_a_replica() {
    let backend = Backend::echo().await;
    let mut config = before(&[backend.address]);
    config.request_timeout_s = 5;
    let door = Door::open(config).await;
    let mut client = Wire::connect(door.address).await;
    client.send("POST /users/1 HTTP/1.1\r\nhost: door\r\ncontent-length: 600\r\n\r\n").await;
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(50));
    for _ in 0..6 {
        pace.tick().await;
        client.send("x".repeat(100)).await;
    }
    assert_eq!(client.whole_answer("POST").await.status, 200);
    let latency = endpoints(&door)[0]["latency_ms"].as_f64().unwrap();
    assert!(latency < 200.0, "{latency} ms for an answer that was there at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_hang_keep_nobody_else_waiting() {
    let backend = Backend::start(|mut visit| async move {
        if visit.head.target() == "/users/never" {
            std::future::pending::<()>().await;
        }
        visit.answer("through").await;
        Some(visit)
    })
    .await;
    let mut config = before(&[backend.address]);
    (config.request_timeout_s, config.queue_timeout_ms) = (30, 5_000);
    let door = Door::open(config).await;
    for _ in 0..30 {
        assert_eq!(door.get("/users/1").await.status, 200);
    }
    // As many as there are places.
    let mut hanging = Vec::new();
    while cluster(&door)["limit"].as_u64() > cluster(&door)["in_flight"].as_u64() {
        let mut client = Wire::connect(door.address).await;
        client.send(get("/users/never")).await;
        let count = hanging.len() + 31;
        eventually("it hangs", || async { backend.requests() == count }).await;
        hanging.push(client);
    }
    assert!(hanging.len() >= 8, "{} places", hanging.len());
    for _ in 0..30 {
        assert_eq!(door.get("/users/1").await.status, 200);
    }
}

/// The cluster of the users, as operators see it.
fn cluster(door: &Door) -> Value {
    let view: Value = serde_json::from_str(&door.gateway.clusters_json()).unwrap();
    view["clusters"][0].clone()
}
