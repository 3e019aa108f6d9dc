//! Connections to backends are kept for the next request of anybody: what one leaves behind must not reach another.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::door_before;
use crate::support::Door;
use crate::support::backend::Backend;
use crate::support::wire::{Answer, Wire};

const POISON: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";

async fn ask(door: &Door, request: &str) -> Answer {
    let mut client = Wire::connect(door.address).await;
    client.send(request).await;
    client.whole_answer(request.split(' ').next().unwrap()).await
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: door\r\nconnection: close\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_used_again_when_all_went_well() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    for number in 0..20 {
        assert_eq!(ask(&door, &get(&format!("/users/{number}"))).await.status, 200);
        assert_eq!(ask(&door, "POST /users/1 HTTP/1.1\r\nhost: door\r\ncontent-length: 1\r\n\r\nx").await.status, 200);
    }
    // The next request may come before the last one's connection is put back.
    let connections: BTreeSet<usize> = backend.seen().iter().map(|seen| seen.connection).collect();
    assert!(connections.len() < 10, "{} connections for 40 requests", connections.len());
}

/// A backend that says something more than its answer on the first connection and leaves it open; on others it behaves.
async fn talkative(answer: &'static str) -> Backend {
    Backend::start(move |mut visit| async move {
        visit.body().await?;
        match visit.head.target() {
            "/users/first" => drop(visit.wire.send(answer).await),
            target => {
                let text = format!("for {target}");
                visit.answer(&text).await;
            }
        }
        Some(visit)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_behind_an_answer_reach_nobody() {
    for (method, answer) in [
        ("GET", format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst{POISON}")),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst and more".to_owned()),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst\r\n".to_owned()),
        ("GET", format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n{POISON}")),
        ("GET", format!("HTTP/1.1 204 No Content\r\n\r\n{POISON}")),
        ("GET", format!("HTTP/1.1 204 No Content\r\ncontent-length: {}\r\n\r\n{POISON}", POISON.len())),
        ("GET", "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n".to_owned()),
        ("GET", format!("HTTP/1.1 304 Not Modified\r\ncontent-length: {}\r\n\r\n{POISON}", POISON.len())),
        ("GET", "HTTP/1.1 205 Reset Content\r\ncontent-length: 5\r\n\r\nfirst".to_owned()),
        ("HEAD", format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{POISON}", POISON.len())),
        ("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n".to_owned()),
        ("POST", format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst{POISON}")),
    ] {
        let backend = talkative(answer.clone().leak()).await;
        let door = door_before(&backend).await;
        // The client's own next request is the first that could be hit.
        let mut client = Wire::connect(door.address).await;
        client.send(format!("{method} /users/first HTTP/1.1\r\nhost: door\r\n\r\n")).await;
        let first = client.whole_answer(method).await;
        assert!(!first.text().contains("poison") && !first.text().contains("more"), "{answer:?}: {first:?}");
        client.send("GET /users/next HTTP/1.1\r\nhost: door\r\n\r\n").await;
        match client.answer("GET").await {
            Ok(Some(next)) => assert_eq!(next.text(), "for /users/next", "{answer:?}"),
            // The door may have ended the connection.
            ended => assert!(matches!(ended, Ok(None)), "{answer:?}: {ended:?}"),
        }
        for number in 0..3 {
            let target = format!("/users/{number}");
            assert_eq!(ask(&door, &get(&target)).await.text(), format!("for {target}"), "{answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_nobody_asked_for_reaches_nobody() {
    let speak = Arc::new(Notify::new());
    let spoken = Arc::new(Notify::new());
    let (speaking, speech) = (speak.clone(), spoken.clone());
    let backend = Backend::start(move |mut visit| {
        let (speak, spoken) = (speaking.clone(), speech.clone());
        async move {
            visit.body().await?;
            let text = format!("for {}", visit.head.target());
            visit.answer(&text).await;
            if visit.head.target() == "/users/first" {
                // Some time later, into a connection at rest.
                speak.notified().await;
                visit.wire.send(POISON).await;
                spoken.notify_one();
            }
            Some(visit)
        }
    })
    .await;
    let door = door_before(&backend).await;
    for method in ["GET", "POST"] {
        assert_eq!(ask(&door, &get("/users/first")).await.text(), "for /users/first");
        speak.notify_one();
        spoken.notified().await;
        for number in 0..3 {
            let target = format!("/users/{method}-{number}");
            let answer = ask(&door, &get(&target).replacen("GET", method, 1)).await;
            assert_eq!((answer.status, answer.text()), (200, format!("for {target}")), "{answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_succeeds_after_the_backend_closed_the_kept_connection() {
    let close = Arc::new(Notify::new());
    let closed = Arc::new(Notify::new());
    let (closing, is_closed) = (close.clone(), closed.clone());
    let backend = Backend::start(move |mut visit| {
        let (close, closed) = (closing.clone(), is_closed.clone());
        async move {
            let length = visit.body().await?.bytes.len();
            visit.answer(&format!("{length} bytes")).await;
            if visit.head.target() == "/users/last" {
                close.notified().await;
                visit.wire.end().await;
                drop(visit);
                closed.notify_one();
                return None;
            }
            Some(visit)
        }
    })
    .await;
    let door = door_before(&backend).await;
    for body in ["content-length: 5\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
        for _ in 0..10 {
            assert_eq!(ask(&door, &get("/users/last")).await.status, 200);
            close.notify_one();
            closed.notified().await;
            let answer = ask(&door, &format!("POST /users/1 HTTP/1.1\r\nhost: door\r\nconnection: close\r\n{body}")).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "5 bytes"));
            let seen = backend.take();
            assert_eq!(seen.iter().filter(|seen| seen.head.method() == "POST").count(), 1, "{seen:?}");
            // The connection of the POST is at rest now; it is not the one that the next round is about.
            assert_eq!(ask(&door, &get("/users/last")).await.status, 200);
            close.notify_one();
            closed.notified().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_answer_says_close_is_not_used_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x, Close\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ] {
        let backend = Backend::saying(answer, true).await;
        let door = door_before(&backend).await;
        for _ in 0..3 {
            let answer = ask(&door, "GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\n").await;
            assert_eq!(answer.text(), "ok");
            // What ends there goes on here.
            assert_ne!(answer.header("connection"), Some("close"), "{answer:?}");
        }
        assert!(backend.seen().iter().all(|seen| seen.turn == 0), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_early_leaves_nothing_on_the_connection() {
    let large = "x".repeat(3_000_000);
    let backend = Backend::start(move |mut visit| {
        let large = large.clone();
        async move {
            let text = if visit.head.target() == "/users/large" { large } else { format!("for {}", visit.head.target()) };
            visit.answer(&text).await;
            Some(visit)
        }
    })
    .await;
    let door = door_before(&backend).await;
    for number in 0..10 {
        let mut leaving = Wire::connect(door.address).await;
        leaving.send("GET /users/large HTTP/1.1\r\nhost: door\r\n\r\n").await;
        let head = tokio::time::timeout(crate::support::LIMIT, leaving.head()).await.expect("a head").unwrap();
        assert!(head.is_some());
        drop(leaving);
        let target = format!("/users/{number}");
        assert_eq!(ask(&door, &get(&target)).await.text(), format!("for {target}"));
    }
    crate::support::eventually("nothing is in flight", || async { door.gateway.in_flight() == 0 }).await;
}
