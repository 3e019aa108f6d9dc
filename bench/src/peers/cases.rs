//! The cases: what is asked of each proxy, how it is measured, and what we want of ourselves.

use std::path::Path;
use std::time::Duration;

use super::load::Load;
use super::proxy::Proxy;
use super::{fresh, socket, wrk};

/// Connections of the cases that name no other number.
const CONNECTIONS: usize = 64;
const MANY_CONNECTIONS: usize = 1000;
const IDLE_SOCKETS: usize = 1000;
/// Memory settles: allocators give back what the handshakes needed.
const SETTLE: Duration = Duration::from_secs(3);

/// One of the comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Case {
    /// 200 B over 64 connections
    Small,
    /// 200 B over 1,000 connections
    Many,
    /// 16 KB over 64 connections
    Medium,
    /// 1 MB over 64 connections
    Large,
    /// A new connection for each request of 200 B
    Fresh,
    /// A WebSocket message of 128 B there and back, over 64 sockets
    Echo,
    /// Memory of each of 1,000 idle WebSockets
    Idle,
}

/// What one round found.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// Microseconds of CPU time for a request or message, or KiB for a socket.
    pub(crate) cost: f64,
    /// `None` where nothing happens.
    pub(crate) pace: Option<Pace>,
}

/// How quick it was.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) per_second: f64,
    /// The share of its core the proxy was busy, of 1.
    pub(crate) busy: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// The most that our gateway may cost: times the peer's, p99 times p50, and in itself.
pub(crate) struct Goals {
    pub(crate) nginx: Option<f64>,
    pub(crate) haproxy: Option<f64>,
    pub(crate) p99_to_p50: Option<f64>,
    pub(crate) cost: Option<f64>,
}

impl Case {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Case::Small => "200 B over 64 connections",
            Case::Many => "200 B over 1,000 connections",
            Case::Medium => "16 KB over 64 connections",
            Case::Large => "1 MB over 64 connections",
            Case::Fresh => "200 B, a new connection each",
            Case::Echo => "WebSocket echo of 128 B",
            Case::Idle => "an idle WebSocket of 1,000",
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Case::Idle => "KiB of memory",
            _ => "µs of CPU",
        }
    }

    pub(crate) fn goals(self) -> Goals {
        let both = |ratio| Goals { nginx: Some(ratio), haproxy: Some(ratio), p99_to_p50: None, cost: None };
        match self {
            Case::Small => both(0.90),
            Case::Many => Goals { p99_to_p50: Some(2.0), ..both(0.80) },
            Case::Medium | Case::Echo => both(1.0),
            Case::Large => Goals { haproxy: None, ..both(1.1) },
            Case::Fresh => both(1.05),
            Case::Idle => Goals { nginx: None, haproxy: None, p99_to_p50: None, cost: Some(8.0) },
        }
    }

    /// Memory that others have left behind would be used again, and not be seen.
    pub(crate) fn needs_a_new_proxy(self) -> bool {
        self == Case::Idle
    }

    /// Puts the load on the proxy for a round and says what it cost.
    pub(crate) async fn measure(self, proxy: &Proxy, folder: &Path, seconds: u64) -> anyhow::Result<Sample> {
        let time = Duration::from_secs(seconds);
        let kept = |path, connections| wrk::requests(folder, proxy.address, path, connections, seconds);
        match self {
            Case::Small => cpu_of(proxy, kept("/users/200b", CONNECTIONS)).await,
            Case::Many => cpu_of(proxy, kept("/users/200b", MANY_CONNECTIONS)).await,
            Case::Medium => cpu_of(proxy, kept("/users/16kb", CONNECTIONS)).await,
            Case::Large => cpu_of(proxy, kept("/users/1mb", CONNECTIONS)).await,
            Case::Fresh => cpu_of(proxy, fresh::requests(proxy.address, CONNECTIONS, time)).await,
            Case::Echo => {
                let sockets = socket::open(proxy.address, CONNECTIONS).await?;
                cpu_of(proxy, socket::echo(sockets, time)).await
            }
            Case::Idle => memory_of_sockets(proxy).await,
        }
    }
}

async fn cpu_of(proxy: &Proxy, load: impl Future<Output = anyhow::Result<Load>>) -> anyhow::Result<Sample> {
    let before = proxy.process.cpu()?;
    let load = load.await?;
    let cpu = proxy.process.cpu()?.saturating_sub(before).as_secs_f64();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let took = load.took.as_secs_f64();
    let requests = load.requests as f64;
    let pace = Pace { per_second: requests / took, busy: cpu / took, p50_ms: ms(load.p50), p99_ms: ms(load.p99) };
    Ok(Sample { cost: cpu * 1e6 / requests, pace: Some(pace) })
}

async fn memory_of_sockets(proxy: &Proxy) -> anyhow::Result<Sample> {
    // What the first socket brings, every proxy has only once.
    let _first = socket::open(proxy.address, 1).await?;
    let before = proxy.process.resident_kib()?;
    let sockets = socket::open(proxy.address, IDLE_SOCKETS).await?;
    tokio::time::sleep(SETTLE).await;
    let after = proxy.process.resident_kib()?;
    Ok(Sample { cost: after.saturating_sub(before) as f64 / sockets.len() as f64, pace: None })
}
