//! The port for operators: `/metrics` and `/livez`, never on the public door.

use kit::http::{Config, any_of, page, serve};
use tokio::net::TcpListener;

use crate::telemetry::metrics::Metrics;

/// Few come here; a flood must not take the descriptors of those who are served.
const LIMITS: Config = Config { header_timeout_s: 10, connections_max: 64 };

/// Shows the metrics on `listeners` until `shutdown`.
pub(crate) async fn run(metrics: Metrics, listeners: Vec<TcpListener>, shutdown: impl Future<Output = ()> + Send) {
    let show = move || metrics.render();
    let mut routes = page("GET /metrics", "metrics", "text/plain; version=0.0.4; charset=utf-8", show);
    routes.extend(page("GET /livez", "livez", "application/json", || "{\"status\":\"pass\"}\n".to_owned()));
    serve("admin", LIMITS, listeners, any_of(routes), shutdown).await;
}
