//! The bus between processes: channels of a Redis, `<prefix>:<topic>:<shard>`.
//!
//! What is on a channel is what was published and nothing else, so `redis-cli psubscribe 'superapp:chat:*'` shows the messages.
//! A Cluster carries them by sharded pub/sub, where each channel is one node's.

mod carrier;
#[cfg(test)]
mod tests;
mod topics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use self::carrier::Carrier;
use self::topics::{HOLD, Topics};
use super::{Bus, Subscription, Topic};
use crate::RedisAddress;
use crate::health::{Check, Status};
use crate::redis::Link;

/// What may wait for Redis, in bytes; each message counts as this much more than its payload.
const WAITING_BYTES_MAX: usize = 16 << 20;
const MESSAGE_BYTES: usize = 128;

/// A bus over Redis. One connection for each node serves all topics and subscribers; it ends when this is dropped.
///
/// - **Starting.** Redis need not be there. A subscription begins when Redis confirmed it, and what this bus publishes
///   meanwhile waits for that, up to two seconds.
/// - **Losing.** After Redis was away, or any connection to it was, each subscriber hears `Lost` once Redis has confirmed the
///   subscriptions again: what is published from then on is heard. So does one whose subscription took longer than two seconds.
/// - **Limits.** Messages wait for Redis up to two seconds, 16 MiB of them; others are lost, and counted as
///   `bus_messages_lost_total`.
pub struct Redis {
    topics: Arc<Topics>,
    link: Link,
    queue: mpsc::UnboundedSender<Outgoing>,
    room: Arc<Semaphore>,
    /// Why Redis did not carry the last message, if it said so.
    refused: watch::Receiver<Option<String>>,
    /// How many were given to the carrier, and how many of these it carried or gave up.
    queued: AtomicU64,
    done: watch::Receiver<u64>,
    _carrying: AbortOnDropHandle<()>,
}

/// A message on its way to Redis.
struct Outgoing {
    channel: String,
    payload: Bytes,
    since: Instant,
    _room: OwnedSemaphorePermit,
}

impl Redis {
    /// Begins to connect, on the present runtime; never fails. All channels begin with `prefix` and a colon.
    pub fn start(address: RedisAddress, prefix: &str) -> Self {
        let topics = Arc::new(Topics::new(prefix));
        let hearing = topics.clone();
        let link = Link::start(address, Arc::new(move |push| hearing.hear(push)), None);
        let (queue, outgoing) = mpsc::unbounded_channel();
        let (refusing, refused) = watch::channel(None);
        let (doing, done) = watch::channel(0);
        let carrier = Carrier::new(topics.clone(), link.watch(), outgoing, refusing, doing);
        let _carrying = AbortOnDropHandle::new(tokio::spawn(carrier.carry()));
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        Self { topics, link, queue, room, refused, queued: AtomicU64::new(0), done, _carrying }
    }
}

impl Bus for Redis {
    fn publish(&self, topic: Topic, key: &str, payload: Bytes) {
        let bytes = u32::try_from(payload.len() + MESSAGE_BYTES).unwrap_or(u32::MAX);
        let Ok(_room) = self.room.clone().try_acquire_many_owned(bytes) else {
            return lose(1);
        };
        let channel = self.topics.channel(topic, topic.shard_of(key));
        self.queued.fetch_add(1, Ordering::Relaxed);
        // It cannot be closed: the carrier ends with the bus.
        let _ = self.queue.send(Outgoing { channel, payload, since: Instant::now(), _room });
    }

    fn subscribe(&self, topic: Topic) -> Box<dyn Subscription> {
        self.topics.subscribe(topic)
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        let (queued, mut done) = (self.queued.load(Ordering::Relaxed), self.done.clone());
        let flushing = async move {
            let _ = done.wait_for(|done| *done >= queued).await;
            if let Some(nodes) = self.link.nodes() {
                nodes.catch_up().await;
            }
        };
        // What took longer was given up.
        timeout(HOLD, flushing).map(|_| ()).boxed()
    }

    fn check(&self) -> Check {
        let check = self.link.check();
        match self.refused.borrow().as_ref().filter(|_| check.status == Status::Pass) {
            Some(why) => Check::warn(format!("redis does not carry messages: {why}")),
            None => check,
        }
    }
}

fn lose(count: u64) {
    metrics::counter!("bus_messages_lost_total").increment(count);
}
