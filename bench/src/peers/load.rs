//! What a load generator has done: how much, in which time, and how long each answer took.

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinSet;

/// The outcome of one load.
pub(crate) struct Load {
    pub(crate) requests: usize,
    pub(crate) took: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Load {
    /// Of clients that each tell the microseconds of every answer.
    pub(crate) async fn of_all(started: Instant, mut clients: JoinSet<anyhow::Result<Vec<u32>>>) -> anyhow::Result<Self> {
        let mut micros = Vec::new();
        while let Some(client) = clients.join_next().await {
            micros.extend(client??);
        }
        let took = started.elapsed();
        micros.sort_unstable();
        let quantile = |share: usize| {
            let at = micros.get(micros.len() * share / 100).context("not one answer");
            at.map(|micros| Duration::from_micros((*micros).into()))
        };
        Ok(Self { requests: micros.len(), took, p50: quantile(50)?, p99: quantile(99)? })
    }
}
