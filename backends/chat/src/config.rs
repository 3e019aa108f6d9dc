//! The settings of chat. The binary reads them from its one TOML file, which gives every key.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use serde::Deserialize;

/// Settings of the chat backend.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Limits of its HTTP port.
    pub http: kit::http::Config,
    /// The largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// The largest WebSocket message or frame a client may send, in bytes.
    pub frame_bytes_max: NonZeroUsize,
    /// The longest text of a message, in bytes.
    pub text_bytes_max: usize,
    /// Frames a socket may send per second, on average.
    pub rate_per_second: NonZeroU32,
    /// Frames a socket may send at once after a silence.
    pub rate_burst: NonZeroU32,
    /// Rooms a socket may be in at the same time.
    pub rooms_per_socket_max: NonZeroUsize,
    /// Sockets open at the same time on one replica.
    pub sockets_max: usize,
    /// Seconds between two pings of the server.
    pub heartbeat_s: NonZeroU64,
    /// A socket that is silent for so many seconds is closed.
    pub silence_s: NonZeroU64,
    /// Events of a room that are kept in memory for those who are a little behind.
    pub ring_events: NonZeroUsize,
    /// How many events a socket that fell behind is given from the log; one further behind is told `gap`.
    pub refill_events_max: u64,
    /// Milliseconds after which clients come back after a deploy: at random between these two.
    pub reconnect_after_ms: [u64; 2],
}

impl Config {
    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.heartbeat_s.get())
    }

    pub(crate) fn silence(&self) -> Duration {
        Duration::from_secs(self.silence_s.get())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    /// Settings that suit a test.
    pub(crate) fn config() -> super::Config {
        let config = serde_json::json!({
            "http": { "header_timeout_s": 10, "connections_max": 10 },
            "body_bytes_max": 65536,
            "frame_bytes_max": 65536,
            "text_bytes_max": 8192,
            "rate_per_second": 20,
            "rate_burst": 40,
            "rooms_per_socket_max": 4,
            "sockets_max": 10,
            "heartbeat_s": 25,
            "silence_s": 55,
            "ring_events": 64,
            "refill_events_max": 256,
            "reconnect_after_ms": [700, 9000],
        });
        serde_json::from_value(config).expect("settings")
    }
}
