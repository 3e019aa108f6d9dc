//! What the system costs, at rest and under load. Starts a superapp of its own on free ports, looks at it from outside, and stops it.
//!
//! `start`: from the start of the process to the first 200 of `/readyz`, and the memory then. `sockets`: the memory of idle
//! WebSockets through gateway and chat. `drips`: slow clients by the thousand. `overload`: three times what a backend can do.
//! `peers`: what the gateway costs under load, beside nginx and HAProxy.

mod drips;
mod overload;
mod peers;
mod subject;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use subject::Subject;

/// Memory settles: buffers are given back, the last health probes end.
const SETTLE: Duration = Duration::from_secs(3);

#[derive(Parser)]
struct Args {
    /// The binary to look at.
    #[arg(long, global = true, default_value = "target/release/superapp")]
    binary: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Time to the first 200 of /readyz, and memory at rest
    Start {
        /// How often; the median is told
        #[arg(long, default_value_t = 11)]
        times: usize,
    },
    /// Memory of idle WebSockets through gateway and chat
    Sockets {
        /// How many
        #[arg(long, default_value_t = 1000)]
        count: usize,
    },
    /// Clients that drip heads and bodies: when they are let go, and whether others notice
    Drips {
        /// How many
        #[arg(long, default_value_t = 10000)]
        count: usize,
    },
    /// Three times what a backend can do: how much of it is still done, and how quickly
    Overload {
        /// For so long
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// CPU per request of the gateway beside nginx and HAProxy
    Peers(peers::Options),
}

// One thread: what a comparison puts on a core is there, and nowhere else.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.what {
        What::Start { times } => start(&args.binary, times).await,
        What::Sockets { count } => sockets(&args.binary, count).await,
        What::Drips { count } => drips::run(&args.binary, count).await,
        What::Overload { seconds } => overload::run(&args.binary, Duration::from_secs(seconds)).await,
        What::Peers(options) => peers::run(options, &args.binary).await,
    }
}

async fn start(binary: &std::path::Path, times: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let first = Subject::start(binary, folder.path()).await?;
    let fresh = first.ready_after;
    first.stop().await?;
    let mut again = Vec::new();
    for _ in 0..times {
        let subject = Subject::start(binary, folder.path()).await?;
        again.push(subject.ready_after);
        subject.stop().await?;
    }
    again.sort_unstable();
    let subject = Subject::start(binary, folder.path()).await?;
    tokio::time::sleep(SETTLE).await;
    println!("ready on a fresh folder      {:>7} ms", fresh.as_millis());
    println!("ready on an existing folder  {:>7} ms (median of {times})", again[times / 2].as_millis());
    println!("resident at rest             {:>7} KiB", subject.resident_kib()?);
    subject.stop().await
}

async fn sockets(binary: &std::path::Path, count: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let subject = Subject::start(binary, folder.path()).await?;
    tokio::time::sleep(SETTLE).await;
    let empty = subject.resident_kib()?;
    let mut clients = Vec::with_capacity(count);
    for number in 0..count {
        clients.push(client(&subject, number).await?);
    }
    tokio::time::sleep(SETTLE).await;
    let idle = subject.resident_kib()?;
    // Everybody hears twenty messages, then all is quiet again: what buffers keep shows here.
    for number in 0..20 {
        clients[0].send(Message::text(format!("message {number}"))).await?;
    }
    for client in &mut clients {
        let mut heard = 0;
        while heard < 20 {
            let frame = client.next().await.transpose()?;
            let text = frame.as_ref().and_then(|frame| frame.to_text().ok()).unwrap_or_default();
            heard += usize::from(text.starts_with("{\"type\":\"message\""));
        }
    }
    tokio::time::sleep(SETTLE).await;
    let after = subject.resident_kib()?;
    drop(clients);
    tokio::time::sleep(SETTLE).await;
    let left = subject.resident_kib()?;
    let each = |resident: u64| (resident.saturating_sub(empty)) as f64 / count as f64;
    println!("resident without sockets     {empty:>7} KiB");
    println!("with {count} idle sockets       {idle:>7} KiB, {:.1} KiB each", each(idle));
    println!("after 20 messages to all     {after:>7} KiB, {:.1} KiB each", each(after));
    println!("after they left              {left:>7} KiB");
    subject.stop().await
}

async fn client(subject: &Subject, number: usize) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(&subject.gateway).await?;
    let url = format!("ws://{}/ws?user=user-{number}", subject.gateway);
    let small = WebSocketConfig::default().read_buffer_size(4096);
    let (mut socket, _) = tokio_tungstenite::client_async_with_config(url, stream, Some(small)).await?;
    for expected in ["welcome", "joined"] {
        let frame = socket.next().await.transpose()?;
        anyhow::ensure!(frame.is_some_and(|frame| frame.to_string().contains(expected)), "expected {expected}");
    }
    Ok(socket)
}
