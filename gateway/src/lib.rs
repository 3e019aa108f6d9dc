//! The only door: routes requests, balances replicas, limits bodies and knows the health of everything.
//!
//! The binary builds a [`Config`], makes a [`Gateway`] of it and hands bound listeners to [`serve`]. Backends are known by
//! address only; logs and numbers leave through the `tracing` and `metrics` facades.
//!
//! The judgement (which service, which replica, what to answer) knows no engine. pingora appears in `proxy`, `server` and
//! `probe` only.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answer;
mod balance;
mod cluster;
mod config;
mod error;
mod gateway;
mod health;
mod own_pages;
mod probe;
mod problem;
mod proxy;
mod request_id;
mod resolve;
mod route;
mod server;
mod status;
mod status_page;

pub use config::{ClusterConfig, Clusters, Config};
pub use error::Error;
pub use gateway::Gateway;
pub use server::serve;
pub use status::{Health, Replica, ServiceStatus, Services, Status};
