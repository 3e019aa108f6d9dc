//! One replica at work: what its routes and sockets share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kit::bus::Bus;
use kit::clock::Timestamp;
use kit::happening::Happening;
use kit::health::Health;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::hub::{self, Hub};
use crate::model::UserName;
use crate::sequencer::{self, Sequencer};
use crate::store::Store;
use crate::{Chat, Config, Error};

/// How long sockets may take to hear the goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// A replica. Clones are the same one.
pub(crate) type Shared = Arc<Replica>;

/// What routes and sockets share.
pub(crate) struct Replica {
    pub(crate) config: Config,
    pub(crate) name: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) sequencer: Sequencer,
    pub(crate) started: Instant,
    /// Cancelled when sockets must go.
    pub(crate) leaving: CancellationToken,
    bus: Arc<dyn Bus>,
    clock: kit::clock::Clock,
    sockets: TaskTracker,
    sockets_open: AtomicUsize,
}

/// The replica's tasks; they end when this is dropped.
pub(crate) struct Work(#[allow(dead_code)] [AbortOnDropHandle<()>; 4]);

impl Replica {
    /// Subscribes to the bus and starts the tasks.
    pub(crate) fn start(chat: Chat) -> (Shared, Work) {
        let Chat { config, name, store, bus, clock } = chat;
        let (hub, with_holes) = Hub::new(store.clone(), bus.clone(), config.ring_events.get());
        let (sequencer, drafts) = Sequencer::new();
        let subscription = bus.subscribe(hub::TOPIC);
        let spawn = |task: futures_util::future::BoxFuture<'static, ()>| AbortOnDropHandle::new(tokio::spawn(task));
        let (listen, repair, compare) = (hub.clone(), hub.clone(), hub.clone());
        let work = Work([
            spawn(Box::pin(sequencer::run(drafts, store.clone(), hub.clone(), bus.clone()))),
            spawn(Box::pin(async move { listen.listen(subscription).await })),
            spawn(Box::pin(async move { repair.repair(with_holes).await })),
            spawn(Box::pin(async move { compare.compare().await })),
        ]);
        let replica = Replica {
            config,
            name,
            store,
            hub,
            sequencer,
            started: Instant::now(),
            leaving: CancellationToken::new(),
            bus,
            clock,
            sockets: TaskTracker::new(),
            sockets_open: AtomicUsize::new(0),
        };
        (Arc::new(replica), work)
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) async fn health(&self) -> Health {
        Health::of([("database", self.store.check().await), ("bus", self.bus.check())])
    }

    pub(crate) fn sockets_open(&self) -> usize {
        self.sockets_open.load(Ordering::Relaxed)
    }

    /// Takes a place for a socket.
    pub(crate) fn take_place(self: &Arc<Self>) -> Result<Place, Error> {
        let place = Place { replica: self.clone() };
        let taken = self.sockets_open.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!("chat_sockets_open", "replica" => self.name.clone()).increment(1.0);
        if taken >= self.config.sockets_max || self.leaving.is_cancelled() {
            return Err(Error::NoMoreSockets);
        }
        Ok(place)
    }

    /// Runs a socket's task, which [`Replica::sockets_closed`] waits for.
    pub(crate) fn spawn_socket(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.sockets.spawn(task);
    }

    /// Tells analytics of a socket that was opened.
    pub(crate) fn tell_socket_opened(&self, user: &UserName) {
        Happening::new("chat.socket_opened", self.now(), Some(user.as_str().to_owned()), None).publish(&*self.bus);
    }

    /// Sends every socket away, politely. New ones are not taken.
    pub(crate) fn say_goodbye(&self) {
        self.leaving.cancel();
    }

    /// Returns when the last socket is closed, or when that takes too long.
    pub(crate) async fn sockets_closed(&self) {
        self.sockets.close();
        if tokio::time::timeout(GOODBYE_MAX, self.sockets.wait()).await.is_err() {
            tracing::warn!(sockets = self.sockets_open(), "some sockets did not hear the goodbye in time");
        }
    }
}

/// A socket's place among those a replica may have; given back when dropped.
pub(crate) struct Place {
    replica: Shared,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.replica.sockets_open.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("chat_sockets_open", "replica" => self.replica.name.clone()).decrement(1.0);
    }
}
