//! Analytics: what happened, each event counted exactly once.
//!
//! Owns the table of events, the counts that are kept beside it, and the HTTP contract of `/analytics`. A request goes
//! `routes → handlers → store → sql`; the happenings of the other backends come over the bus and take the same way from the
//! store on.

mod batch;
mod config;
mod error;
mod gzip;
mod handlers;
mod happenings;
mod intake;
mod model;
mod operations;
mod queries;
mod routes;
pub mod store;

use std::sync::Arc;

use kit::bus::Bus;
use kit::clock::Clock;
use kit::health::Health;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use error::Error;
pub use model::{Event, Id, Name, Properties, UserId};

use happenings::Listener;
use intake::Intake;
use store::Store;

/// The backend, ready to serve. Cloning is cheap; all clones share the store.
#[derive(Clone)]
pub struct Analytics {
    config: Config,
    intake: Intake,
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    clock: Clock,
}

impl Analytics {
    /// Puts the parts together. The happenings of the system are heard on `bus`, from the start of [`serve`] on.
    pub fn new(config: Config, store: Arc<dyn Store>, bus: Arc<dyn Bus>, clock: Clock) -> Self {
        Self { intake: Intake::new(&config), config, store, bus, clock }
    }

    async fn health(&self) -> Health {
        Health::of([("database", self.store.check().await), ("bus", self.bus.check())])
    }
}

/// Answers on `listeners` and stores what is heard on the bus until `shutdown`; then lets the requests under way finish, and
/// stores what was heard by then.
pub async fn serve(analytics: Analytics, listeners: Vec<TcpListener>, shutdown: impl Future<Output = ()> + Send) {
    let subscription = analytics.bus.subscribe(kit::happening::TOPIC);
    let mut listener = Listener::new(subscription, analytics.store.clone(), analytics.clock, analytics.config.happenings_queue_max);
    let stop = CancellationToken::new();
    let http = analytics.config.http.clone();
    let answering = async {
        kit::http::serve("analytics", http, listeners, routes::table(analytics).into_routes(), shutdown).await;
        stop.cancel();
    };
    tokio::join!(answering, listener.run(&stop));
}
