//! The door is told to stop: every client is told to go, by a Close frame between two others, one after the other and not all at once.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::peers::{Client, Replica, goodbye, is_over, next, numbered, open};
use crate::support::{Door, LIMIT, config, eventually};

const GOING_AWAY: (u16, &str) = (1001, "");
const QUIET: usize = 300;
const CHATTY: usize = 60;
const FLOODED: usize = 20;

async fn door_before(replica: &Replica) -> Door {
    Door::open(config(&[replica.address()], &[replica.address()], &[replica.address()])).await
}

/// Waits for the Close frame that must come next; when it came.
async fn told_to_go<S: AsyncRead + AsyncWrite + Unpin>(mut socket: Client<S>) -> Instant {
    assert_eq!(goodbye(next(&mut socket).await.as_ref()), GOING_AWAY);
    let told = Instant::now();
    assert!(is_over(&mut socket).await);
    told
}

/// Asks and hears the answer, as fast as it goes, until it is told to go.
async fn chat(mut socket: Client) -> Instant {
    for number in 0.. {
        // Once the Close frame has come, more can neither be said nor be answered.
        let _ = socket.send(Message::binary(numbered(number))).await;
        match next(&mut socket).await {
            Some(Message::Binary(back)) => assert_eq!(back, numbered(number)),
            other => {
                assert_eq!(goodbye(other.as_ref()), GOING_AWAY);
                break;
            }
        }
    }
    let told = Instant::now();
    assert!(is_over(&mut socket).await);
    told
}

/// Listens to what never ends, until it is told to go.
async fn listen<S: AsyncRead + AsyncWrite + Unpin>(mut socket: Client<S>) -> Instant {
    let mut last = None;
    loop {
        match next(&mut socket).await {
            Some(Message::Binary(bytes)) => {
                let number = bytes[..8].iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
                assert!(bytes == numbered(number) && last < Some(number), "{number} after {last:?}");
                last = Some(number);
            }
            other => {
                assert_eq!(goodbye(other.as_ref()), GOING_AWAY);
                break;
            }
        }
    }
    let told = Instant::now();
    assert!(is_over(&mut socket).await);
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_is_told_to_go_one_after_the_other_whatever_it_is_doing() {
    let replica = Replica::start().await;
    let mut door = door_before(&replica).await;
    let mut clients = JoinSet::new();
    for _ in 0..QUIET {
        clients.spawn(told_to_go(open(door.address, "echo").await));
    }
    for _ in 0..CHATTY {
        clients.spawn(chat(open(door.address, "echo").await));
    }
    for _ in 0..FLOODED {
        clients.spawn(listen(open(door.address, "flood").await));
    }
    assert_eq!(door.gateway.in_flight(), QUIET + CHATTY + FLOODED);
    let stopped = Instant::now();
    door.stop();
    let limit = tokio::time::timeout(LIMIT, clients.join_all());
    let mut told: Vec<_> = limit.await.expect("all are told in time").iter().map(|told| told.duration_since(stopped)).collect();
    told.sort_unstable();
    let (first, last) = (told[0], told[told.len() - 1]);
    println!("the first after {first:?}, the last after {last:?}");
    assert!(last - first > Duration::from_secs(1), "{first:?} to {last:?}");
    for start in &told {
        let crowd = told.iter().filter(|told| (*start..*start + Duration::from_millis(100)).contains(*told)).count();
        assert!(crowd < told.len() / 3, "{crowd} within a tenth of a second after {start:?}");
    }
    let empty = Instant::now();
    door.closed().await;
    assert!(empty.elapsed() < Duration::from_secs(1), "closed only {:?} after the last has gone", empty.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_any_more_does_not_keep_the_door_open() {
    let replica = Replica::start().await;
    let mut door = door_before(&replica).await;
    let socket = open(door.address, "flood").await;
    eventually("much is under way", || async { replica.sent.load(Ordering::SeqCst) > 1000 }).await;
    door.stop();
    door.closed().await;
    drop(socket);
}
