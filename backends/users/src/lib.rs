//! Users: who has an account.
//!
//! Owns the table of users, the rules for names and addresses, and the HTTP contract of `/users`. A request goes
//! `routes → handlers → store → sql`; reads by id are answered from the cache where it has them.

mod cached;
mod conditions;
mod config;
mod error;
mod flights;
mod handlers;
mod model;
mod operations;
mod queries;
mod routes;
pub mod store;

use std::sync::Arc;

use kit::bus::Bus;
use kit::cache::Cache;
use kit::clock::Clock;
use kit::health::Health;
use tokio::net::TcpListener;

pub use config::Config;
pub use error::Error;
pub use model::{Change, Email, Name, User};

use cached::CachedUsers;
use store::Store;

/// The backend, ready to serve. Cloning is cheap; all clones share the store.
#[derive(Clone)]
pub struct Users {
    config: Config,
    store: Arc<dyn Store>,
    cached: CachedUsers,
    bus: Arc<dyn Bus>,
    clock: Clock,
}

impl Users {
    /// Puts the parts together. Happenings are told on `bus`; `cache` keeps rows that were read.
    pub fn new(config: Config, store: Arc<dyn Store>, bus: Arc<dyn Bus>, cache: Arc<dyn Cache>, clock: Clock) -> Self {
        let cached = CachedUsers::new(store.clone(), cache);
        Self { config, store, cached, bus, clock }
    }

    async fn health(&self) -> Health {
        Health::of([("database", self.store.check().await), ("bus", self.bus.check()), ("cache", self.cached.check())])
    }
}

/// Answers on `listeners` until `shutdown`, then lets the requests under way finish.
pub async fn serve(users: Users, listeners: Vec<TcpListener>, shutdown: impl Future<Output = ()> + Send) {
    let http = users.config.http.clone();
    kit::http::serve("users", http, listeners, routes::table(users).into_routes(), shutdown).await;
}
