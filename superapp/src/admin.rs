//! The port for operators: `/metrics`, `/clusters` and `/livez`, never on the public door.

use std::time::Duration;

use gateway::Gateway;
use kit::http::{Config, any_of, page, serve};
use tokio::net::TcpListener;

use crate::telemetry::metrics::Metrics;

/// Few come here; a flood must not take the descriptors of those who are served.
const LIMITS: Config = Config { header_timeout_s: 10, connections_max: 64, stop_grace: Duration::ZERO };

/// Shows the metrics on `listeners` until `shutdown`, and the clusters where there is a gateway.
pub(crate) async fn run(
    metrics: Metrics,
    gateway: Option<Gateway>,
    listeners: Vec<TcpListener>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let observed = gateway.clone();
    let show = move || {
        if let Some(gateway) = &observed {
            gateway.publish_metrics();
        }
        metrics.render()
    };
    let mut routes = page("GET /metrics", "metrics", "text/plain; version=0.0.4; charset=utf-8", show);
    routes.extend(page("GET /livez", "livez", "application/json", || "{\"status\":\"pass\"}\n".to_owned()));
    if let Some(gateway) = gateway {
        routes.extend(page("GET /clusters", "clusters", "application/json", move || gateway.clusters_json()));
    }
    serve("admin", LIMITS, listeners, any_of(routes), shutdown).await;
}
