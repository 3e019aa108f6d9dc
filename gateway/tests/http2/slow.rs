//! Clients that are slow over HTTP/2, or only pretend to want something: each is let go at its limit, whatever it keeps saying.

use std::time::{Duration, Instant};

use gateway::Config;
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

use crate::frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, PREFACE, SETTINGS, fields, frame, frame_head};
use crate::support::backend::Backend;
use crate::support::lines::Lines;
use crate::support::{Door, LIMIT, config, eventually};

/// How long a second-long limit may take to be noticed: an end later than this had another reason.
const SOON: Duration = Duration::from_secs(4);
const PACE: Duration = Duration::from_millis(50);

/// Settings so wide that nothing here touches them.
fn wide(backend: &Backend) -> Config {
    let mut config = config(&[backend.address], &[], &[]);
    (config.header_timeout_s, config.keepalive_s) = (60, 60);
    (config.request_timeout_s, config.try_timeout_s, config.write_timeout_s) = (60, 60, 60);
    config.body_bytes_per_second_min = 1;
    config
}

/// A request whose body is still to come.
fn begin_post(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &fields("POST", path))
}

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields("GET", "/users/1"))
}

/// The door ends the connection after about a second, while the client goes on and on.
async fn is_let_go(what: &str, mut client: Frames, drop: &[u8]) {
    let began = Instant::now();
    tokio::select! {
        () = client.hears.end() => {}
        never = client.says.drip(drop, PACE) => match never {},
    }
    let took = began.elapsed();
    assert!(took > Duration::from_millis(900) && took < SOON, "{what}: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preface_that_does_not_come_to_its_end_has_the_deadline_of_a_head() {
    let backend = Backend::echo().await;
    let door = Door::open(Config { header_timeout_s: 1, ..wide(&backend) }).await;
    for length in [1, 10, 16, PREFACE.len() - 1] {
        let mut client = Frames::silent(door.address).await;
        let began = Instant::now();
        client.says.bytes(&PREFACE[..length]).await;
        let mut rest = Vec::new();
        // With a 408 or without a word.
        let _ = tokio::time::timeout(LIMIT, client.hears.0.read_to_end(&mut rest)).await.expect("an end");
        assert!(began.elapsed() > Duration::from_millis(900) && began.elapsed() < SOON, "{length}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_ends_the_connection_at_its_deadline() {
    let backend = Backend::start(|mut visit| async move {
        visit.body().await?;
        std::future::pending().await
    })
    .await;
    let door = Door::open(Config { header_timeout_s: 1, ..wide(&backend) }).await;
    let block = fields("GET", "/users/1");
    let announced = frame_head(16_000, HEADERS, END_HEADERS | END_STREAM, 1);
    let unfinished = frame(HEADERS, END_STREAM, 1, &block);
    let continued = [unfinished.clone(), frame_head(16_000, CONTINUATION, 0, 1)].concat();
    for (what, start, piece) in [
        ("one frame of which a byte comes at a time", announced.clone(), &b"\0"[..]),
        ("a first frame and no other", unfinished, b""),
        ("a second frame of which a byte comes at a time", continued, b"\0"),
        ("the head of a frame", announced[..5].to_vec(), b""),
        ("settings", frame_head(6000, SETTINGS, 0, 0), b"\0"),
    ] {
        let mut client = Frames::connect(door.address).await;
        client.says.bytes(start).await;
        is_let_go(what, client, piece).await;
    }
    // That another request of the same connection is being answered is no excuse.
    let mut client = Frames::connect(door.address).await;
    client.says.bytes(get(1)).await;
    eventually("it is with the replica", || async { backend.requests() == 1 }).await;
    client.says.bytes(frame_head(16_000, HEADERS, END_HEADERS | END_STREAM, 3)).await;
    is_let_go("a second request", client, b"\0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_wants_nothing_is_let_go_whatever_it_says() {
    let backend = Backend::echo().await;
    let door = Door::open(Config { keepalive_s: 1, ..wide(&backend) }).await;
    let (ping, settings) = (frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, b""));
    for (what, piece) in [("nothing", &b""[..]), ("pings", &ping), ("settings", &settings)] {
        is_let_go(what, Frames::connect(door.address).await, piece).await;
        let mut served = Frames::connect(door.address).await;
        served.says.bytes(get(1)).await;
        assert!(served.hears.answer(1).await.is_whole);
        is_let_go(&format!("{what}, after a request"), served, piece).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_slower_than_it_may_be_is_408_and_the_replica_is_let_go() {
    let backend = Backend::echo().await;
    let door = Door::open(Config { body_bytes_per_second_min: 1000, request_timeout_s: 6, ..wide(&backend) }).await;
    let small = frame(DATA, 0, 1, b"x");
    let mut clients = JoinSet::new();
    for (what, start, piece) in [
        ("small frames", vec![], small.clone()),
        ("empty frames", vec![], frame(DATA, 0, 1, b"")),
        ("one frame of which a byte comes at a time", frame_head(16_000, DATA, 0, 1), b"x".to_vec()),
        ("nothing", vec![], vec![]),
        ("a lot, then little", frame(DATA, 0, 1, &[b'x'; 2000]), small),
        ("a lot, then nothing", frame(DATA, 0, 1, &[b'x'; 16_000]), vec![]),
    ] {
        let mut client = Frames::connect(door.address).await;
        client.says.bytes([begin_post(1, "/users/1"), start].concat()).await;
        clients.spawn(async move {
            let answered = tokio::select! {
                answered = client.hears.answer(1) => answered,
                never = client.says.drip(&piece, PACE) => match never {},
            };
            let is_refused = answered.is_whole && answered.body.contains("\"code\":\"request_timeout\"");
            // So many frames with nothing in them are an attack in the eyes of the library, and end the connection before that.
            let is_cut = what == "empty frames" && !answered.has_head;
            assert!(is_refused || is_cut, "{what}: {answered:?}");
        });
    }
    clients.join_all().await;
    eventually("nobody is kept busy", || async { backend.is_quiet() && door.gateway.in_flight() == 0 }).await;
    assert!(backend.requests() == 6 && backend.seen().iter().all(|seen| seen.body.is_none()));
    // It was no fault of the replica's.
    let clusters: serde_json::Value = serde_json::from_str(&door.gateway.clusters_json()).unwrap();
    assert_eq!(clusters["clusters"][0]["endpoints"][0]["errors"], 0, "{clusters}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_slow_but_not_too_slow_goes_through() {
    let backend = Backend::echo().await;
    let door = Door::open(Config { body_bytes_per_second_min: 500, request_timeout_s: 1, ..wide(&backend) }).await;
    let mut client = Frames::connect(door.address).await;
    client.says.bytes(begin_post(1, "/users/1")).await;
    let mut pace = tokio::time::interval(PACE);
    for _ in 0..50 {
        pace.tick().await;
        client.says.bytes(frame(DATA, 0, 1, &[b'x'; 200])).await;
    }
    client.says.bytes(frame(DATA, END_STREAM, 1, b"")).await;
    let answered = client.hears.answer(1).await;
    assert_eq!((answered.body.as_str(), answered.is_whole), ("POST /users/1: 10000 bytes", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_goes_on_after_the_answer_is_let_go() {
    let backend = Backend::start(|mut visit| async move {
        visit.answer("enough").await;
        // Keeps listening.
        visit.body().await.map(|_| visit)
    })
    .await;
    let door = Door::open(Config { body_bytes_per_second_min: 1000, ..wide(&backend) }).await;
    let small = frame(DATA, 0, 1, b"x");
    for piece in [&b""[..], &small] {
        let mut client = Frames::connect(door.address).await;
        client.says.bytes(begin_post(1, "/users/1")).await;
        let answered = client.hears.answer(1).await;
        assert_eq!((answered.body.as_str(), answered.is_whole), ("enough", true));
        tokio::select! {
            () = eventually("nothing is in flight", || async { backend.is_quiet() && door.gateway.in_flight() == 0 }) => {}
            never = client.says.drip(piece, PACE) => match never {},
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_cut_and_holds_no_replica() {
    let large = "x".repeat(32 * 1024 * 1024);
    let backend = Backend::start(move |mut visit| {
        let large = large.clone();
        async move {
            visit.answer(&large).await;
            Some(visit)
        }
    })
    .await;
    let door = Door::open(Config { write_timeout_s: 1, ..wide(&backend) }).await;
    let mut client = Frames::connect(door.address).await;
    client.says.bytes(get(1)).await;
    eventually("the replica is asked", || async { backend.requests() == 1 }).await;
    eventually("nothing is in flight", || async { backend.is_quiet() && door.gateway.in_flight() == 0 }).await;
    assert!(!client.hears.answer(1).await.is_whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_them_is_a_line_of_the_access_log() {
    let backend = Backend::start(|mut visit| async move {
        match visit.head.target() {
            "/users/early" => visit.answer("enough").await,
            _ => drop(visit.body().await?),
        }
        visit.body().await.map(|_| visit)
    })
    .await;
    let config = Config { header_timeout_s: 1, request_timeout_s: 1, ..wide(&backend) };
    let (door, lines) = Lines::of_door(config).await;
    for start in [begin_post(1, "/users/early"), begin_post(1, "/users/1"), frame_head(100, HEADERS, END_HEADERS | END_STREAM, 1)] {
        let mut client = Frames::connect(door.address).await;
        client.says.bytes(start).await;
        client.hears.answer(1).await;
        eventually("it is over", || async { door.gateway.in_flight() == 0 }).await;
    }
    let written = || {
        let told = |line: &serde_json::Value| format!("{} {} {} {}", line["protocol"], line["status"], line["why"], line["client"]);
        let mut told: Vec<String> = lines.all().iter().map(told).collect();
        told.sort();
        told
    };
    eventually("three lines", || async { written().len() == 3 }).await;
    let whys = [(200, "client_slow"), (408, "request_timeout"), (499, "request_timeout")];
    assert_eq!(written(), whys.map(|(status, why)| format!("\"HTTP/2\" {status} \"{why}\" \"127.0.0.1\"")));
}
