//! What is asked a second time, by whom, and when it is enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::http2::Http2;
use crate::load::{ask, get};
use crate::support::backend::{Backend, Visit};
use crate::support::wire::{Fault, Wire};
use crate::support::{Door, LIMIT, eventually};
use crate::{addresses, before, timed};

const SECOND: Duration = Duration::from_secs(1);

/// Says nothing to `…/silent`, and no more than a byte now and then to `…/drip…`; all else is answered.
async fn reluctant() -> Backend {
    Backend::start(|mut visit| async move {
        visit.body().await?;
        let start = match visit.head.target() {
            "/users/silent" => return std::future::pending().await,
            "/users/drip-head" => "HTTP/1.1 200 OK\r\nx-slow: ",
            "/users/drip-counted" => "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n",
            "/users/drip-until-close" => "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
            "/users/drip-events" => "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
            _ => {
                visit.answer("here").await;
                return Some(visit);
            }
        };
        drip(visit, start).await
    })
    .await
}

async fn drip(mut visit: Visit, start: &str) -> Option<Visit> {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let mut is_taken = visit.wire.send(start).await;
    while is_taken {
        pace.tick().await;
        is_taken = visit.wire.send("x").await;
    }
    None
}

/// Says nothing to whoever asks for `…/silent` while the switch is on, which turns it off.
async fn silent_once(is_silent: &Arc<AtomicBool>) -> Backend {
    let is_silent = is_silent.clone();
    Backend::start(move |mut visit| {
        let is_silent = visit.head.target() == "/users/silent" && is_silent.swap(false, Ordering::SeqCst);
        async move {
            visit.body().await?;
            if is_silent {
                return std::future::pending().await;
            }
            visit.answer("here").await;
            Some(visit)
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_whose_replica_is_silent_is_asked_elsewhere() {
    let is_silent = Arc::<AtomicBool>::default();
    let backends = [silent_once(&is_silent).await, silent_once(&is_silent).await];
    let mut config = before(&addresses(&backends));
    (config.try_timeout_s, config.request_timeout_s) = (1, 4);
    let door = Door::open(config).await;
    // A few ordinary ones, so that there is something to spend on repeats.
    assert!(ask(door.address, 2, 40, &get("/users/1")).await.all_are(200));
    for _ in 0..3 {
        is_silent.store(true, Ordering::SeqCst);
        let (took, reply) = timed(door.get("/users/silent")).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "here"));
        assert!((SECOND..2 * SECOND).contains(&took), "{took:?}");
    }
    let asked_for_it = |backend: &Backend| backend.seen().iter().filter(|seen| seen.head.target() == "/users/silent").count();
    assert_eq!(backends.iter().map(asked_for_it).collect::<Vec<_>>(), [3, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_that_nobody_else_can_answer_has_all_the_time_there_is() {
    let slow = Backend::start(|mut visit| async move {
        let mut ticks = tokio::time::interval(SECOND * 3 / 2);
        ticks.tick().await;
        ticks.tick().await;
        visit.answer("late").await;
        Some(visit)
    })
    .await;
    let mut config = before(&[slow.address]);
    (config.try_timeout_s, config.request_timeout_s) = (1, 4);
    let door = Door::open(config).await;
    let reply = door.get("/users/1").await;
    assert_eq!((reply.status, reply.body.as_str(), slow.requests()), (200, "late", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_that_may_not_be_repeated_is_not_given_up_for_that() {
    let slow = || {
        Backend::start(|mut visit| async move {
            let mut ticks = tokio::time::interval(SECOND * 3 / 2);
            ticks.tick().await;
            ticks.tick().await;
            visit.answer("late").await;
            Some(visit)
        })
    };
    let backends = [slow().await, slow().await];
    let mut config = before(&addresses(&backends));
    (config.try_timeout_s, config.request_timeout_s, config.retry_budget_percent) = (1, 4, 0);
    let door = Door::open(config).await;
    let reply = door.get("/users/1").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "late"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_never_sent_twice_once_anything_was_sent() {
    let closing = || Backend::start(|_| async { None });
    let cutting = || async {
        Backend::start(|mut visit| async move {
            visit.body().await?;
            visit.wire.send("HTTP/1.1 200 OK\r\ncontent-le").await;
            None
        })
        .await
    };
    let busy = || Backend::saying("HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy", true);
    for (backends, status) in [
        ([closing().await, closing().await], 502),
        ([cutting().await, cutting().await], 502),
        ([busy().await, busy().await], 503),
        ([reluctant().await, reluctant().await], 504),
    ] {
        let door = Door::open(before(&addresses(&backends))).await;
        // Whatever may be spent on repeats is there.
        ask(door.address, 4, 100, &get("/users/1")).await;
        for backend in &backends {
            backend.take();
        }
        for times in 1..=3 {
            for body in ["content-length: 5\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
                let request = format!("POST /users/silent HTTP/1.1\r\nhost: door\r\nconnection: close\r\n{body}");
                assert_eq!(door.send(&request).await.status, status);
            }
            let posts = backends.iter().map(Backend::requests).sum::<usize>();
            assert_eq!(posts, times * 2, "{status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_its_deadline_however_it_drips() {
    let backends = [reluctant().await, reluctant().await];
    let mut config = before(&addresses(&backends));
    (config.try_timeout_s, config.request_timeout_s) = (1, 2);
    let door = Door::open(config).await;
    ask(door.address, 2, 40, &get("/users/1")).await;
    let (took, reply) = timed(door.get("/users/drip-head")).await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "gateway_timeout"));
    assert!((2 * SECOND..3 * SECOND).contains(&took), "{took:?}");

    for target in ["/users/drip-counted", "/users/drip-until-close"] {
        let mut client = Wire::connect(door.address).await;
        client.send(get(target)).await;
        let (took, answer) = timed(client.answer("GET")).await;
        let answer = answer.unwrap().unwrap();
        // It is visible that something is missing.
        assert_eq!((answer.status, answer.body.fault), (200, Some(Fault::Cut)), "{target}");
        assert!(!answer.body.bytes.is_empty(), "{target}");
        assert!((2 * SECOND..3 * SECOND).contains(&took), "{target}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_may_last() {
    let backend = reluctant().await;
    let door = Door::open(before(&[backend.address])).await;
    let mut client = Wire::connect(door.address).await;
    client.send(get("/users/drip-events")).await;
    let head = client.head().await.unwrap().unwrap();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    // Twice the time that another answer has; a chunk comes every 50 ms.
    let mut chunk = [0; 6];
    let reading = async {
        for _ in 0..40 {
            tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut chunk).await.unwrap();
        }
    };
    let (took, read) = timed(tokio::time::timeout(LIMIT, reading)).await;
    read.unwrap();
    assert!(took > SECOND * 3 / 2, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_that_falls_silent_is_cut() {
    let backend = Backend::start(|mut visit| async move {
        visit.wire.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
        for _ in 0..3 {
            visit.wire.send("6\r\ndata:\n\r\n").await;
        }
        // Until somebody has enough of it.
        visit.wire.head().await.ok()?;
        None
    })
    .await;
    let door = Door::open(before(&[backend.address])).await;
    let mut client = Wire::connect(door.address).await;
    client.send(get("/users/events")).await;
    let (took, answer) = timed(client.answer("GET")).await;
    let answer = answer.unwrap().unwrap();
    assert_eq!((answer.status, answer.body.bytes.len(), answer.body.fault), (200, 18, Some(Fault::Cut)));
    assert!((SECOND..3 * SECOND).contains(&took), "{took:?}");

    let (took, (answer, is_whole)) = timed(async { Http2::connect(door.address).await.get("/users/events").await }).await;
    assert_eq!((answer.status().as_u16(), answer.body().len(), is_whole), (200, 18, false));
    assert!((SECOND..3 * SECOND).contains(&took), "{took:?}");
    eventually("the backend is let go", || async { backend.is_quiet() }).await;
}
