//! Ten thousand clients that drip: heads and bodies that never end, a few bytes at a time. Are they let go at their deadline, what
//! do they cost, and do others notice?

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::subject::Subject;

/// How often each of them says something.
const PACE: Duration = Duration::from_secs(1);
/// Nobody may be there any more after this: ten seconds for a head, five and a little for a body, and one to read the answer.
const GONE_AFTER: Duration = Duration::from_secs(20);
/// How long good traffic is measured, before and meanwhile.
const MEASURED: Duration = Duration::from_secs(5);
/// Good requests, one after the other.
const GOOD_PACE: Duration = Duration::from_millis(2);

/// They come from so many addresses, or the limit of connections from one would turn most of them away.
const ADDRESSES: usize = 4;
/// They give way to whoever else wants to compute (nice): what they cost the gateway is of interest, not what they cost this machine.
const NICE: i32 = 19;

/// Lets `count` clients drip, and tells what came of it.
pub(crate) async fn run(binary: &Path, count: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let subject = Subject::start(binary, folder.path()).await?;
    let calm = good_traffic(&subject.gateway).await?;
    let before = subject.resident_kib()?;

    let (connected, are_connected) = tokio::sync::oneshot::channel();
    let gateway = subject.gateway.parse()?;
    let drips = std::thread::spawn(move || drip_all(gateway, count, connected));
    // An error is told below.
    let _ = are_connected.await;
    let busy = good_traffic(&subject.gateway).await?;
    let during = subject.resident_kib()?;
    let stayed = tokio::task::spawn_blocking(|| drips.join()).await?.map_err(|_| anyhow::anyhow!("the clients that drip panicked"))??;
    let longest = stayed.iter().max().copied().unwrap_or_default();
    let left = stayed.iter().filter(|stayed| **stayed >= GONE_AFTER).count();
    println!("{count} clients that drip: the last one was let go after {:.1} s, {left} never", longest.as_secs_f64());
    println!("memory of each                {:>7.1} KiB", (during.saturating_sub(before)) as f64 / count as f64);
    println!("good requests, p99, without   {:>7.2} ms", millis(calm));
    println!("good requests, p99, meanwhile {:>7.2} ms, {:.2} times", millis(busy), millis(busy) / millis(calm));
    subject.stop().await
}

/// All of them, on this thread; how long each stayed.
#[tokio::main(flavor = "current_thread")]
async fn drip_all(gateway: SocketAddr, count: usize, connected: tokio::sync::oneshot::Sender<()>) -> anyhow::Result<Vec<Duration>> {
    rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE)?;
    let mut clients = JoinSet::new();
    for number in 0..count {
        let socket = TcpSocket::new_v4()?;
        let host = u8::try_from(number % ADDRESSES)? + 1;
        socket.bind(SocketAddr::from(([127, 0, 0, host], 0)))?;
        let stream = socket.connect(gateway).await.with_context(|| format!("connection {number}"))?;
        clients.spawn(drip(stream, number));
    }
    // Nobody listens when the measurement has failed.
    let _ = connected.send(());
    Ok(clients.join_all().await)
}

/// Says a little again and again, until it is sent away; how long that took.
async fn drip(mut stream: TcpStream, number: usize) -> Duration {
    let started = Instant::now();
    let is_head = number.is_multiple_of(2);
    let first: &[u8] = if is_head {
        b"GET /users HTTP/1.1\r\nhost: door\r\n"
    } else {
        b"POST /users HTTP/1.1\r\nhost: door\r\ncontent-length: 60000\r\n\r\n"
    };
    let piece: &[u8] = if is_head { b"x-a: b\r\n" } else { b"x" };
    let talk = async {
        let (mut reading, mut writing) = stream.split();
        writing.write_all(first).await?;
        let mut pace = tokio::time::interval(PACE);
        let mut answer = [0; 1024];
        loop {
            tokio::select! {
                read = reading.read(&mut answer) => if read? == 0 { return Ok(()) },
                _ = pace.tick() => writing.write_all(piece).await?,
            }
        }
    };
    let talk: Result<Result<(), std::io::Error>, _> = tokio::time::timeout(GONE_AFTER, talk).await;
    match talk {
        Ok(_) => started.elapsed(),
        Err(_) => GONE_AFTER,
    }
}

/// The 99th percentile of what a good request takes.
async fn good_traffic(gateway: &str) -> anyhow::Result<Duration> {
    let mut stream = TcpStream::connect(gateway).await?;
    stream.set_nodelay(true)?;
    let started = Instant::now();
    let mut took = Vec::new();
    let mut answer = vec![0; 64 * 1024];
    while started.elapsed() < MEASURED {
        let asked = Instant::now();
        stream.write_all(b"GET /users HTTP/1.1\r\nhost: door\r\n\r\n").await?;
        let read = stream.read(&mut answer).await?;
        anyhow::ensure!(answer.get(..read).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200")), "a good request was not answered");
        took.push(asked.elapsed());
        tokio::time::sleep(GOOD_PACE).await;
    }
    took.sort_unstable();
    took.get(took.len() * 99 / 100).copied().context("nothing was measured")
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
