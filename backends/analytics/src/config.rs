//! The settings of analytics. The binary reads them from its one TOML file, which gives every key.

use serde::Deserialize;

/// Settings of the analytics backend.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Limits of its HTTP port.
    pub http: kit::http::Config,
    /// The largest body of a request, in bytes: as it is sent, and again once decompressed.
    pub body_bytes_max: usize,
    /// Events in one body at most, array or NDJSON.
    pub batch_events_max: usize,
    /// Bodies that wait to be stored at most, in bytes; more are told to come again.
    pub intake_bytes_max: usize,
    /// Happenings of the system that wait to be stored at most; more are lost and counted.
    pub happenings_queue_max: usize,
}
