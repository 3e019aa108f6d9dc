//! Analytics: skeleton.
#![allow(missing_docs)]

mod config;
pub mod store;

use std::sync::Arc;

use kit::bus::Bus;
use kit::clock::Clock;
use tokio::net::TcpListener;

pub use config::Config;
use store::Store;

#[derive(Clone)]
pub struct Analytics {
    config: Config,
}

impl Analytics {
    pub fn new(config: Config, _store: Arc<dyn Store>, _bus: Arc<dyn Bus>, _clock: Clock) -> Self {
        Self { config }
    }
}

pub async fn serve(analytics: Analytics, listeners: Vec<TcpListener>, shutdown: impl Future<Output = ()> + Send) {
    let check = || async { kit::health::Health::of([]) };
    let http = analytics.config.http.clone();
    kit::http::serve("analytics", http, listeners, kit::http::any_of(kit::http::health_routes(check)), shutdown).await;
}
