//! What the machine gives: a core for the proxy under test, the others for load and backends, enough descriptors; and what it
//! does besides.

use std::fs;
use std::net::SocketAddr;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::net::TcpListener;

use super::process;

/// 1,000 connections have two ends in a proxy and, of the WebSockets, two in this process.
const DESCRIPTORS: u64 = 8192;

/// The cores, as `taskset` writes them.
pub(crate) struct Cores {
    /// Of the proxy under test, alone.
    pub(crate) proxy: String,
    /// Of everything else.
    pub(crate) rest: String,
}

impl Cores {
    /// Takes the last core for the proxy and keeps this thread, and all that it starts, away from there.
    pub(crate) fn part() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        let (proxy, rest) = cores.split_last().context("no core")?;
        anyhow::ensure!(!rest.is_empty(), "two cores are needed: one for the proxy, one for load and backends");
        let mut ours = CpuSet::new();
        rest.iter().for_each(|core| ours.set(*core));
        sched_setaffinity(None, &ours)?;
        Ok(Self { proxy: proxy.to_string(), rest: rest.iter().map(usize::to_string).collect::<Vec<_>>().join(",") })
    }
}

/// Raises the limit on open files for this process and all that it starts.
pub(crate) fn raise_descriptors() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= DESCRIPTORS) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), maximum: limit.maximum })
        .with_context(|| format!("{DESCRIPTORS} open files are needed: raise `ulimit -Hn`"))
}

/// A port that is free now. Programs that cannot tell which one they took are told one.
pub(crate) async fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

/// The CPU time of the machine that this bench has not used: what others have taken disturbs what is measured.
pub(crate) struct Others {
    all_ticks: u64,
    busy_ticks: u64,
    our_ticks: u64,
}

impl Others {
    pub(crate) fn now() -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        // user nice system idle iowait irq softirq steal; what follows is contained in the first two.
        let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>()?;
        let all_ticks = ticks.iter().sum();
        let idle_ticks: u64 = ticks.iter().skip(3).take(2).sum();
        Ok(Self { all_ticks, busy_ticks: all_ticks - idle_ticks, our_ticks: process::ticks_of_this_bench()? })
    }

    /// The share of the machine, of 1, that others have used since.
    pub(crate) fn share_since(self) -> anyhow::Result<f64> {
        let now = Self::now()?;
        let others = (now.busy_ticks - self.busy_ticks).saturating_sub(now.our_ticks.saturating_sub(self.our_ticks));
        Ok(others as f64 / (now.all_ticks - self.all_ticks).max(1) as f64)
    }
}
