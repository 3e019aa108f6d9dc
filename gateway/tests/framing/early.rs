//! Answers that come while the request is still on its way.

use tokio::io::AsyncWriteExt;

use crate::support::backend::Backend;
use crate::support::dice::Dice;
use crate::support::wire::Wire;
use crate::support::{Door, LIMIT};
use crate::{config_before, door_before};

const UPLOAD: usize = 4 * 1024 * 1024;

/// Answers on the head alone, and reads nothing more.
async fn hasty(answer: &'static str, closes: bool) -> Backend {
    Backend::start(move |mut visit| async move {
        visit.wire.send(answer).await;
        if !closes {
            // Stays, and reads nothing more.
            std::future::pending::<()>().await;
        }
        None
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_reaches_a_client_that_is_still_uploading() {
    for answer in [
        "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 5\r\nconnection: close\r\n\r\nearly",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly",
        "HTTP/1.1 401 Unauthorized\r\ntransfer-encoding: chunked\r\n\r\n5\r\nearly\r\n0\r\n\r\n",
    ] {
        for closes in [true, false] {
            let backend = hasty(answer, closes).await;
            let mut config = config_before(&backend);
            config.body_bytes_max = UPLOAD;
            let door = Door::open(config).await;
            let stream = Wire::connect(door.address).await.stream.into_inner();
            let (reading, mut writing) = stream.into_split();
            let upload = tokio::spawn(async move {
                let head = format!("POST /users/1 HTTP/1.1\r\nhost: door\r\ncontent-length: {UPLOAD}\r\n\r\n");
                // It may be told off before the end.
                let _ = writing.write_all(head.as_bytes()).await;
                let _ = writing.write_all(&vec![b'x'; UPLOAD - 1]).await;
                writing
            });
            let text = read_until(reading, "early").await;
            assert!(text.starts_with(&answer[..12]), "{closes}: {text}");
            upload.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_early_answer_the_rest_of_the_upload_is_no_request() {
    let backend = Backend::start(|mut visit| async move {
        visit.wire.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly").await;
        // Reads on as a careless server would: whatever comes is the next request.
        Some(visit)
    })
    .await;
    let door = door_before(&backend).await;
    let smuggled = "GET /users/smuggled HTTP/1.1\r\nhost: door\r\n\r\n";
    for (framing, rest) in [
        (format!("content-length: {}", smuggled.len()), smuggled.to_owned()),
        ("transfer-encoding: chunked".to_owned(), format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len())),
    ] {
        let mut client = Wire::connect(door.address).await;
        client.send(format!("POST /users/1 HTTP/1.1\r\nhost: door\r\n{framing}\r\n\r\n")).await;
        assert_eq!(client.whole_answer("POST").await.text(), "early");
        client.send(rest).await;
        // The connection is over, or good for another request of its own; never is the body one.
        client.send("GET /version HTTP/1.1\r\nhost: door\r\nconnection: close\r\n\r\n").await;
        if let Ok(Some(answer)) = client.answer("GET").await {
            assert!(answer.text().starts_with("{\"version\""), "{answer:?}");
        }
        let mut other = Wire::connect(door.address).await;
        other.send("GET /users/other HTTP/1.1\r\nhost: door\r\n\r\n").await;
        assert_eq!(other.whole_answer("GET").await.text(), "early");
        // What a careless server takes for a request is its own affair, as long as it stays on the connection of the upload.
        let (seen, _) = backend.take_with_faults();
        let posted = seen.iter().find(|seen| seen.head.method() == "POST").unwrap().connection;
        let is_elsewhere = |target: &str| seen.iter().any(|seen| seen.head.target() == target && seen.connection != posted);
        assert!(is_elsewhere("/users/other") && !is_elsewhere("/users/smuggled"), "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_doors_own_does_not_wait_for_the_body() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    for (target, status) in [("/nothing", 404), ("/livez", 405), ("/users/%2e%2e", 400)] {
        let mut client = Wire::connect(door.address).await;
        client.send(format!("POST {target} HTTP/1.1\r\nhost: door\r\ncontent-length: 1000\r\n\r\nsome of it")).await;
        let answer = client.whole_answer("POST").await;
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{target}");
        assert!(client.ends().await);
    }
    assert_eq!(backend.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_leaves_during_an_upload_is_502_and_not_a_reset() {
    let backend = Backend::start(|_visit| async move { None }).await;
    let mut config = config_before(&backend);
    config.body_bytes_max = UPLOAD;
    let door = Door::open(config).await;
    let mut client = Wire::connect(door.address).await;
    let mut dice = Dice::with_seed(3);
    // More than its connection holds, less than the door drains.
    let body = dice.bytes(100_000);
    client.send(format!("POST /users/1 HTTP/1.1\r\nhost: door\r\ncontent-length: {}\r\n\r\n", body.len())).await;
    client.send(&body).await;
    assert_eq!(client.whole_answer("POST").await.status, 502);
}

/// Reads until the text has ended so.
async fn read_until(mut reading: tokio::net::tcp::OwnedReadHalf, end: &str) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&bytes).contains(end) {
            let mut buffer = [0; 4096];
            match tokio::io::AsyncReadExt::read(&mut reading, &mut buffer).await {
                Ok(read @ 1..) => bytes.extend_from_slice(&buffer[..read]),
                ended => panic!("ended early ({ended:?}): {}", bytes.escape_ascii()),
            }
        }
    };
    tokio::time::timeout(LIMIT, read).await.expect("an answer in time");
    String::from_utf8(bytes).unwrap()
}
