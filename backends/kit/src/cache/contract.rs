//! The tests that each cache passes; `cache_contract!` runs them against one.

use std::sync::Arc;

use bytes::Bytes;

use super::{Cache, Entry};
use crate::health::Check;

/// Runs every test of the contract against the cache that the expression makes.
#[macro_export]
macro_rules! cache_contract {
    ($make:expr) => {
        $crate::cache_contract! { $make;
            what_was_put_is_found,
            what_was_filled_is_found,
            a_fill_never_replaces_something_newer,
            an_unknown_key_is_a_miss,
            an_older_version_never_replaces_a_newer_one,
            the_same_version_again_changes_nothing,
            versions_are_compared_as_numbers,
            a_deleted_row_does_not_come_back,
            rows_are_bytes,
            keys_do_not_mix,
            of_many_at_once_the_newest_stays,
            all_is_well,
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
pub async fn what_was_filled_is_found(cache: Arc<dyn Cache>) {
    cache.fill("g", row(1, "one")).await;
    assert_eq!(cache.get("g").await, Some(row(1, "one")));
    cache.put("g", row(2, "two")).await;
    assert_eq!(cache.get("g").await, Some(row(2, "two")));
}

#[allow(missing_docs)]
pub async fn a_fill_never_replaces_something_newer(cache: Arc<dyn Cache>) {
    cache.put("h", row(2, "two")).await;
    cache.fill("h", row(1, "one")).await;
    assert_eq!(cache.get("h").await, Some(row(2, "two")));
    cache.put("h", Entry::Gone).await;
    cache.fill("h", row(3, "three")).await;
    assert_eq!(cache.get("h").await, Some(Entry::Gone));
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
    cache.put("c", row(2, "two")).await;
    assert_eq!(cache.get("c").await, Some(Entry::Gone));
}

#[allow(missing_docs)]
pub async fn the_same_version_again_changes_nothing(cache: Arc<dyn Cache>) {
    cache.put("d", row(1, "one")).await;
    cache.put("d", row(1, "another")).await;
    assert_eq!(cache.get("d").await, Some(row(1, "one")));
}

#[allow(missing_docs)]
pub async fn versions_are_compared_as_numbers(cache: Arc<dyn Cache>) {
    // The last ones are the same to who compares them as floating-point numbers.
    for version in [0, 9, 10, 99, 100, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, u64::MAX - 1, u64::MAX] {
        cache.put("e", row(version, "row")).await;
        assert_eq!(cache.get("e").await, Some(row(version, "row")));
    }
    for version in [9, 1 << 53, u64::MAX - 1] {
        cache.put("e", row(version, "older")).await;
        assert_eq!(cache.get("e").await, Some(row(u64::MAX, "row")));
    }
}

#[allow(missing_docs)]
pub async fn rows_are_bytes(cache: Arc<dyn Cache>) {
    let all: Vec<u8> = (0..=255).collect();
    for (key, value) in [("empty", Bytes::new()), ("space", Bytes::from_static(b" gone ")), ("all", Bytes::from(all))] {
        cache.put(key, Entry::Row { version: 1, value: value.clone() }).await;
        assert_eq!(cache.get(key).await, Some(Entry::Row { version: 1, value }));
    }
}

#[allow(missing_docs)]
pub async fn keys_do_not_mix(cache: Arc<dyn Cache>) {
    for number in 0..100 {
        cache.put(&format!("key {number}"), row(number, "row")).await;
    }
    for number in 0..100 {
        assert_eq!(cache.get(&format!("key {number}")).await, Some(row(number, "row")));
    }
    assert_eq!(cache.get("key").await, None);
}

#[allow(missing_docs)]
pub async fn of_many_at_once_the_newest_stays(cache: Arc<dyn Cache>) {
    let puts = (1..=100).map(|number| cache.put("f", row(number * 37 % 101, "row")));
    futures_util::future::join_all(puts).await;
    assert_eq!(cache.get("f").await, Some(row(100, "row")));
}

#[allow(missing_docs)]
pub async fn all_is_well(cache: Arc<dyn Cache>) {
    assert_eq!(cache.check(), Check::pass());
}
