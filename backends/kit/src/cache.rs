//! The cache: rows kept near, never trusted over the database.
//!
//! [`Cache`] is the contract; `in_process` keeps it inside one process, `redis` between processes,
//! `off` not at all. `contract` holds the tests that each variant passes.

use async_trait::async_trait;
use bytes::Bytes;

use crate::health::Check;

#[cfg(any(test, feature = "testing"))]
pub mod contract;
mod in_process;
mod off;
mod redis;

pub use self::redis::Redis;
pub use in_process::InProcess;
use in_process::is_newer;
pub use off::Off;

/// What the cache knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The row, as its owner wrote it, in this version.
    Row {
        /// Grows with each change of the row.
        version: u64,
        /// The row.
        value: Bytes,
    },
    /// The row was deleted a moment ago.
    Gone,
}

/// Keeps rows by key for a while.
///
/// A row never goes back in time: putting an older version than the one kept does nothing, and nothing replaces `Gone` while
/// it is kept. So a reader that looked before a change and puts after it cannot leave a stale row. Errors are misses:
/// a cache that is away never fails a request.
#[async_trait]
pub trait Cache: Send + Sync {
    /// What is known of `key`, if anything.
    async fn get(&self, key: &str) -> Option<Entry>;

    /// Keeps what was read under `key`, unless something newer is there. It may be dropped: who asks next reads again.
    async fn fill(&self, key: &str, entry: Entry);

    /// Keeps a change of `key`, unless something newer is there. It is not forgotten: what was kept before is not known again.
    async fn put(&self, key: &str, entry: Entry);

    /// How the cache is doing: `warn` when it cannot be used.
    fn check(&self) -> Check;
}
