//! HTTP/2 where it differs from HTTP/1.1. That both say the same otherwise is in `tests/resilience/engines.rs`.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod frames;
mod heads;
mod slow;
mod uploads;
