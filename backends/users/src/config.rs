//! The settings of users. The binary reads them from its one TOML file, which gives every key.

use serde::Deserialize;

/// Settings of the users backend.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Limits of its HTTP port.
    pub http: kit::http::Config,
    /// The largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// Memory for rows kept near, in bytes; only where the cache is in this process.
    pub cache_bytes_max: u64,
    /// How long a row is kept near, in seconds: in this process or in Redis.
    pub cache_ttl_s: u64,
}
