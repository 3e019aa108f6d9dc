//! `Expect: 100-continue`: the backend decides, the client hears of it, and nobody waits for somebody who waits.

use std::time::Duration;

use gateway::Config;

use crate::door_before;
use crate::support::backend::Backend;
use crate::support::wire::Wire;
use crate::support::{BODY_BYTES_MAX, Door, config};

const ASKING: &str = "POST /users/1 HTTP/1.1\r\nhost: door\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";

/// Says 100, and takes the body; or whatever the target says instead.
async fn deciding() -> Backend {
    Backend::start(|mut visit| async move {
        match visit.head.target() {
            "/users/no" => {
                visit.wire.send("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\n\r\nno").await;
                return None;
            }
            "/users/forbidden" => {
                visit.wire.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno").await;
                return None;
            }
            _ => {}
        }
        if visit.head.header("expect").is_some() {
            visit.wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        let length = visit.body().await?.bytes.len();
        visit.answer(&format!("{length} bytes")).await;
        Some(visit)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_hears_100_once_the_backend_has_said_it() {
    let backend = deciding().await;
    let door = door_before(&backend).await;
    for framing in ["content-length: 5\r\n\r\n", "transfer-encoding: chunked\r\n\r\n"] {
        let mut client = Wire::connect(door.address).await;
        client.send(format!("POST /users/1 HTTP/1.1\r\nhost: door\r\nExpect: 100-Continue\r\n{framing}")).await;
        let head = tokio::time::timeout(crate::support::LIMIT, client.head()).await.expect("a 100 in time").unwrap().unwrap();
        assert_eq!(head.status(), Ok(100));
        client.send(if framing.starts_with('c') { "hello" } else { "5\r\nhello\r\n0\r\n\r\n" }).await;
        let answer = client.whole_answer("POST").await;
        assert_eq!((answer.interim.len(), answer.status, answer.text().as_str()), (0, 200, "5 bytes"));
    }
    assert!(backend.seen().iter().all(|seen| seen.head.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_refused_hears_no_100_and_its_body_is_not_waited_for() {
    let backend = deciding().await;
    let door = door_before(&backend).await;
    for (target, status) in [("/users/no", 417), ("/users/forbidden", 403), ("/nothing", 404), ("/users//bad", 400)] {
        let mut client = Wire::connect(door.address).await;
        client.send(ASKING.replace("/users/1", target)).await;
        let answer = client.whole_answer("POST").await;
        assert_eq!((answer.status, answer.interim.len()), (status, 0), "{target}");
        // Whether a body follows nobody can know: so nothing more may be read as a request.
        client.send("GET /users/smuggled HTTP/1.1\r\nhost: door\r\n\r\n").await;
        assert!(client.ends().await, "{target}");
    }
    assert!(backend.take().iter().all(|seen| !seen.head.target().contains("smuggled")));

    let mut client = Wire::connect(door.address).await;
    client.send(ASKING.replace("length: 5", &format!("length: {}", BODY_BYTES_MAX + 1))).await;
    let answer = client.whole_answer("POST").await;
    assert_eq!((answer.status, answer.interim.len(), backend.requests()), (413, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_wait_is_served_as_well() {
    let backend = deciding().await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    for _ in 0..3 {
        client.send(format!("{ASKING}hello")).await;
        let answer = client.whole_answer("POST").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "5 bytes"));
        // Once the body is there, a 100 may be left out; twice would be wrong.
        assert!(answer.interim.is_empty() || answer.interim == [100], "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_knows_no_100_still_gets_the_body_of_a_client_that_gave_up_waiting() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    client.send(ASKING).await;
    crate::support::eventually("the backend has the head", || async { backend.requests() == 1 }).await;
    client.send("hello").await;
    assert_eq!(client.whole_answer("POST").await.text(), "POST /users/1: 5 bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_never_hears_an_interim_answer() {
    let interim =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let backend = Backend::saying(interim, true).await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    client.send("POST /users/1 HTTP/1.0\r\nhost: door\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello").await;
    let answer = client.whole_answer("POST").await;
    assert_eq!((answer.interim.len(), answer.text().as_str()), (0, "ok"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_come_before_the_final_one_and_do_not_replace_it() {
    let interim =
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let backend = Backend::saying(interim, true).await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    for _ in 0..3 {
        client.send("GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\n").await;
        let answer = client.whole_answer("GET").await;
        // They may be kept back, but not reordered, doubled or made up.
        assert!([&[][..], &[103], &[102], &[103, 102]].contains(&answer.interim.as_slice()), "{answer:?}");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_without_end_come_to_an_end() {
    let backend = Backend::start(|mut visit| async move {
        while visit.wire.send("HTTP/1.1 102 Processing\r\n\r\n".repeat(100)).await {}
        None
    })
    .await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    client.send("GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\n").await;
    let answer = client.answer("GET").await;
    // They may have been passed on; then only the end of the connection is left.
    assert!(!matches!(&answer, Ok(Some(answer)) if !matches!(answer.status, 502 | 504)), "{answer:?}");
    crate::support::eventually("the backend is let go", || async { backend.is_quiet() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_slow_to_say_100_is_no_fault_of_the_client() {
    // Longer than a body may take to get going.
    let thinking = Duration::from_secs(6);
    let backend = Backend::start(move |mut visit| async move {
        tokio::time::sleep(thinking).await;
        visit.wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        let length = visit.body().await?.bytes.len();
        visit.answer(&format!("{length} bytes")).await;
        Some(visit)
    })
    .await;
    let door = Door::open(Config { request_timeout_s: 60, ..config(&[backend.address], &[], &[]) }).await;
    let mut client = Wire::connect(door.address).await;
    client.send(ASKING).await;
    let head = tokio::time::timeout(2 * thinking, client.head()).await.expect("a 100 in time").unwrap().unwrap();
    assert_eq!(head.status(), Ok(100), "{head:?}");
    client.send("hello").await;
    assert_eq!(client.whole_answer("POST").await.text(), "5 bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_both_wait_the_client_is_told_and_the_backend_not_blamed() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    client.send(ASKING).await;
    let answer = client.whole_answer("POST").await;
    assert_eq!(answer.status, 504, "{answer:?}");
    assert!(client.ends().await);
    let clusters: serde_json::Value = serde_json::from_str(&door.gateway.clusters_json()).unwrap();
    assert_eq!(clusters["clusters"][0]["endpoints"][0]["errors"], 0, "{clusters}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_told_to_go_on_and_does_not_is_408() {
    let backend = deciding().await;
    let config = Config { body_bytes_per_second_min: 0, ..config(&[backend.address], &[], &[]) };
    let door = Door::open(config).await;
    let mut client = Wire::connect(door.address).await;
    client.send(ASKING).await;
    let answer = client.whole_answer("POST").await;
    assert_eq!((answer.interim.as_slice(), answer.status), (&[100][..], 408), "{answer:?}");
}
