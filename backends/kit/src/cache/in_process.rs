//! The cache inside one process: bounded by bytes, least used rows go first.

use std::time::Duration;

use async_trait::async_trait;
use moka::ops::compute::Op;

use super::{Cache, Entry};
use crate::health::Check;

/// What one entry costs beside its key and value, roughly.
const OVERHEAD: usize = 128;

/// A cache in this process's memory.
pub struct InProcess {
    entries: moka::sync::Cache<String, Entry>,
}

impl InProcess {
    /// Keeps at most about `bytes_max` bytes, each entry for at most `ttl`.
    pub fn new(bytes_max: u64, ttl: Duration) -> Self {
        let weigh = |key: &String, entry: &Entry| {
            let value = match entry {
                Entry::Row { value, .. } => value.len(),
                Entry::Gone => 0,
            };
            u32::try_from(key.len() + value + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self { entries: moka::sync::Cache::builder().max_capacity(bytes_max).weigher(weigh).time_to_live(ttl).build() }
    }
}

#[async_trait]
impl Cache for InProcess {
    async fn get(&self, key: &str) -> Option<Entry> {
        self.entries.get(key)
    }

    async fn fill(&self, key: &str, entry: Entry) {
        self.put(key, entry).await;
    }

    async fn put(&self, key: &str, entry: Entry) {
        self.entries.entry_by_ref(key).and_compute_with(|present| {
            let present = present.map(moka::Entry::into_value);
            if is_newer(&entry, present.as_ref()) { Op::Put(entry) } else { Op::Nop }
        });
    }

    fn check(&self) -> Check {
        Check::pass()
    }
}

/// Whether `entry` replaces what is present.
pub(super) fn is_newer(entry: &Entry, present: Option<&Entry>) -> bool {
    match (entry, present) {
        (_, None) | (Entry::Gone, Some(_)) => true,
        (Entry::Row { .. }, Some(Entry::Gone)) => false,
        (Entry::Row { version, .. }, Some(Entry::Row { version: kept, .. })) => version > kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::cache_contract!(std::sync::Arc::new(InProcess::new(1 << 20, Duration::from_secs(60))));

    #[tokio::test]
    async fn it_stays_within_its_bytes() {
        let cache = InProcess::new(10_000, Duration::from_secs(60));
        for number in 0..1000 {
            let value = bytes::Bytes::from(vec![b'x'; 100]);
            cache.put(&format!("key-{number}"), Entry::Row { version: 1, value }).await;
        }
        cache.entries.run_pending_tasks();
        assert!(cache.entries.weighted_size() <= 10_000);
    }
}
