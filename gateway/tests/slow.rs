//! Clients that are slow, or hostile, or both: each is let go at its limit, whatever it keeps saying, and others do not notice.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use support::backend::Backend;
use support::counters;
use support::wire::{Answer, Fault, Wire};
use support::{Door, LIMIT, config, eventually};
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;
use tokio::time::interval;

/// The settings these tests are about.
struct Limits {
    header_timeout_s: u64,
    header_bytes_max: usize,
    keepalive_s: u64,
    body_bytes_per_second_min: u64,
    request_timeout_s: u64,
    connections_max: usize,
    connections_per_address_max: usize,
}

/// So wide that nothing here touches them.
const WIDE: Limits = Limits {
    header_timeout_s: 60,
    header_bytes_max: 48 * 1024,
    keepalive_s: 60,
    body_bytes_per_second_min: 1,
    request_timeout_s: 60,
    connections_max: 10_000,
    connections_per_address_max: 10_000,
};

/// What a connection over a cap is counted as.
const REFUSED: &str = "gateway_connections_refused_total";

async fn door_with(backend: &Backend, limits: Limits) -> Door {
    counters::start();
    let mut config = config(&[backend.address], &[backend.address], &[backend.address]);
    config.keepalive_s = limits.keepalive_s;
    config.request_timeout_s = limits.request_timeout_s;
    config.write_timeout_s = limits.request_timeout_s;
    config.header_timeout_s = limits.header_timeout_s;
    config.header_bytes_max = limits.header_bytes_max;
    config.body_bytes_per_second_min = limits.body_bytes_per_second_min;
    config.connections_max = limits.connections_max;
    config.connections_per_address_max = limits.connections_per_address_max;
    Door::open(config).await
}

/// How long a second-long limit may take to be noticed: an answer later than this had another reason.
const SOON: Duration = Duration::from_secs(4);

/// Sends a piece again and again at a pace, until there is an answer or an end.
async fn drip(wire: &mut Wire, piece: &str, pace: Duration) -> Result<Option<Answer>, Fault> {
    let mut pace = interval(pace);
    let mut first = [0];
    let stream = wire.stream.get_mut();
    let ended = async {
        loop {
            tokio::select! {
                // Looks, and leaves it for the reader.
                peeked = stream.peek(&mut first) => return drop(peeked),
                _ = pace.tick() => {
                    if tokio::io::AsyncWriteExt::write_all(stream, piece.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    match tokio::time::timeout(LIMIT, ended).await {
        Ok(()) => wire.answer("GET").await,
        Err(_) => Err(Fault::Malformed("the door takes it all and says nothing".to_owned())),
    }
}

fn is_request_timeout(answer: &Result<Option<Answer>, Fault>) -> bool {
    matches!(answer, Ok(Some(answer)) if answer.status == 408
        && answer.header("connection") == Some("close")
        && answer.text().contains("\"code\":\"request_timeout\""))
}

fn is_bad_request(answer: &Result<Option<Answer>, Fault>) -> bool {
    matches!(answer, Ok(Some(answer)) if answer.status == 400)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_is_408_at_the_deadline_however_it_drips() {
    let backend = Backend::echo().await;
    let door = door_with(&backend, Limits { header_timeout_s: 1, ..WIDE }).await;
    for (start, piece) in [
        ("GET /users/1 HTTP/1.1\r\nhost: door\r\nx-a: ", "b"),
        ("GET /users/1 HTTP/1.1\r\nhost: door\r\n", "x-a: b\r\n"),
        ("GET /users/", "1"),
        ("GE", "T"),
        ("\r\n", "\r\n"),
        ("PRI * HTTP/2.0\r\n\r\nS", ""),
    ] {
        let mut client = Wire::connect(door.address).await;
        let started = Instant::now();
        client.send(start).await;
        let answer = drip(&mut client, piece, Duration::from_millis(50)).await;
        // Where there is no request yet, the end alone is enough; and more than one blank line before it need not be taken.
        let is_no_request_yet = !start.starts_with("GE") && matches!(answer, Ok(None) | Err(Fault::Cut));
        let is_refused = start == "\r\n" && is_bad_request(&answer);
        assert!(is_request_timeout(&answer) || is_no_request_yet || is_refused, "{start:?}: {answer:?}");
        let is_early = started.elapsed() < Duration::from_millis(900) && !is_refused;
        assert!(!is_early && started.elapsed() < SOON, "{start:?}: {:?}", started.elapsed());
        assert!(client.ends().await);
    }
    assert_eq!(backend.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_head_has_its_deadline_too() {
    let backend = Backend::echo().await;
    let door = door_with(&backend, Limits { header_timeout_s: 1, ..WIDE }).await;
    let mut client = Wire::connect(door.address).await;
    // The start of the second comes with the first, in one segment.
    client.send("GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\nGET /users/2 HTTP/1.1\r\nhost: d").await;
    assert_eq!(client.whole_answer("GET").await.status, 200);
    let answer = drip(&mut client, "o", Duration::from_millis(50)).await;
    assert!(is_request_timeout(&answer), "{answer:?}");
    assert!(client.ends().await);
    assert_eq!(backend.requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_is_let_go() {
    let backend = Backend::echo().await;
    let door = door_with(&backend, Limits { header_timeout_s: 1, ..WIDE }).await;
    let mut client = Wire::connect(door.address).await;
    let started = Instant::now();
    // Without a word, or with a 408.
    let answer = client.answer("GET").await;
    assert!(matches!(answer, Ok(None)) || is_request_timeout(&answer), "{answer:?}");
    assert!(client.ends().await && started.elapsed() < SOON);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_a_head_is_431_before_it_is_all_there() {
    let backend = Backend::echo().await;
    let door = door_with(&backend, Limits { header_bytes_max: 8192, ..WIDE }).await;
    for (name, head) in [
        ("a large header", format!("GET /users/1 HTTP/1.1\r\nhost: door\r\nx-a: {}", "b".repeat(9000))),
        ("many headers", format!("GET /users/1 HTTP/1.1\r\nhost: door\r\n{}", "x-a: b\r\n".repeat(1200))),
        ("a large name", format!("GET /users/1 HTTP/1.1\r\nhost: door\r\n{}", "x".repeat(9000))),
        ("a long path", format!("GET /users/{}", "1".repeat(9000))),
        ("a long method", "G".repeat(9000)),
        ("empty lines", "\r\n".repeat(5000)),
    ] {
        let mut client = Wire::connect(door.address).await;
        client.send(head).await;
        let answer = client.answer("GET").await;
        let statuses: &[u16] = if name.contains("path") { &[414, 431] } else { &[400, 431] };
        let is_refused = matches!(&answer, Ok(Some(answer)) if statuses.contains(&answer.status));
        assert!(is_refused && (!name.contains("header") || answer.as_ref().unwrap().as_ref().unwrap().status == 431), "{name}: {answer:?}");
        assert!(client.ends().await, "{name}");
    }
    assert_eq!(backend.requests(), 0);
    let mut client = Wire::connect(door.address).await;
    client.send(format!("GET /users/1 HTTP/1.1\r\nhost: door\r\nx-a: {}\r\n\r\n", "b".repeat(7000))).await;
    assert_eq!(client.whole_answer("GET").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_slower_than_it_may_be_is_408_and_the_backend_is_let_go() {
    let backend = Backend::echo().await;
    let door = door_with(&backend, Limits { body_bytes_per_second_min: 1000, ..WIDE }).await;
    for (framing, piece) in [
        ("content-length: 50000\r\n\r\n", "x"),
        ("transfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        // Much is said, and little of it is body.
        ("transfer-encoding: chunked\r\n\r\n", "1;extension=of-some-length-that-is-no-body\r\nx\r\n"),
        ("content-length: 50000\r\n\r\n", ""),
    ] {
        let mut client = Wire::connect(door.address).await;
        client.send(format!("POST /users/1 HTTP/1.1\r\nhost: door\r\n{framing}")).await;
        let answer = drip(&mut client, piece, Duration::from_millis(25)).await;
        assert!(is_request_timeout(&answer), "{framing} {piece}: {answer:?}");
        assert!(client.ends().await);
        eventually("the backend is let go", || async { backend.is_quiet() }).await;
        assert!(backend.take().iter().all(|seen| seen.body.is_none()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_minimal_rate_a_body_may_drip_but_not_stop() {
    let backend = Backend::echo().await;
    let door = door_with(&backend, Limits { body_bytes_per_second_min: 0, request_timeout_s: 1, ..WIDE }).await;
    for length in [8, 50_000] {
        let mut client = Wire::connect(door.address).await;
        client.send(format!("POST /users/1 HTTP/1.1\r\nhost: door\r\ncontent-length: {length}\r\n\r\n")).await;
        let mut pace = interval(Duration::from_millis(400));
        for _ in 0..7 {
            pace.tick().await;
            assert!(client.send("x").await, "{length}");
        }
        let stopped = Instant::now();
        let answer = client.answer("POST").await;
        assert!(is_request_timeout(&answer), "{length}: {answer:?}");
        assert!(stopped.elapsed() < SOON, "{length}: {:?}", stopped.elapsed());
        eventually("the backend is let go", || async { backend.is_quiet() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_waits_for_a_body_that_does_not_come_is_cut() {
    let backend = Backend::start(|mut visit| async move {
        visit.wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await;
        visit.body().await?;
        visit.wire.send("world").await;
        Some(visit)
    })
    .await;
    let door = door_with(&backend, Limits { request_timeout_s: 1, ..WIDE }).await;
    let mut client = Wire::connect(door.address).await;
    client.send("POST /users/1 HTTP/1.1\r\nhost: door\r\ncontent-length: 50000\r\n\r\nx").await;
    let started = Instant::now();
    let answer = client.answer("POST").await.unwrap().unwrap();
    assert_eq!((answer.text().as_str(), &answer.body.fault), ("hello", &Some(Fault::Cut)));
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    eventually("nothing is in flight", || async { door.gateway.in_flight() == 0 && backend.is_quiet() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_slow_but_not_too_slow_goes_through() {
    let backend = Backend::echo().await;
    let door = door_with(&backend, Limits { body_bytes_per_second_min: 500, ..WIDE }).await;
    let mut client = Wire::connect(door.address).await;
    client.send("POST /users/1 HTTP/1.1\r\nhost: door\r\ncontent-length: 10000\r\n\r\n").await;
    let mut pace = interval(Duration::from_millis(50));
    for _ in 0..50 {
        pace.tick().await;
        assert!(client.send("x".repeat(200)).await);
    }
    assert_eq!(client.whole_answer("POST").await.text(), "POST /users/1: 10000 bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_cut_and_holds_no_backend() {
    let large = "x".repeat(32 * 1024 * 1024);
    let backend = Backend::start(move |mut visit| {
        let large = large.clone();
        async move {
            visit.answer(&large).await;
            Some(visit)
        }
    })
    .await;
    let door = door_with(&backend, Limits { request_timeout_s: 1, ..WIDE }).await;
    let mut client = Wire::connect(door.address).await;
    client.send("GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\n").await;
    eventually("the backend is asked", || async { backend.requests() > 0 }).await;
    eventually("nothing is in flight", || async { door.gateway.in_flight() == 0 && backend.is_quiet() }).await;
    // What it finds later is no whole answer.
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(LIMIT, client.stream.read_to_end(&mut rest)).await.expect("an end");
    assert!(rest.len() < 32 * 1024 * 1024, "{} bytes", rest.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_and_asks_and_never_reads_is_cut() {
    let backend = Backend::start(|mut visit| async move {
        visit.answer(&"x".repeat(100_000)).await;
        Some(visit)
    })
    .await;
    let door = door_with(&backend, Limits { request_timeout_s: 1, ..WIDE }).await;
    let mut client = Wire::connect(door.address).await;
    let ask = "GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\n".repeat(100);
    let flood = async { while tokio::io::AsyncWriteExt::write_all(client.stream.get_mut(), ask.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(LIMIT, flood).await.expect("the door has enough of it");
    eventually("nothing is in flight", || async { door.gateway.in_flight() == 0 && backend.is_quiet() }).await;
    assert!(backend.requests() < 1000, "{}", backend.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_client_is_let_go_also_after_many_requests_and_whatever_blank_lines_it_sends() {
    let backend = Backend::echo().await;
    let door = door_with(&backend, Limits { keepalive_s: 1, header_timeout_s: 1, ..WIDE }).await;
    for blank in ["", "\r\n"] {
        let mut client = Wire::connect(door.address).await;
        for _ in 0..5 {
            client.send("GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\n").await;
            assert_eq!(client.whole_answer("GET").await.status, 200);
        }
        let started = Instant::now();
        let answer = drip(&mut client, blank, Duration::from_millis(50)).await;
        let is_let_go =
            matches!(answer, Ok(None) | Err(Fault::Cut)) || (!blank.is_empty() && (is_request_timeout(&answer) || is_bad_request(&answer)));
        assert!(is_let_go && started.elapsed() < SOON, "{blank:?}: {answer:?} after {:?}", started.elapsed());
    }
}

/// One request on a connection that stays; `None` when the connection was closed or refused.
async fn enter(door: &Door, from: &str) -> Option<Wire> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let mut wire = Wire::new(socket.connect(door.address).await.ok()?);
    wire.send("GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\n").await;
    match wire.answer("GET").await {
        Ok(Some(answer)) if answer.status == 200 => Some(wire),
        Ok(Some(answer)) => {
            assert!(answer.status == 503 && answer.header("retry-after").is_some(), "{answer:?}");
            None
        }
        Ok(None) | Err(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_cap_are_refused_and_counted_until_others_leave() {
    let backend = Backend::echo().await;
    for (limits, from_elsewhere) in
        [(Limits { connections_max: 3, ..WIDE }, false), (Limits { connections_per_address_max: 3, ..WIDE }, true)]
    {
        let door = door_with(&backend, limits).await;
        let mut inside = Vec::new();
        for _ in 0..3 {
            inside.push(enter(&door, "127.0.0.1").await.expect("a place"));
        }
        let counted = counters::sum(REFUSED);
        for _ in 0..5 {
            assert!(enter(&door, "127.0.0.1").await.is_none());
        }
        eventually("all are counted", || async { counters::sum(REFUSED) >= counted + 5 }).await;
        assert_eq!(enter(&door, "127.0.0.2").await.is_some(), from_elsewhere);
        // Who is inside is still served.
        let first = &mut inside[0];
        first.send("GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\n").await;
        assert_eq!(first.whole_answer("GET").await.status, 200);
        inside.pop();
        eventually("a place is free", || async { enter(&door, "127.0.0.1").await.is_some() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_slow_clients_do_not_keep_a_good_one_waiting() {
    let backend = Backend::echo().await;
    let door = door_with(&backend, Limits { header_timeout_s: 2, ..WIDE }).await;
    let mut dripping = Vec::new();
    for _ in 0..300 {
        let mut client = Wire::connect(door.address).await;
        dripping.push(tokio::spawn(async move {
            client.send("GET /users/1 HTTP/1.1\r\nhost: door\r\nx-a: ").await;
            is_request_timeout(&drip(&mut client, "b", Duration::from_millis(200)).await)
        }));
    }
    let mut good = Wire::connect(door.address).await;
    let mut served = 0;
    while dripping.iter().any(|client| !client.is_finished()) {
        good.send("GET /users/1 HTTP/1.1\r\nhost: door\r\n\r\n").await;
        let started = Instant::now();
        assert_eq!(good.whole_answer("GET").await.status, 200);
        assert!(started.elapsed() < SOON);
        served += 1;
    }
    for client in dripping {
        assert!(client.await.unwrap());
    }
    assert!(served > 100, "{served}");
}
