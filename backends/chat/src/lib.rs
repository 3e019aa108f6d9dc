//! Chat: rooms, each with one durable log.
//!
//! Owns the logs, the sockets of its replica, and the HTTP contract of `/chat` and `/ws`. A message goes
//! `socket (or handlers) → sequencer → store → sql`, and comes back `hub → socket` on every replica.

mod config;
mod error;
mod frames;
mod handlers;
mod hub;
mod limits;
mod model;
mod operations;
mod queries;
mod replica;
mod routes;
mod sequencer;
mod socket;
pub mod store;
mod upgrade;

use std::sync::Arc;

use kit::bus::Bus;
use kit::clock::Clock;
use tokio::net::TcpListener;

pub use config::Config;
pub use error::Error;
pub use model::{ClientId, Draft, Event, Room, RoomName, UserName};

use replica::Replica;
use store::Store;

/// One replica of the backend, ready to serve.
pub struct Chat {
    config: Config,
    name: String,
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    clock: Clock,
}

impl Chat {
    /// Puts the parts together. `name` is how the replica calls itself; replicas on the same store hear each other on `bus`.
    pub fn new(config: Config, name: String, store: Arc<dyn Store>, bus: Arc<dyn Bus>, clock: Clock) -> Self {
        Self { config, name, store, bus, clock }
    }
}

/// Answers on `listeners` until `shutdown`; then says goodbye to every socket, lets the requests under way finish, and
/// returns when the last socket is closed.
pub async fn serve(chat: Chat, listeners: Vec<TcpListener>, shutdown: impl Future<Output = ()> + Send) {
    let http = chat.config.http.clone();
    let (replica, work) = Replica::start(chat);
    let leaving = replica.clone();
    let shutdown = async move {
        shutdown.await;
        leaving.say_goodbye();
    };
    kit::http::serve("chat", http, listeners, routes::table(replica.clone()).into_routes(), shutdown).await;
    replica.sockets_closed().await;
    drop(work);
}
