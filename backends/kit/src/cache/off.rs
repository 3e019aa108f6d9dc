//! The cache that keeps nothing: where several processes change the same rows and no Redis tells them of each other.

use async_trait::async_trait;

use super::{Cache, Entry};
use crate::health::Check;

/// Keeps nothing and knows nothing: each read asks the database.
#[derive(Debug, Default, Clone, Copy)]
pub struct Off;

#[async_trait]
impl Cache for Off {
    async fn get(&self, _key: &str) -> Option<Entry> {
        None
    }

    async fn fill(&self, _key: &str, _entry: Entry) {}

    async fn put(&self, _key: &str, _entry: Entry) {}

    fn check(&self) -> Check {
        Check::pass()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_put_is_not_known() {
        Off.put("key", Entry::Gone).await;
        Off.fill("key", Entry::Gone).await;
        assert_eq!(Off.get("key").await, None);
    }
}
