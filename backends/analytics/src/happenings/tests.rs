//! Happenings over the bus inside one process, into a real store that fails when told to.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use kit::bus::{Bus, InProcess};
use kit::clock::Timestamp;
use kit::database;
use kit::happening::{Happening, TOPIC};
use kit::health::Check;

use super::*;
use crate::Error;
use crate::store::sqlite::SqliteStore;
use crate::store::{Inserted, Summary};

/// A store that says `error` so many times before it does what it should.
struct Flaky {
    inner: SqliteStore,
    failures: AtomicUsize,
    error: database::Error,
}

#[async_trait]
impl Store for Flaky {
    async fn count_events(&self) -> Result<u64, Error> {
        self.inner.count_events().await
    }

    async fn insert_events(&self, events: Vec<Event>, now: Timestamp) -> Result<Inserted, Error> {
        let fails = self.failures.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails { Err(self.error.clone().into()) } else { self.inner.insert_events(events, now).await }
    }

    async fn summary(&self, now: Timestamp) -> Result<Summary, Error> {
        self.inner.summary(now).await
    }

    async fn check_invariants(&self) -> Result<Vec<String>, Error> {
        self.inner.check_invariants().await
    }

    async fn check(&self) -> Check {
        self.inner.check().await
    }
}

struct Setup {
    bus: InProcess,
    store: Arc<Flaky>,
    _folder: tempfile::TempDir,
}

impl Setup {
    fn new(failures: usize, error: database::Error) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = SqliteStore::open(folder.path()).expect("a store");
        let store = Arc::new(Flaky { inner, failures: AtomicUsize::new(failures), error });
        Self { bus: InProcess::default(), store, _folder: folder }
    }

    fn listener(&self, waiting_max: usize) -> Listener {
        Listener::new(self.bus.subscribe(TOPIC), self.store.clone(), kit::clock::now, waiting_max)
    }

    fn publish(&self, count: usize) {
        for _ in 0..count {
            happening().publish(&self.bus);
        }
    }
}

fn happening() -> Happening {
    Happening::new("user.created", kit::clock::now(), Some("ada".to_owned()), Some(serde_json::json!({ "room": "lobby" })))
}

/// What a listener does with what is there when it is told to stop.
async fn drain(mut listener: Listener) -> Listener {
    let stop = CancellationToken::new();
    stop.cancel();
    listener.run(&stop).await;
    listener
}

#[tokio::test]
async fn what_is_heard_twice_is_counted_once() {
    let setup = Setup::new(0, database::Error::Busy);
    let listener = setup.listener(1000);
    let twice = happening();
    twice.publish(&setup.bus);
    twice.publish(&setup.bus);
    setup.publish(600);
    let listener = drain(listener).await;
    assert_eq!((setup.store.count_events().await.unwrap(), listener.lost), (601, 0));
}

#[tokio::test]
async fn what_is_malformed_is_dropped_and_the_rest_counted() {
    let setup = Setup::new(0, database::Error::Busy);
    let listener = setup.listener(1000);
    for payload in ["", "{", "[]", r#"{"name":"\u0000"}"#, "\u{0}"] {
        setup.bus.publish(TOPIC, "", Bytes::from(payload));
    }
    setup.publish(1);
    let listener = drain(listener).await;
    assert_eq!((setup.store.count_events().await.unwrap(), listener.lost), (1, 0));
}

#[tokio::test]
async fn they_wait_for_a_store_that_is_busy() {
    let setup = Setup::new(2, database::Error::Busy);
    let mut listener = setup.listener(1000);
    setup.publish(300);
    let stop = CancellationToken::new();
    let watching = async {
        while setup.store.count_events().await.unwrap() < 300 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(listener.run(&stop), watching) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("stored within twenty seconds");
    assert_eq!(listener.lost, 0);
}

#[tokio::test]
async fn beyond_the_limit_they_are_lost_and_counted() {
    let setup = Setup::new(usize::MAX, database::Error::Unavailable("disk full".to_owned()));
    let mut listener = setup.listener(5);
    setup.publish(12);
    let stop = CancellationToken::new();
    let watching = async {
        // The first attempt has failed, and the listener hears on while it waits.
        while setup.store.failures.load(Ordering::SeqCst) > usize::MAX - 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(listener.run(&stop), watching) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("gives up within twenty seconds");
    assert_eq!((setup.store.count_events().await.unwrap(), listener.lost), (0, 12));
}

#[tokio::test]
async fn a_batch_that_can_never_be_stored_does_not_hold_up_the_next() {
    let setup = Setup::new(1, database::Error::Internal("a defect".to_owned()));
    let listener = setup.listener(1000);
    setup.publish(BATCH + 3);
    let listener = drain(listener).await;
    assert_eq!((setup.store.count_events().await.unwrap(), listener.lost), (3, BATCH as u64));
}

#[tokio::test]
async fn what_the_bus_lost_is_counted_as_lost() {
    let setup = Setup::new(0, database::Error::Busy);
    let listener = setup.listener(100_000);
    setup.publish(10_000);
    let listener = drain(listener).await;
    assert!(listener.lost > 0 && setup.store.count_events().await.unwrap() < 10_000);
}
