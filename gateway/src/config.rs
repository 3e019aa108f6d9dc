//! The settings of the door. The binary reads them from its one TOML file, which gives every key; there are no defaults here.

use std::time::Duration;

use serde::Deserialize;

use crate::Error;

/// Settings of the gateway.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long connecting to a replica may take before another one is tried.
    pub connect_timeout_ms: u64,
    /// How long a backend may stay silent during a plain request before the caller gets 504.
    pub request_timeout_s: u64,
    /// How long the binary waits for requests and sockets in flight when it stops. Only carried here, not used here.
    pub drain_s: u64,
    /// The largest request body that is forwarded.
    pub body_bytes_max: usize,
    /// The largest body of a `POST` under `/analytics`, where events arrive in batches.
    pub analytics_body_bytes_max: usize,
    /// How long a WebSocket may stay silent in both directions before it is closed.
    pub websocket_idle_s: u64,
    /// How long a client's idle connection is kept open for its next request.
    pub keepalive_s: u64,
    /// The pause between two health probes of a replica.
    pub health_interval_ms: u64,
    /// How long a health probe may take before the replica counts as failing.
    pub health_timeout_ms: u64,
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
    /// `host:port` each. A name is resolved again and again, and each of its addresses is a replica of its own.
    pub endpoints: Vec<String>,
}

impl Config {
    /// Refuses zeros where a zero would mean "for ever" or a busy loop.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let positive = [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("request_timeout_s", self.request_timeout_s),
            ("websocket_idle_s", self.websocket_idle_s),
            ("keepalive_s", self.keepalive_s),
            ("health_interval_ms", self.health_interval_ms),
            ("health_timeout_ms", self.health_timeout_ms),
        ];
        match positive.into_iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(Error::Zero { key }),
            None => Ok(()),
        }
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_s)
    }

    pub(crate) fn websocket_idle(&self) -> Duration {
        Duration::from_secs(self.websocket_idle_s)
    }

    pub(crate) fn health_interval(&self) -> Duration {
        Duration::from_millis(self.health_interval_ms)
    }

    pub(crate) fn health_timeout(&self) -> Duration {
        Duration::from_millis(self.health_timeout_ms)
    }
}
