//! The door is told to stop: every client is told to go, by a Close frame between two others, one after the other and not all at once.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Interval, interval};
use tokio_tungstenite::tungstenite::Message;

use crate::peers::{Client, Replica, SMALL, goodbye, is_over, next, numbered, open, open_on, pattern};
use crate::support::{Door, LIMIT, config, eventually};

const GOING_AWAY: (u16, &str) = (1001, "");
const QUIET: usize = 300;
const CHATTY: usize = 60;
const FLOODED: usize = 20;
/// What a slow client reads, each hundredth of a second, and a very slow one.
const GULP: usize = 64 * 1024;
const SIP: usize = 8 * 1024;

async fn door_before(replica: &Replica) -> Door {
    Door::open(config(&[replica.address()], &[replica.address()], &[replica.address()])).await
}

async fn slow(door: &Door, ask: &str, sip: usize) -> Client<Slow> {
    let socket = TcpSocket::new_v4().unwrap();
    // What lies in it must not take long to read.
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let stream = socket.connect(door.address).await.unwrap();
    open_on(Slow::reading(stream, sip, Duration::from_millis(10)), ask).await
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
        let _ = socket.send(Message::binary(numbered(number, SMALL))).await;
        match next(&mut socket).await {
            Some(Message::Binary(back)) => assert_eq!(back, numbered(number, SMALL)),
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
                assert!(bytes == numbered(number, SMALL) && last < Some(number), "{number} after {last:?}");
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
async fn a_large_frame_arrives_whole_before_the_client_is_told_to_go() {
    const BYTES: usize = 40 * 1024 * 1024;
    let replica = Replica::start().await;
    let mut door = door_before(&replica).await;
    // It takes longer than goodbyes take.
    let mut socket = slow(&door, &format!("frame={BYTES}"), GULP).await;
    socket.get_ref().stream.readable().await.unwrap();
    let reading = tokio::spawn(async move {
        let Some(Message::Binary(bytes)) = next(&mut socket).await else { panic!("the frame was cut") };
        assert!(bytes == pattern(BYTES));
        told_to_go(socket).await
    });
    let stopped = Instant::now();
    door.stop();
    let told = tokio::time::timeout(3 * LIMIT, reading).await.expect("the frame in time").unwrap();
    assert!(told - stopped > Duration::from_secs(4), "it went too fast to show anything: {:?}", told - stopped);
    door.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_told_more_than_it_can_read_is_told_to_go_too() {
    let replica = Replica::start().await;
    let mut door = door_before(&replica).await;
    let mut clients = JoinSet::new();
    for _ in 0..2 {
        clients.spawn(listen(slow(&door, "flood", SIP).await));
    }
    // More than all the kernel's buffers on the way to the clients hold.
    eventually("much is under way", || async { replica.sent.load(Ordering::SeqCst) > 20_000 }).await;
    door.stop();
    tokio::time::timeout(3 * LIMIT, clients.join_all()).await.expect("all are told in time");
    door.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_any_more_does_not_keep_the_door_open() {
    closes_before_clients_that_read_nothing(1, "flood", 1000).await;
}

#[tokio::test]
async fn nor_does_one_to_which_whole_frames_were_sent() {
    // Every second byte is the end of a frame.
    closes_before_clients_that_read_nothing(8, "specks", 1_000_000).await;
}

/// The door closes once so many messages are under way to so many clients.
async fn closes_before_clients_that_read_nothing(clients: usize, ask: &str, sent: usize) {
    let replica = Replica::start().await;
    let mut door = door_before(&replica).await;
    let sockets = join_all((0..clients).map(|_| open(door.address, ask))).await;
    eventually("much is under way", || async { replica.sent.load(Ordering::SeqCst) > sent }).await;
    door.stop();
    door.closed().await;
    drop(sockets);
}

#[tokio::test]
async fn nor_does_one_that_reads_nothing_and_goes_on_talking_in_the_middle_of_a_frame() {
    let replica = Replica::start().await;
    let mut door = door_before(&replica).await;
    let mut socket = open(door.address, "frame=50000000").await;
    let talking = tokio::spawn(async move {
        let mut pace = interval(Duration::from_millis(50));
        while socket.send(Message::text("and another thing")).await.is_ok() {
            pace.tick().await;
        }
    });
    door.stop();
    door.closed().await;
    talking.abort();
}

/// A connection that is read at a pace: so many bytes at each tick.
struct Slow {
    stream: TcpStream,
    bytes: usize,
    pace: Interval,
    left: usize,
}

impl Slow {
    fn reading(stream: TcpStream, bytes: usize, pace: Duration) -> Slow {
        Slow { stream, bytes, pace: interval(pace), left: 0 }
    }
}

impl AsyncRead for Slow {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            ready!(self.pace.poll_tick(cx));
            self.left = self.bytes;
        }
        let most = self.left;
        let mut part = buffer.take(most);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buffer.advance(read);
        self.left -= read;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Slow {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
