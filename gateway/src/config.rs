//! The settings of the door. The binary reads them from its one TOML file, which gives every key; there are no defaults here.

use std::time::Duration;

use serde::Deserialize;

use crate::Error;
use crate::affinity::Key;

/// Settings of the gateway.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Threads that carry requests; 0 is one for each core.
    pub workers: usize,
    /// How long a client may take to send the head of a request.
    pub header_timeout_s: u64,
    /// The largest head of a request.
    pub header_bytes_max: usize,
    /// The largest request body that is forwarded.
    pub body_bytes_max: usize,
    /// The largest body of a `POST` under `/analytics`, where events arrive in batches.
    pub analytics_body_bytes_max: usize,
    /// A body that arrives slower than this, on average and after five seconds, is given up, as is one that stops.
    pub body_bytes_per_second_min: u64,
    /// How long a client may take nothing of its answer.
    pub write_timeout_s: u64,
    /// How long a client's idle connection is kept open for its next request.
    pub keepalive_s: u64,
    /// How long a WebSocket may stay silent in both directions before it is closed.
    pub websocket_idle_s: u64,
    /// Connections of clients, all together and from one address.
    pub connections_max: usize,
    /// See `connections_max`.
    pub connections_per_address_max: usize,
    /// How long connecting to a replica may take before another one is tried.
    pub connect_timeout_ms: u64,
    /// How long a replica may take to begin its answer before another one is tried, where repeating is safe.
    pub try_timeout_s: u64,
    /// How long an answer may take in all, from the end of the request on; event streams excepted.
    pub request_timeout_s: u64,
    /// How many replicas one request is offered to.
    pub tries_max: usize,
    /// How many requests may be repeated after they were sent, in percent of all.
    pub retry_budget_percent: u8,
    /// Requests in flight to one backend; below it, the limit follows what the backend can do.
    pub cluster_in_flight_max: usize,
    /// Requests that wait for a place.
    pub cluster_waiting_max: usize,
    /// How long they wait.
    pub queue_timeout_ms: u64,
    /// Requests to one backend whose bodies are still arriving; one client may have a quarter of them.
    pub cluster_uploads_max: usize,
    /// Requests in flight to one replica, each on a connection of its own.
    pub endpoint_in_flight_max: usize,
    /// Requests a replica fails in a row before it is left out.
    pub ejection_errors: u32,
    /// For how long it is left out the first time; later it is longer.
    pub ejection_s: u64,
    /// The pause between two health probes of a replica.
    pub health_interval_ms: u64,
    /// How long a health probe may take before the replica counts as failing.
    pub health_timeout_ms: u64,
    /// What is asked.
    pub health_path: String,
    /// The status that means well.
    pub health_status: u16,
    /// Looks in a row that bring a replica back.
    pub health_pass_after: usize,
    /// Looks in a row that take it out. A refused connection of a request takes it out at once.
    pub health_fail_after: usize,
    /// How often the backends are asked for their part of `/openapi.json`; 0 is never.
    pub document_refresh_s: u64,
    /// Origins whose pages may use the door from a browser; none are looked for where the list is empty.
    pub allowed_origins: Vec<String>,
    /// How long `/readyz` says no before the door closes, so that a balancer in front notices.
    pub drain_wait_ms: u64,
    /// How long the binary waits for requests and sockets in flight when it stops; sockets are told to go within it.
    pub drain_s: u64,
    /// The backends behind the door.
    pub clusters: Clusters,
}

/// One cluster per backend.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clusters {
    /// Accounts: `/users…`.
    pub users: ClusterConfig,
    /// Chat: `/ws` and `/chat…`.
    pub chat: ClusterConfig,
    /// Analytics: `/analytics…` and `/dashboard…`.
    pub analytics: ClusterConfig,
}

/// Where the replicas of a backend are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// `host:port` or `host:port weight=N` each. A name is resolved again and again, and each of its addresses is a replica of
    /// its own.
    pub endpoints: Vec<String>,
    /// Who gets a request: `least_latency`, or always the same for a key: `header:NAME`, `cookie:NAME`, `query:NAME`, `path:N`.
    pub balance: String,
}

/// How the replica of a request is found.
pub(crate) enum Balance {
    LeastLatency,
    Affinity(Key),
}

impl Balance {
    pub(crate) fn parse(text: &str) -> Option<Balance> {
        if text == "least_latency" { Some(Balance::LeastLatency) } else { Key::parse(text).map(Balance::Affinity) }
    }
}

impl Config {
    /// Refuses zeros where a zero would mean "for ever", "nobody" or a busy loop, and heads no buffer can hold.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let positive = [
            ("header_timeout_s", self.header_timeout_s),
            ("header_bytes_max", self.header_bytes_max as u64),
            ("write_timeout_s", self.write_timeout_s),
            ("keepalive_s", self.keepalive_s),
            ("websocket_idle_s", self.websocket_idle_s),
            ("connections_max", self.connections_max as u64),
            ("connections_per_address_max", self.connections_per_address_max as u64),
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("try_timeout_s", self.try_timeout_s),
            ("request_timeout_s", self.request_timeout_s),
            ("tries_max", self.tries_max as u64),
            ("cluster_in_flight_max", self.cluster_in_flight_max as u64),
            ("cluster_uploads_max", self.cluster_uploads_max as u64),
            ("endpoint_in_flight_max", self.endpoint_in_flight_max as u64),
            ("ejection_errors", self.ejection_errors.into()),
            ("health_interval_ms", self.health_interval_ms),
            ("health_timeout_ms", self.health_timeout_ms),
            ("health_pass_after", self.health_pass_after as u64),
            ("health_fail_after", self.health_fail_after as u64),
        ];
        if let Some((key, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(Error::Zero { key });
        }
        let limits = [
            ("header_bytes_max", self.header_bytes_max, crate::lane::HEAD_BYTES_MAX),
            ("retry_budget_percent", self.retry_budget_percent.into(), 100),
            // More does not fit into any machine.
            ("cluster_in_flight_max", self.cluster_in_flight_max, 1_000_000),
        ];
        if let Some((key, _, most)) = limits.into_iter().find(|(_, value, most)| value > most) {
            return Err(Error::TooLarge { key, most });
        }
        if !self.health_path.starts_with('/') || self.health_path.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(Error::HealthPath);
        }
        Ok(())
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn try_timeout(&self) -> Duration {
        Duration::from_secs(self.try_timeout_s)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_s)
    }

    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_s)
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_secs(self.write_timeout_s)
    }

    pub(crate) fn keepalive(&self) -> Duration {
        Duration::from_secs(self.keepalive_s)
    }

    pub(crate) fn websocket_idle(&self) -> Duration {
        Duration::from_secs(self.websocket_idle_s)
    }

    pub(crate) fn queue_timeout(&self) -> Duration {
        Duration::from_millis(self.queue_timeout_ms)
    }

    pub(crate) fn ejection(&self) -> Duration {
        Duration::from_secs(self.ejection_s)
    }

    pub(crate) fn health_interval(&self) -> Duration {
        Duration::from_millis(self.health_interval_ms)
    }

    pub(crate) fn health_timeout(&self) -> Duration {
        Duration::from_millis(self.health_timeout_ms)
    }

    pub(crate) fn document_refresh(&self) -> Duration {
        Duration::from_secs(self.document_refresh_s)
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_s)
    }

    pub(crate) fn drain_wait(&self) -> Duration {
        Duration::from_millis(self.drain_wait_ms)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Settings that suit a test, with nobody behind the door.
    pub(crate) fn config() -> Config {
        let cluster = ClusterConfig { endpoints: Vec::new(), balance: "least_latency".to_owned() };
        Config {
            workers: 1,
            header_timeout_s: 10,
            header_bytes_max: 32 * 1024,
            body_bytes_max: 64 * 1024,
            analytics_body_bytes_max: 128 * 1024,
            body_bytes_per_second_min: 256,
            write_timeout_s: 30,
            keepalive_s: 75,
            websocket_idle_s: 90,
            connections_max: 1000,
            connections_per_address_max: 1000,
            connect_timeout_ms: 500,
            try_timeout_s: 10,
            request_timeout_s: 30,
            tries_max: 3,
            retry_budget_percent: 20,
            cluster_in_flight_max: 1024,
            cluster_waiting_max: 1024,
            cluster_uploads_max: 2048,
            queue_timeout_ms: 100,
            endpoint_in_flight_max: 1024,
            ejection_errors: 5,
            ejection_s: 5,
            health_interval_ms: 500,
            health_timeout_ms: 400,
            health_path: "/readyz".to_owned(),
            health_status: 200,
            health_pass_after: 1,
            health_fail_after: 1,
            document_refresh_s: 0,
            allowed_origins: Vec::new(),
            drain_wait_ms: 0,
            drain_s: 30,
            clusters: Clusters { users: cluster.clone(), chat: cluster.clone(), analytics: cluster },
        }
    }
}
