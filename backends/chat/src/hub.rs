//! The hub of one replica: the rooms its sockets are in, and how their events reach them.
//!
//! Events come from this replica's own sequencer and, over the bus, from the others'. The bus may lose: a hole in a room's
//! `seq` is filled from the log before anything behind it is delivered (`repair`), and a lost tail is noticed by comparing
//! heads with the log. So every socket sees its rooms' logs in order and whole, whatever the bus does.

mod repair;
mod ring;
mod room;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kit::bus::{Bus, Delivery, Subscription};
use kit::seldom::Seldom;
use tokio::sync::{Notify, mpsc};

use crate::Error;
use crate::model::{Event, RoomName};
use crate::store::Store;

pub(crate) use ring::Delivered;
pub(crate) use room::{Read, Room};
pub(crate) use wire::TOPIC;

use wire::{Teller, Told};

/// How many deliveries of the bus are taken at once.
const BATCH: usize = 256;

/// The rooms of one replica.
pub(crate) struct Hub {
    rooms: Mutex<HashMap<RoomName, Arc<Room>>>,
    store: Arc<dyn Store>,
    teller: Teller,
    ring_events: usize,
    /// Rooms with a hole, for the repairer; each is in it at most once.
    holes: mpsc::UnboundedSender<Arc<Room>>,
    /// Told when the bus lost something: heads are compared at once.
    suspicion: Notify,
    members: AtomicU64,
    malformed: Seldom,
    /// Rooms whose log is not as far as was heard.
    ahead: Seldom,
}

impl Hub {
    /// A hub, and the rooms that its [`Hub::repair`] works on.
    pub(crate) fn new(store: Arc<dyn Store>, bus: Arc<dyn Bus>, ring_events: usize) -> (Arc<Self>, mpsc::UnboundedReceiver<Arc<Room>>) {
        let (holes, with_holes) = mpsc::unbounded_channel();
        let teller = Teller::new(bus);
        let hub = Self {
            rooms: Mutex::default(),
            store,
            teller,
            ring_events,
            holes,
            suspicion: Notify::new(),
            members: AtomicU64::new(0),
            malformed: Seldom::new(),
            ahead: Seldom::new(),
        };
        (Arc::new(hub), with_holes)
    }

    /// Rooms that sockets of this replica are in.
    pub(crate) fn rooms_open(&self) -> usize {
        self.rooms().len()
    }

    /// Brings a member into a room. From now on `news` is told of each event.
    ///
    /// The member is there before the head is read, so nothing falls between the two.
    pub(crate) async fn join(self: &Arc<Self>, name: &RoomName, news: &Arc<Notify>) -> Result<Member, Error> {
        let number = self.members.fetch_add(1, Ordering::Relaxed);
        let room = {
            let mut rooms = self.rooms();
            let room = rooms.entry(name.clone()).or_insert_with(|| Arc::new(Room::new(name.clone(), self.ring_events))).clone();
            room.enter(number, news.clone());
            room
        };
        // Leaves again when dropped, also when the head cannot be read.
        let member = Member { hub: self.clone(), room: room.clone(), number };
        let load = || async {
            let head = self.store.list_heads(vec![name.clone()]).await?.first().copied().unwrap_or(0);
            self.mind_hole(&room, room.load(head));
            Ok::<_, Error>(())
        };
        room.loaded.get_or_try_init(load).await?;
        Ok(member)
    }

    /// Makes sure that a room has seen what its log holds now; returns the log's head.
    ///
    /// For members that have seen more on another replica than this one has heard of yet.
    pub(crate) async fn catch_up(&self, room: &Arc<Room>) -> Result<u64, Error> {
        let head = self.store.list_heads(vec![room.name.clone()]).await?.first().copied().unwrap_or(0);
        self.mind_hole(room, room.hear_of(head));
        self.fill(room).await?;
        Ok(head)
    }

    /// Tells the other replicas of an event that is committed here.
    pub(crate) fn tell(&self, event: &Event) {
        self.teller.message(event);
    }

    /// Delivers an event that is committed.
    pub(crate) fn deliver(&self, event: Event) {
        let room = self.rooms().get(&event.room).cloned();
        if let Some(room) = room {
            self.mind_hole(&room, room.deliver(event));
        }
    }

    /// Delivers what the bus brings, for ever.
    pub(crate) async fn listen(&self, mut subscription: Box<dyn Subscription>) {
        while let Some(delivery) = subscription.next().await {
            self.hear(delivery);
            for _ in 0..BATCH {
                let Some(delivery) = subscription.try_next() else { break };
                self.hear(delivery);
            }
            // A flood on the bus must not keep this thread from its sockets.
            tokio::task::yield_now().await;
        }
    }

    fn hear(&self, delivery: Delivery) {
        match delivery {
            Delivery::Message(payload) => match wire::read(&payload) {
                Ok(Told::Message(event)) => self.deliver(event),
                Ok(Told::Heads(heads)) => self.hear_of_heads(heads),
                Ok(Told::Other { room, seq }) => self.hear_of_heads(BTreeMap::from([(room, seq)])),
                Err(error) => {
                    metrics::counter!("chat_bus_malformed_total").increment(1);
                    if let Some(left_out) = self.malformed.is_time() {
                        tracing::warn!(%error, left_out, "the bus brought something that is no frame");
                    }
                }
            },
            Delivery::Lost => self.suspicion.notify_one(),
        }
    }

    fn hear_of_heads(&self, heads: BTreeMap<RoomName, u64>) {
        for (name, head) in heads {
            let room = self.rooms().get(&name).cloned();
            if let Some(room) = room {
                self.mind_hole(&room, room.hear_of(head));
            }
        }
    }

    fn mind_hole(&self, room: &Arc<Room>, has_new_hole: bool) {
        if has_new_hole {
            // The repairer ends with the replica; then nobody is left to deliver to.
            let _ = self.holes.send(room.clone());
        }
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomName, Arc<Room>>> {
        locked(&self.rooms)
    }
}

/// Locks what is whole after every statement made under the lock, so that a panic elsewhere spoils nothing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A socket's place in a room; it leaves when this is dropped, and the last to leave closes the room.
pub(crate) struct Member {
    hub: Arc<Hub>,
    room: Arc<Room>,
    number: u64,
}

impl Member {
    pub(crate) fn room(&self) -> &Arc<Room> {
        &self.room
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut rooms = self.hub.rooms();
        if self.room.leave(self.number) == 0 {
            rooms.remove(&self.room.name);
        }
    }
}

#[cfg(test)]
mod tests;
