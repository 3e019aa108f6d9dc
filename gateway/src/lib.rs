//! The only door: routes requests, balances replicas, limits bodies and knows the health of everything.
//!
//! The binary builds a [`Config`], makes a [`Gateway`] of it and hands bound listeners to [`serve`]. Backends are known by
//! address only; logs and numbers leave through the `tracing` and `metrics` facades.
//!
//! The judgement (which service, which replica, what to answer, what to try again) is in `exchange` and knows no engine. Two
//! engines carry bytes for it: `lane`, our own for HTTP/1.1, and `proxy`, pingora-proxy for HTTP/2. pingora appears in these
//! two, `server` and `probe` only.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access_log;
mod admission;
mod affinity;
mod answer;
mod app;
mod balance;
mod budget;
mod cluster;
mod config;
mod connections;
mod cors;
mod docs;
mod document;
mod endpoint;
mod error;
mod etag;
mod exchange;
mod failure;
mod forwarded;
mod gateway;
mod health;
mod host;
mod lane;
mod latency;
mod observe;
mod operators;
mod outlier;
mod own_pages;
mod pace;
mod probe;
mod problem;
mod problem_pages;
mod proxy;
mod request_id;
mod resolve;
mod route;
mod server;
mod status;
mod status_page;
mod ticks;
mod trace;

pub use access_log::AccessLog;
pub use app::App;
pub use config::{ClusterConfig, Clusters, Config};
pub use error::Error;
pub use gateway::{Gateway, Parts};
#[doc(hidden)]
pub use lane::fuzzing;
pub use server::serve;
pub use status::{Health, Replica, ServiceStatus, Services, Status};
