//! Metrics: collected from every role of the process, shown as Prometheus reads them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_appender::non_blocking::ErrorCounter;

/// From half a millisecond, a cached read, to the thirty seconds after which the gateway gives up.
const SECONDS: [f64; 15] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Without upkeep, measurements that nobody asks for would pile up.
const UPKEEP: Duration = Duration::from_secs(5);

/// The metrics of this process.
#[derive(Clone)]
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    /// Lines of the log that nobody took.
    lost: ErrorCounter,
}

impl Metrics {
    /// Collects from now on.
    pub(crate) fn install(lost: ErrorCounter) -> anyhow::Result<Self> {
        let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
        let handle = builder.context("set buckets")?.install_recorder().context("install the metrics recorder")?;
        describe();
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        gauge!("process_start_time_seconds").set(started.as_secs_f64());
        Ok(Self { handle, lost })
    }

    /// All metrics, in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        observe_process();
        counter!("log_lines_lost_total").absolute(self.lost.dropped_lines() as u64);
        self.handle.render()
    }

    /// Keeps what is collected small, for ever.
    pub(crate) async fn upkeep(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.handle.run_upkeep();
        }
    }
}

fn describe() {
    describe_counter!("gateway_requests_total", "Requests at the door, by route, method and status.");
    describe_histogram!("gateway_request_duration_seconds", Unit::Seconds, "Time from a request's head to the end of its answer.");
    describe_gauge!("gateway_sockets_open", "WebSockets open through the gateway, by replica.");
    describe_counter!("gateway_upstream_errors_total", "Failures between gateway and replicas, by cluster and kind.");
    describe_counter!("gateway_connections_refused_total", "Connections of clients over a limit.");
    describe_counter!("gateway_http2_malformed_total", "Streams of HTTP/2 that were reset as malformed, before or within a request.");
    describe_counter!("gateway_ejections_total", "Times a replica was left out, by replica and why.");
    describe_counter!("gateway_access_log_lost_total", "Lines of the access log that could not be written.");
    describe_counter!("gateway_endpoint_requests_total", "Requests a replica was asked, tries included.");
    describe_counter!("gateway_endpoint_errors_total", "Of these, those it failed: no answer, or 502, 503, 504.");
    describe_gauge!("gateway_endpoint_in_flight", "Requests a replica is answering.");
    describe_gauge!("gateway_endpoint_available", "1 while a replica gets requests.");
    describe_gauge!("gateway_connections_open", "Connections of clients.");
    describe_gauge!("gateway_concurrency_limit", "Requests a cluster is asked at the same time, at most, as found out.");
    describe_gauge!("gateway_cluster_in_flight", "Requests in flight to a cluster.");
    describe_gauge!("gateway_cluster_waiting", "Requests that wait for a place in a cluster.");
    describe_counter!("http_requests_total", "Requests to a backend's own port, by role, route and status.");
    describe_histogram!("http_request_duration_seconds", Unit::Seconds, "Time a backend took for an answer.");
    describe_counter!("database_commits_total", "Commits, by database.");
    describe_counter!("database_writes_total", "Writes that were asked for, by database; those that come together share a commit.");
    describe_gauge!("database_writes_waiting", "Writes that wait for the commit under way, by database.");
    describe_histogram!("database_commit_duration_seconds", Unit::Seconds, "Time of a commit, its writes included, by database.");
    describe_gauge!("database_connections", "Connections to PostgreSQL, by database and whether they are idle or used.");
    describe_gauge!("database_callers_waiting", "Callers that wait for a connection to PostgreSQL, by database.");
    describe_counter!("bus_messages_published_total", "Messages given to Redis for other processes.");
    describe_counter!("bus_messages_lost_total", "Messages that did not reach Redis, or whom they were for, at least.");
    describe_counter!("cache_writes_failed_total", "Rows that Redis did not take.");
    describe_counter!("users_created_total", "Accounts created.");
    describe_counter!("users_cache_lookups_total", "Reads of a user by id, by whether the cache had him.");
    describe_gauge!("chat_sockets_open", "WebSockets open, by replica.");
    describe_counter!("chat_messages_sent_total", "Messages that took their place in a log.");
    describe_counter!("chat_messages_delivered_total", "Messages sent to sockets.");
    describe_counter!("chat_bus_malformed_total", "Messages on the channels of chat that are no frames.");
    describe_counter!("chat_events_repaired_total", "Events that the bus lost or was late with, read from the log.");
    describe_counter!("chat_gaps_total", "Times a socket was so far behind that it was told of a gap.");
    describe_counter!("analytics_events_accepted_total", "Events counted.");
    describe_counter!("analytics_events_duplicate_total", "Events that were there already.");
    describe_counter!("analytics_events_rejected_total", "Events that break the rules.");
    describe_counter!("analytics_happenings_lost_total", "Happenings of users and chat that were lost on their way, at least.");
    describe_counter!("analytics_happenings_malformed_total", "Happenings that could not be read.");
    describe_counter!("log_lines_lost_total", "Lines of the log that were lost as nobody read them.");
    describe_gauge!("process_start_time_seconds", Unit::Seconds, "When the process started, since 1970.");
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Memory the process holds.");
    describe_gauge!("process_open_fds", "File descriptors the process has open.");
}

/// Reads what the kernel knows of us; where it tells nothing, nothing is shown.
fn observe_process() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    if let Some(kib) = resident {
        gauge!("process_resident_memory_bytes").set(kib * 1024.0);
    }
    if let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") {
        let open = u32::try_from(descriptors.count()).unwrap_or(u32::MAX);
        gauge!("process_open_fds").set(f64::from(open));
    }
}
