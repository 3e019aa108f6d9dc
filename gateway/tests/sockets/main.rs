//! WebSockets through the door, with real WebSockets at both ends: they stay open while replicas come and go, they end by a Close
//! frame and never without one, and what is said arrives.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod drain;
mod limits;
mod peers;
mod replicas;
mod talk;
