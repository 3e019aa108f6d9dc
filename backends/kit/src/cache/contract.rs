//! The tests that each cache passes; `cache_contract!` runs them against one.

use std::sync::Arc;

use bytes::Bytes;

use super::{Cache, Entry};

/// Runs every test of the contract against the cache that the expression makes.
#[macro_export]
macro_rules! cache_contract {
    ($make:expr) => {
        $crate::cache_contract! { $make;
            what_was_put_is_found,
            an_unknown_key_is_a_miss,
            an_older_version_never_replaces_a_newer_one,
            a_deleted_row_does_not_come_back,
        }
    };
    ($make:expr; $($test:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $test() {
            $crate::cache::contract::$test($make).await;
        })+
    };
}

fn row(version: u64, value: &'static str) -> Entry {
    Entry::Row { version, value: Bytes::from_static(value.as_bytes()) }
}

#[allow(missing_docs)]
pub async fn what_was_put_is_found(cache: Arc<dyn Cache>) {
    cache.put("a", row(1, "one")).await;
    assert_eq!(cache.get("a").await, Some(row(1, "one")));
}

#[allow(missing_docs)]
pub async fn an_unknown_key_is_a_miss(cache: Arc<dyn Cache>) {
    assert_eq!(cache.get("nobody").await, None);
}

#[allow(missing_docs)]
pub async fn an_older_version_never_replaces_a_newer_one(cache: Arc<dyn Cache>) {
    cache.put("b", row(2, "two")).await;
    cache.put("b", row(1, "one")).await;
    assert_eq!(cache.get("b").await, Some(row(2, "two")));
    cache.put("b", row(3, "three")).await;
    assert_eq!(cache.get("b").await, Some(row(3, "three")));
}

#[allow(missing_docs)]
pub async fn a_deleted_row_does_not_come_back(cache: Arc<dyn Cache>) {
    cache.put("c", row(1, "one")).await;
    cache.put("c", Entry::Gone).await;
    cache.put("c", row(1, "one")).await;
    assert_eq!(cache.get("c").await, Some(Entry::Gone));
}
