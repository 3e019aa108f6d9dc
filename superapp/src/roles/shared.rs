//! What the processes of a system share, or where there is only one, its parts: the bus and the cache.

use std::sync::Arc;
use std::time::Duration;

use kit::bus::Bus;
use kit::cache::Cache;

use crate::settings::{Place, Settings};

/// Through Redis where there is one, else inside this process.
pub(super) struct Shared {
    pub(super) bus: Arc<dyn Bus>,
    /// Of users.
    pub(super) cache: Arc<dyn Cache>,
}

impl Shared {
    /// Begins to connect; Redis need not be there.
    pub(super) fn start(settings: &Settings) -> Self {
        let config = &settings.users.config;
        let ttl = Duration::from_secs(config.cache_ttl_s);
        match (&settings.data.redis, &settings.data.users) {
            (Some(redis), _) => Self {
                bus: Arc::new(kit::bus::Redis::start(redis.address.clone(), &redis.prefix)),
                cache: Arc::new(kit::cache::Redis::start(redis.address.clone(), &redis.prefix, ttl)),
            },
            // The file belongs to this process, so nobody else changes its rows.
            (None, Place::Folder(_)) => Self {
                bus: Arc::new(kit::bus::InProcess::default()),
                cache: Arc::new(kit::cache::InProcess::new(config.cache_bytes_max, ttl)),
            },
            // Another process could change a row that is kept here.
            (None, Place::Server(_)) => Self { bus: Arc::new(kit::bus::InProcess::default()), cache: Arc::new(kit::cache::Off) },
        }
    }
}
