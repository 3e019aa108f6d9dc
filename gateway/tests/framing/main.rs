//! How HTTP/1.1 goes through the door, to the letter: what is refused, what is passed on, and that no answer and no request
//! ever ends up where it does not belong. Real sockets on both sides; `support`, beside this folder, reads and writes the bytes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod bodies;
mod corpus;
mod early;
mod expect;
mod fuzz;
mod headers;
mod hyper_peers;
mod mixed;
mod mutation;
mod ordinary;
mod pooled;
mod upgrade;

use support::backend::Backend;
use support::{Door, config};

/// A door before one backend that is everything.
async fn door_before(backend: &Backend) -> Door {
    Door::open(config_before(backend)).await
}

fn config_before(backend: &Backend) -> gateway::Config {
    config(&[backend.address], &[backend.address], &[backend.address])
}
