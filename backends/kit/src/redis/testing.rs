//! Servers for the tests of what goes over Redis, and words to wait with.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::RedisAddress;
use crate::health::{Check, Status};

/// How long a test waits for what must happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn address(url: &str) -> RedisAddress {
    url.parse().expect("the address of a server for tests")
}

/// The single Redis that the tests share.
pub(crate) fn single() -> RedisAddress {
    address(&servers::redis_url())
}

/// The cluster that the tests share, by one of its nodes: that it is one is to be found out.
pub(crate) fn cluster() -> RedisAddress {
    static SHARED: OnceLock<servers::RedisCluster> = OnceLock::new();
    address(&SHARED.get_or_init(servers::RedisCluster::start).nodes()[0].url())
}

/// A prefix that no other test has.
pub(crate) fn prefix() -> String {
    format!("test-{}", Uuid::now_v7().simple())
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a check warns, which takes two seconds at most, and returns why.
pub(crate) async fn warning(check: impl Fn() -> Check) -> String {
    let started = Instant::now();
    until("a warning", async || check().status == Status::Warn).await;
    assert!(started.elapsed() < Duration::from_secs(2), "it took {:?}", started.elapsed());
    check().detail.expect("a warning says why")
}

pub(crate) async fn all_well(check: impl Fn() -> Check) {
    until("all is well", async || check() == Check::pass()).await;
}
