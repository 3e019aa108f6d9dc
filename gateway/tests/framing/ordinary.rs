//! What every client may expect: requests in one piece or in many, several at once, HEAD, 204, 304, HTTP/1.0, a half-closed end.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::door_before;
use crate::support::backend::Backend;
use crate::support::eventually;
use crate::support::wire::{Framing, Wire};

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_in_one_segment_are_answered_in_order() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    let requests = [
        "GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\n",
        "POST /users/2 HTTP/1.1\r\nhost: door\r\ncontent-length: 7\r\n\r\nGET /xx",
        "GET /version HTTP/1.1\r\nhost: door\r\n\r\n",
        "POST /users/3 HTTP/1.1\r\nhost: door\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
        "HEAD /users/4 HTTP/1.1\r\nhost: door\r\n\r\n",
        "POST /users/5 HTTP/1.1\r\nhost: door\r\ncontent-length: 0\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nhost: door\r\n\r\n",
        "GET /users/6 HTTP/1.1\r\nhost: door\r\nconnection: close\r\n\r\n",
    ];
    client.send(requests.concat()).await;
    for expected in ["GET /users/1: 0 ", "POST /users/2: 7 ", "{\"version\"", "POST /users/3: 5 "] {
        let answer = client.whole_answer("GET").await;
        assert!(answer.text().starts_with(expected), "{expected}: {answer:?}");
    }
    assert_eq!(client.whole_answer("HEAD").await.header("content-length"), Some("22"));
    assert!(client.whole_answer("POST").await.text().starts_with("POST /users/5: 0 "));
    assert_eq!(client.whole_answer("GET").await.status, 404);
    let last = client.whole_answer("GET").await;
    assert!(last.text().starts_with("GET /users/6: 0 ") && last.header("connection") == Some("close"), "{last:?}");
    assert!(client.ends().await);
    assert_eq!(backend.requests(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_behind_a_request_that_closes_is_read_as_a_request() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    for closing in ["GET /users/1 HTTP/1.1\r\nhost: door\r\nconnection: close\r\n\r\n", "GET /users/1 HTTP/1.0\r\nhost: door\r\n\r\n"] {
        let mut client = Wire::connect(door.address).await;
        client.send(format!("{closing}GET /users/behind HTTP/1.1\r\nhost: door\r\n\r\n")).await;
        assert!(client.whole_answer("GET").await.text().starts_with("GET /users/1: "));
        assert!(client.ends().await);
        let seen = backend.take();
        assert!(seen.len() == 1 && seen[0].head.target() == "/users/1", "{closing}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_byte_by_byte_is_the_same_request() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    let bodies = [
        "content-length: 11\r\n\r\nhello world",
        "transfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n06\r\n world\r\n0\r\nx-sum: 1\r\n\r\n",
    ];
    for body in bodies {
        for byte in format!("\r\nPOST /users/1 HTTP/1.1\r\nHost: door\r\nX-A: b\r\n{body}").into_bytes() {
            client.send([byte]).await;
            tokio::task::yield_now().await;
        }
        let answer = client.whole_answer("POST").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "POST /users/1: 11 bytes"), "{body}");
    }
    assert!(backend.seen().iter().all(|seen| seen.body.as_deref() == Some(b"hello world") && seen.head.header("x-a") == Some("b")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_byte_by_byte_is_the_same_answer() {
    let backend = Backend::start(|mut visit| async move {
        for byte in b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-a: b\r\n\r\n5;e\r\nhello\r\n06\r\n world\r\n0\r\n\r\n" {
            visit.wire.send([*byte]).await;
            tokio::task::yield_now().await;
        }
        Some(visit)
    })
    .await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    for _ in 0..2 {
        client.send("GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\n").await;
        let answer = client.whole_answer("GET").await;
        assert_eq!((answer.text().as_str(), answer.header("x-a")), ("hello world", Some("b")));
    }
    assert_eq!(backend.seen().last().unwrap().connection, backend.seen()[0].connection, "the connection was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_have_none_and_what_follows_is_the_next_answer() {
    let backend = Backend::start(|mut visit| async move {
        visit.body().await?;
        let head = match visit.head.target() {
            "/users/204" => "204 No Content\r\n",
            "/users/304" => "304 Not Modified\r\netag: \"1\"\r\ncontent-length: 5\r\n",
            "/users/head" => "200 OK\r\ncontent-length: 5\r\n",
            "/users/head-chunked" => "200 OK\r\ntransfer-encoding: chunked\r\n",
            _ => "200 OK\r\ncontent-length: 0\r\n",
        };
        visit.wire.send(format!("HTTP/1.1 {head}\r\n")).await;
        Some(visit)
    })
    .await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    for (method, target, status, length) in [
        ("GET", "/users/204", 204, None),
        ("DELETE", "/users/204", 204, None),
        ("GET", "/users/304", 304, Some("5")),
        ("HEAD", "/users/head", 200, Some("5")),
        ("HEAD", "/users/head-chunked", 200, None),
        ("HEAD", "/users/304", 304, Some("5")),
        ("POST", "/users/none", 200, Some("0")),
        ("HEAD", "/version", 200, Some("20")),
    ] {
        client.send(format!("{method} {target} HTTP/1.1\r\nhost: door\r\n\r\n")).await;
        let answer = client.whole_answer(method).await;
        assert_eq!((answer.status, answer.body.bytes.len()), (status, 0), "{method} {target}");
        assert!(status != 204 || answer.head.all("content-length").is_empty(), "{answer:?}");
        assert!(length.is_none() || answer.header("content-length").is_none_or(|found| Some(found) == length), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_gets_its_answer_and_the_end_or_its_kept_connection() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n";
    let backend = Backend::saying(chunked, true).await;
    let door = door_before(&backend).await;
    // It knows no chunks: the end of the connection is the end of the answer.
    let mut client = Wire::connect(door.address).await;
    client.send("GET /users/1 HTTP/1.0\r\n\r\n").await;
    let answer = client.whole_answer("GET").await;
    assert_eq!((answer.framing, answer.text().as_str()), (Framing::UntilClose, "hello"), "{answer:?}");

    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    for _ in 0..3 {
        client.send("GET /users/1 HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n").await;
        let answer = client.whole_answer("GET").await;
        let is_kept = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("keep-alive"));
        assert!(is_kept && answer.framing == Framing::Length(21), "{answer:?}");
    }
    client.send("GET /users/1 HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.whole_answer("GET").await.status, 200);
    assert!(client.ends().await);
    assert!(backend.seen().iter().all(|seen| seen.head.start == "GET /users/1 HTTP/1.1"), "the door itself speaks 1.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_said_all_and_closed_its_half_gets_its_answer() {
    let gate = Arc::new(Notify::new());
    let waiting = gate.clone();
    let backend = Backend::start(move |mut visit| {
        let gate = waiting.clone();
        async move {
            let length = visit.body().await?.bytes.len();
            if visit.head.target() != "/users/quick" {
                gate.notified().await;
            }
            visit.answer(&format!("after {length} bytes")).await;
            Some(visit)
        }
    })
    .await;
    let door = door_before(&backend).await;
    for request in ["GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\n", "POST /users/1 HTTP/1.1\r\nhost: door\r\ncontent-length: 5\r\n\r\nhello"]
    {
        let mut client = Wire::connect(door.address).await;
        client.send(request).await;
        client.end().await;
        eventually("the backend has it", || async { backend.requests() == 1 }).await;
        // While others come and go, the door has every occasion to notice the end.
        for _ in 0..20 {
            let mut other = Wire::connect(door.address).await;
            other.send("GET /users/quick HTTP/1.1\r\nhost: door\r\n\r\n").await;
            assert_eq!(other.whole_answer("GET").await.status, 200);
        }
        gate.notify_one();
        let answer = client.whole_answer("GET").await;
        assert!(answer.status == 200 && answer.text().starts_with("after "), "{answer:?}");
        assert!(client.ends().await);
        backend.take();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_cut_short_is_never_completed() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    for body in [
        "content-length: 10\r\n\r\nhello",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        let mut client = Wire::connect(door.address).await;
        client.send(format!("POST /users/1 HTTP/1.1\r\nhost: door\r\n{body}")).await;
        client.end().await;
        // An error or nothing, but no answer of the backend, and then the end.
        let answer = client.answer("POST").await;
        assert!(!matches!(&answer, Ok(Some(answer)) if answer.status < 400), "{answer:?}");
        assert!(client.ends().await);
        eventually("the backend gave up", || async { backend.is_quiet() }).await;
        assert!(backend.take().iter().all(|seen| seen.body.is_none()), "{body}");
    }
}
