//! What is said arrives: every byte, in order, however slowly it is read.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::peers::{LARGE, Replica, accept, next, numbered, open};
use crate::support::backend::{Backend, Visit};
use crate::support::dice::Dice;
use crate::support::{Door, LIMIT, config, eventually};

const CLIENTS: u64 = 4;
const MESSAGES: usize = 60;
const MEGABYTE: usize = 1024 * 1024;

/// Waits until a count has not moved for longer than any limit of requests; what it is then.
async fn stops(count: impl Fn() -> usize) -> usize {
    let last = std::cell::Cell::new((0, Instant::now()));
    eventually("it stops", || async {
        if count() != last.get().0 {
            last.set((count(), Instant::now()));
        }
        last.get().1.elapsed() > Duration::from_millis(1500)
    })
    .await;
    count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_stops_its_replica_and_finds_everything_later() {
    const MESSAGES: usize = 100 * MEGABYTE / LARGE;
    let replica = Replica::start().await;
    let mut config = config(&[], &[replica.address()], &[]);
    config.write_timeout_s = 1;
    config.request_timeout_s = 1;
    let door = Door::open(config).await;
    let mut socket = open(door.address, &format!("large={MESSAGES}")).await;
    let sent = stops(|| replica.sent.load(Ordering::SeqCst)).await;
    // The kernel's buffers hold some, at both of the door's sockets and at both of their peers.
    assert!(sent * LARGE < 40 * MEGABYTE, "the door has taken {} MB that nobody reads", sent * LARGE / MEGABYTE);
    for number in 0..MESSAGES {
        let Some(Message::Binary(bytes)) = next(&mut socket).await else { panic!("cut at {number}") };
        assert!(bytes == numbered(number, LARGE), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_does_not_read_stops_its_client_and_finds_everything_later() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let reads = std::sync::Arc::new(tokio::sync::Notify::new());
    let may_read = reads.clone();
    let backend = Backend::start(move |visit| {
        let (tell, may_read) = (tell.clone(), may_read.clone());
        async move {
            let mut socket = accept(visit).await;
            may_read.notified().await;
            while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
                tell.send(bytes).ok()?;
            }
            None
        }
    })
    .await;
    let mut config = config(&[], &[backend.address], &[]);
    config.write_timeout_s = 1;
    config.request_timeout_s = 1;
    let door = Door::open(config).await;
    let mut socket = open(door.address, "listen").await;
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counting = sent.clone();
    let messages = 100 * MEGABYTE / LARGE;
    let sending = tokio::spawn(async move {
        for number in 0..messages {
            socket.send(Message::binary(numbered(number, LARGE))).await.unwrap();
            counting.fetch_add(1, Ordering::SeqCst);
        }
        socket
    });
    let count = stops(|| sent.load(Ordering::SeqCst)).await;
    assert!(count * LARGE < 40 * MEGABYTE, "the door has taken {} MB that nobody reads", count * LARGE / MEGABYTE);
    reads.notify_one();
    for number in 0..messages {
        let bytes = tokio::time::timeout(LIMIT, told.recv()).await.expect("more in time").expect("all of it");
        assert!(bytes == numbered(number, LARGE), "{number}");
    }
    drop(sending.await.unwrap());
}

/// The frames of a message of any size, whole or in pieces, with pings around and in between; and the message.
fn frames(dice: &mut Dice) -> (Vec<Message>, Vec<u8>) {
    let most = *dice.pick(&[1, 126, 127, 1000, 65_536, 65_537, MEGABYTE + 1]);
    let length = dice.below(most);
    let bytes = dice.bytes(length);
    let pieces = if dice.one_in(2) { 1 } else { dice.below(5) + 1 };
    let mut frames = Vec::new();
    for piece in 0..pieces {
        if dice.one_in(4) {
            let length = dice.below(126);
            frames.push(Message::Ping(dice.bytes(length).into()));
        }
        let (start, end) = (length * piece / pieces, length * (piece + 1) / pieces);
        let code = if piece == 0 { Data::Binary } else { Data::Continue };
        let payload = bytes[start..end].to_vec();
        frames.push(Message::Frame(Frame::message(payload, OpCode::Data(code), piece + 1 == pieces)));
    }
    (frames, bytes)
}

/// Sends each message back with every byte inverted, in other frames.
async fn invert(visit: Visit, seed: u64) -> Option<Visit> {
    let mut dice = Dice::with_seed(seed);
    let mut socket = accept(visit).await;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(bytes) = message else { continue };
        let inverted: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        let at = dice.below(inverted.len() + 1);
        let (first, rest) = inverted.split_at(at);
        for (payload, code, is_last) in [(first, Data::Binary, false), (rest, Data::Continue, true)] {
            let frame = Frame::message(payload.to_vec(), OpCode::Data(code), is_last);
            socket.send(Message::Frame(frame)).await.ok()?;
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_any_size_in_any_frames_arrive_as_they_were() {
    let seed = Dice::new().seed;
    let backend = Backend::start(move |visit| invert(visit, seed)).await;
    let door = Door::open(config(&[], &[backend.address], &[])).await;
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(talk(door.address, seed + number))).collect();
    for client in clients {
        tokio::time::timeout(6 * LIMIT, client).await.expect("all of it in time").unwrap();
    }
}

/// Talks and listens at the same time.
async fn talk(door: std::net::SocketAddr, seed: u64) {
    let mut dice = Dice::with_seed(seed);
    let (mut says, mut hears) = open(door, "invert").await.split();
    let conversation: Vec<_> = (0..MESSAGES).map(|_| frames(&mut dice)).collect();
    let expected: Vec<_> = conversation.iter().map(|(_, bytes)| bytes.clone()).collect();
    let saying = tokio::spawn(async move {
        for frame in conversation.into_iter().flat_map(|(frames, _)| frames) {
            says.send(frame).await.unwrap();
        }
        says
    });
    for (number, sent) in expected.iter().enumerate() {
        let back = loop {
            match hears.next().await {
                Some(Ok(Message::Binary(bytes))) => break bytes,
                Some(Ok(Message::Pong(_))) => {}
                other => panic!("seed {seed}, message {number}: {other:?}"),
            }
        };
        let is_inverted = back.len() == sent.len() && back.iter().zip(sent).all(|(back, sent)| *back == !sent);
        assert!(is_inverted, "seed {seed}, message {number}: {} bytes for {}", back.len(), sent.len());
    }
    let mut says = saying.await.unwrap();
    says.send(Message::Close(None)).await.unwrap();
    assert!(matches!(hears.next().await, Some(Ok(Message::Close(None)))));
    assert!(matches!(hears.next().await, None | Some(Err(Error::ConnectionClosed))));
}
