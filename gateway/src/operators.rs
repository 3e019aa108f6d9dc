//! What operators see of the door: `/clusters` with every replica, its state and why; and numbers that are read, not counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::Serialize;

use crate::cluster::Cluster;
use crate::endpoint::Endpoint;
use crate::{Gateway, Health, answer, ticks};

#[derive(Serialize)]
struct View {
    /// Connections of clients.
    connections: usize,
    /// Requests and sockets.
    in_flight: usize,
    clusters: Vec<ClusterView>,
}

#[derive(Serialize)]
struct ClusterView {
    name: &'static str,
    /// Requests that may be in flight now, are in flight, and wait.
    limit: usize,
    in_flight: usize,
    waiting: usize,
    endpoints: Vec<EndpointView>,
}

#[derive(Serialize)]
struct EndpointView {
    address: String,
    /// `live`, `warn`, `failing`, `ejected`, or `unknown` as long as nobody has looked.
    state: &'static str,
    /// Why it is not live.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    weight: usize,
    in_flight: usize,
    sockets: usize,
    requests: u64,
    errors: u64,
    /// The average by which it is chosen.
    latency_ms: f64,
}

/// All clusters, as one line of JSON.
pub(crate) fn clusters(gateway: &Gateway) -> String {
    let view = View {
        connections: gateway.connections().open(),
        in_flight: gateway.in_flight(),
        clusters: gateway.clusters().into_iter().map(cluster).collect(),
    };
    String::from_utf8_lossy(&answer::json_line(&view)).into_owned()
}

fn cluster(cluster: &Cluster) -> ClusterView {
    ClusterView {
        name: cluster.service.name(),
        limit: cluster.admission.limit(),
        in_flight: cluster.admission.in_flight(),
        waiting: cluster.admission.waiting(),
        endpoints: cluster.endpoints().iter().map(|one| endpoint(one)).collect(),
    }
}

fn endpoint(endpoint: &Endpoint) -> EndpointView {
    let now = ticks::at(Instant::now());
    let (state, why) = state(endpoint, now);
    EndpointView {
        address: endpoint.name.to_string(),
        state,
        why,
        weight: endpoint.weight(),
        in_flight: endpoint.in_flight.load(Ordering::Relaxed),
        sockets: endpoint.sockets.load(Ordering::Relaxed),
        requests: endpoint.requests.load(Ordering::Relaxed),
        errors: endpoint.errors.load(Ordering::Relaxed),
        latency_ms: (endpoint.latency.micros(now) / 10.0).round() / 100.0,
    }
}

fn state(endpoint: &Endpoint, now: u64) -> (&'static str, Option<String>) {
    let Some(check) = endpoint.last_check() else { return ("unknown", Some("not checked yet".to_owned())) };
    let said = || check.error.clone().or_else(|| check.checks.as_ref().map(ToString::to_string));
    if !endpoint.is_live() {
        return ("failing", said());
    }
    if endpoint.outlier.is_ejected(now) {
        let seconds = endpoint.outlier.ejected_for(now).as_secs_f64();
        return ("ejected", Some(format!("{}; for {seconds:.1} s more", endpoint.outlier.reason())));
    }
    match check.health {
        Health::Pass => ("live", None),
        Health::Warn | Health::Fail => ("warn", said()),
    }
}

/// Brings gauges and totals of replicas up to date; to be called before they are shown.
pub(crate) fn publish(gateway: &Gateway) {
    metrics::gauge!("gateway_connections_open").set(gateway.connections().open() as f64);
    for cluster in gateway.clusters() {
        let name = cluster.service.name();
        metrics::gauge!("gateway_cluster_in_flight", "cluster" => name).set(cluster.admission.in_flight() as f64);
        metrics::gauge!("gateway_cluster_waiting", "cluster" => name).set(cluster.admission.waiting() as f64);
        metrics::gauge!("gateway_concurrency_limit", "cluster" => name).set(cluster.admission.limit() as f64);
        let now = ticks::at(Instant::now());
        cluster.show_endpoints(|endpoint| {
            let in_flight = endpoint.in_flight.load(Ordering::Relaxed);
            publish_endpoint(name, endpoint, in_flight as f64, f64::from(u8::from(endpoint.is_available(now))));
        });
    }
}

/// The last that is said of a replica that has left. What it still answers is not shown. A series cannot be taken back, and must not
/// say "left out" for ever, which would be an alarm that nobody can put out: it says nothing.
pub(crate) fn take_leave(cluster: &'static str, endpoint: &Endpoint) {
    publish_endpoint(cluster, endpoint, f64::NAN, f64::NAN);
}

fn publish_endpoint(cluster: &'static str, endpoint: &Endpoint, in_flight: f64, is_available: f64) {
    let labels = [("cluster", cluster.to_owned()), ("endpoint", endpoint.name.to_string())];
    // Whoever returns under its address begins at zero; what is shown of the address goes on.
    let news = |count: &AtomicU64, told: &AtomicU64| {
        let now = count.load(Ordering::Relaxed);
        now.saturating_sub(told.swap(now, Ordering::Relaxed))
    };
    let (requests, errors) = (news(&endpoint.requests, &endpoint.told_requests), news(&endpoint.errors, &endpoint.told_errors));
    metrics::counter!("gateway_endpoint_requests_total", &labels).increment(requests);
    metrics::counter!("gateway_endpoint_errors_total", &labels).increment(errors);
    metrics::gauge!("gateway_endpoint_in_flight", &labels).set(in_flight);
    metrics::gauge!("gateway_endpoint_available", &labels).set(is_available);
}
