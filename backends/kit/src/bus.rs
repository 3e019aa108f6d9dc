//! The bus: how replicas and backends hear of each other's doings.
//!
//! [`Bus`] is the contract; `in_process` carries it inside one process, `redis` between processes. `contract` holds the tests that each variant passes.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::health::Check;

#[cfg(any(test, feature = "testing"))]
pub mod contract;
mod in_process;
#[cfg(any(test, feature = "testing"))]
pub mod lossy;
mod redis;
mod ring;

pub use self::redis::Redis;
pub use in_process::InProcess;

/// What a message is about; subscribers choose by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Its name, such as `chat`.
    pub name: &'static str,
    /// Over how many channels its messages are spread, by their keys, where the variant has channels. A fixed number, so that
    /// channels are as few with a million keys as with ten.
    pub shards: u16,
}

impl Topic {
    /// The shard that carries messages about `key`: the same in every process, of every version.
    pub fn shard_of(self, key: &str) -> u16 {
        // FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/.
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        u16::try_from(hash % u64::from(self.shards.max(1))).expect("less than a u16")
    }
}

/// Carries messages to whoever is subscribed at the moment.
///
/// It promises what its weakest variant can keep:
///
/// - **At most once.** A message may be lost: on the way, or because a subscriber is slow. Whoever needs all of them keeps a
///   log and asks it (see `chat::hub`).
/// - **In order.** What arrives of one publisher's messages with one key on one topic arrives in the order they were published.
/// - **To all**, the publisher's own subscriptions too. Only to subscriptions that exist when it is published.
/// - **Without waiting.** `publish` never blocks and never fails; what cannot be carried is lost.
/// - **Bounded.** A subscriber that falls behind loses the oldest messages and is told `Lost`, where the variant can know.
pub trait Bus: Send + Sync {
    /// Sends `payload`, which is about `key`, to all present subscribers of `topic`.
    fn publish(&self, topic: Topic, key: &str, payload: Bytes);

    /// Hears everything published on `topic` from now on, whatever its key.
    fn subscribe(&self, topic: Topic) -> Box<dyn Subscription>;

    /// Returns when what was published before has been carried, as far as this end can know, or was given up: after two seconds
    /// at most. For who is about to end.
    fn flush(&self) -> BoxFuture<'_, ()>;

    /// How the bus is doing: `warn` when it cannot carry.
    fn check(&self) -> Check;
}

/// What a subscription yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A message.
    Message(Bytes),
    /// Messages were lost here.
    Lost,
}

/// One subscriber's end of a topic.
pub trait Subscription: Send {
    /// The next delivery; `None` when the bus is gone. Dropping the future loses nothing.
    fn next(&mut self) -> BoxFuture<'_, Option<Delivery>>;

    /// The next delivery if there is one already.
    fn try_next(&mut self) -> Option<Delivery>;
}
