//! The whole system, seen from outside: a really started binary, spoken to over HTTP and WebSocket only.
//!
//! A story is a sentence. Most run three times: against everything in one process, a process per role, and several per role on
//! PostgreSQL and Redis. `support`, beside this folder, is the vocabulary they are told in.

// A story fails where something is not as it tells.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod analytics;
mod backups;
mod chat;
mod contract;
mod faults;
mod gateway;
mod logs;
mod names;
mod production;
mod readme;
mod schemathesis;

mod start;
mod users;
