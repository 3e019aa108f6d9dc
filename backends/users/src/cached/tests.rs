//! One read for all who miss together, over a store that counts and waits.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, poll};
use kit::cache::{InProcess, Off};
use kit::clock::Timestamp;
use kit::health::Check;
use tokio::sync::Semaphore;

use super::*;
use crate::model::Change;
use crate::store::{Conditions, Page};

/// A store of one user. A read sees him as he is when it begins, and ends when it may.
struct Slow {
    user: Mutex<Option<User>>,
    reads: AtomicUsize,
    may_end: Semaphore,
}

#[async_trait]
impl Store for Slow {
    async fn find_user(&self, _id: Uuid) -> Result<Option<User>, Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let seen = self.user.lock().unwrap().clone();
        self.may_end.acquire().await.expect("open").forget();
        Ok(seen)
    }

    async fn count_users(&self) -> Result<u64, Error> {
        unreachable!("it is asked for one user only")
    }

    async fn list_users(&self, _page: Page) -> Result<Vec<User>, Error> {
        unreachable!("it is asked for one user only")
    }

    async fn insert_user(&self, _user: User) -> Result<(), Error> {
        unreachable!("it is asked for one user only")
    }

    async fn update_user(&self, _id: Uuid, _change: Change, _conditions: Conditions, _now: Timestamp) -> Result<User, Error> {
        unreachable!("it is asked for one user only")
    }

    async fn delete_user(&self, _id: Uuid, _conditions: Conditions) -> Result<(), Error> {
        unreachable!("it is asked for one user only")
    }

    async fn check_invariants(&self) -> Result<Vec<String>, Error> {
        unreachable!("it is asked for one user only")
    }

    async fn check(&self) -> Check {
        Check::pass()
    }
}

struct Setup {
    users: CachedUsers,
    store: Arc<Slow>,
    user: User,
}

fn setup(cache: impl Cache + 'static) -> Setup {
    let user = User::new(Uuid::now_v7(), "Ada".parse().unwrap(), "ada@example.com".parse().unwrap(), Timestamp::from_millis(0));
    let store = Slow { user: Mutex::new(Some(user.clone())), reads: AtomicUsize::new(0), may_end: Semaphore::new(0) };
    let store = Arc::new(store);
    Setup { users: CachedUsers::new(store.clone(), Arc::new(cache)), store, user }
}

impl Setup {
    fn get(&self) -> BoxFuture<'static, Result<View, Error>> {
        let (users, id) = (self.users.clone(), self.user.id);
        async move { users.get(id).await }.boxed()
    }

    /// A reader who waits for the store.
    async fn waiting(&self) -> BoxFuture<'static, Result<View, Error>> {
        let mut reader = self.get();
        assert!(poll!(&mut reader).is_pending());
        reader
    }

    fn reads(&self) -> usize {
        self.store.reads.load(Ordering::Relaxed)
    }

    fn let_reads_end(&self, count: usize) {
        self.store.may_end.add_permits(count);
    }

    /// Changes the user in the store, and tells.
    async fn change(&self) {
        let changed = User { version: 2, ..self.user.clone() };
        *self.store.user.lock().unwrap() = Some(changed.clone());
        self.users.changed(changed.id, Ok(changed.clone())).await.unwrap();
    }
}

fn version(read: Result<View, Error>) -> u64 {
    read.expect("the user").version
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_who_miss_together_are_one_read() {
    let setup = setup(Off);
    let readers: Vec<_> = join_all((0..1000).map(|_| setup.waiting())).await.into_iter().map(tokio::spawn).collect();
    setup.let_reads_end(1);
    for reader in readers {
        assert_eq!(version(reader.await.unwrap()), 1);
    }
    assert_eq!((setup.reads(), setup.users.flights.count()), (1, 0));
    setup.let_reads_end(1);
    assert_eq!(version(setup.get().await), 1);
    assert_eq!(setup.reads(), 2, "what was read is not kept here");
}

#[tokio::test]
async fn who_goes_away_cancels_nobody_else() {
    let setup = setup(Off);
    let (first, second) = (setup.waiting().await, setup.waiting().await);
    drop(first);
    setup.let_reads_end(1);
    assert_eq!((version(second.await), setup.reads()), (1, 1));
}

#[tokio::test]
async fn when_all_go_away_nothing_stays_behind() {
    let setup = setup(Off);
    drop([setup.waiting().await, setup.waiting().await]);
    assert_eq!(setup.users.flights.count(), 0);
    let reader = setup.waiting().await;
    setup.let_reads_end(1);
    assert_eq!((version(reader.await), setup.reads()), (1, 2));
}

#[tokio::test]
async fn nobody_is_nobody_for_all_who_wait() {
    let setup = setup(Off);
    *setup.store.user.lock().unwrap() = None;
    let readers = [setup.waiting().await, setup.waiting().await];
    setup.let_reads_end(1);
    for reader in readers {
        assert!(matches!(reader.await, Err(Error::NotFound)));
    }
}

#[tokio::test]
async fn who_comes_after_a_change_does_not_join_a_read_from_before() {
    let setup = setup(Off);
    let before = setup.waiting().await;
    setup.change().await;
    let after = setup.waiting().await;
    let with_it = setup.waiting().await;
    setup.let_reads_end(2);
    assert_eq!(version(before.await), 1);
    assert_eq!((version(after.await), version(with_it.await)), (2, 2));
    assert_eq!((setup.reads(), setup.users.flights.count()), (2, 0));
}

#[tokio::test]
async fn who_comes_after_a_deletion_does_not_join_a_read_from_before() {
    let setup = setup(Off);
    let before = setup.waiting().await;
    *setup.store.user.lock().unwrap() = None;
    setup.users.deleted(setup.user.id, Ok(())).await.unwrap();
    let after = setup.waiting().await;
    setup.let_reads_end(2);
    assert_eq!(version(before.await), 1);
    assert!(matches!(after.await, Err(Error::NotFound)));
}

#[tokio::test]
async fn a_read_from_before_a_change_leaves_nothing_old_in_the_cache() {
    let setup = setup(InProcess::new(100_000, Duration::from_secs(60)));
    let before = setup.waiting().await;
    setup.change().await;
    setup.let_reads_end(1);
    assert_eq!(version(before.await), 1);
    assert!(matches!(poll!(setup.get()), Poll::Ready(Ok(view)) if view.version == 2));
}

/// A cache that tells how it was used.
#[derive(Default, Clone)]
struct Told(Arc<Mutex<Vec<&'static str>>>);

#[async_trait]
impl Cache for Told {
    async fn get(&self, _key: &str) -> Option<Entry> {
        None
    }

    async fn fill(&self, _key: &str, _entry: Entry) {
        self.0.lock().unwrap().push("fill");
    }

    async fn put(&self, _key: &str, _entry: Entry) {
        self.0.lock().unwrap().push("put");
    }

    fn check(&self) -> Check {
        Check::pass()
    }
}

#[tokio::test]
async fn a_read_may_be_dropped_and_a_change_may_not() {
    let told = Told::default();
    let setup = setup(told.clone());
    setup.let_reads_end(1);
    assert_eq!(version(setup.get().await), 1);
    setup.change().await;
    setup.users.deleted(setup.user.id, Ok(())).await.unwrap();
    assert_eq!(*told.0.lock().unwrap(), ["fill", "put", "put"]);
}
