//! Throw-away servers for tests: PostgreSQL, Redis, and a Redis Cluster, from the binaries of the machine.
//!
//! Each runs on a free port of loopback in a folder of its own, and both go when the test process ends, however it ends. With
//! `TEST_DATABASE_URL` and `TEST_REDIS_URL` a server that is there already is used instead, where a test needs no server of
//! its own to stop and kill.
//!
//! ```text
//! let database = servers::Database::create();          // a fresh database on the server that the tests share; database.url()
//! let redis = servers::redis_url();                    // the Redis that the tests share
//! let postgres = servers::Postgres::start();           // one's own: restart, stop, start, kill, pause, resume
//! let redis = servers::Redis::start();
//! let cluster = servers::RedisCluster::start();
//! ```

// Where a server cannot be started there is nothing to test: a panic with the reason is the right answer.
#![allow(clippy::unwrap_used)]

mod database;
mod postgres;
mod redis;
mod redis_cluster;
mod sql;
mod supervised;

use std::sync::OnceLock;

pub use database::Database;
pub use postgres::Postgres;
pub use redis::{Asleep, Listening, Redis};
pub use redis_cluster::RedisCluster;
pub use sql::{Held, hold, run};

/// The Redis that the tests of this process share. They must keep apart by themselves: by a prefix of their own.
pub fn redis_url() -> String {
    static SHARED: OnceLock<Redis> = OnceLock::new();
    std::env::var("TEST_REDIS_URL").unwrap_or_else(|_| SHARED.get_or_init(Redis::start).url())
}
