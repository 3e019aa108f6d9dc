//! What clients notice when replicas fail, are slow, come and go: as little as can be. Real sockets on both sides.
//!
//! `load` asks, `replica` answers and can be stopped; where a test needs a backend that misbehaves, it writes one as a script for
//! `support::backend`.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod affinity;
mod balance;
mod deadlines;
mod engines;
mod failing;
mod health;
mod http2;
mod limits;
mod load;
mod names;
mod replica;
mod restart;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::backend::Backend;
use support::{Door, config};

/// Settings of a door before replicas of the users, and nothing else.
fn before(users: &[SocketAddr]) -> gateway::Config {
    config(users, &[], &[])
}

fn addresses(backends: &[Backend]) -> Vec<SocketAddr> {
    backends.iter().map(|backend| backend.address).collect()
}

/// What operators see of the users' replicas, in the order they were given.
fn endpoints(door: &Door) -> Vec<Value> {
    let clusters: Value = serde_json::from_str(&door.gateway.clusters_json()).unwrap();
    clusters["clusters"][0]["endpoints"].as_array().unwrap().clone()
}

fn state(door: &Door, index: usize) -> String {
    endpoints(door)[index]["state"].as_str().unwrap().to_owned()
}

/// How long something took, and what came of it.
async fn timed<T>(something: impl Future<Output = T>) -> (Duration, T) {
    let began = Instant::now();
    let done = something.await;
    (began.elapsed(), done)
}
