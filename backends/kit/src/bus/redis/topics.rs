//! Who listens to what in this process: a ring for each topic, found by the channels of Redis that feed it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bus::ring::Ring;
use crate::bus::{Delivery, Subscription, Topic};

/// How long a message waits for Redis.
pub(super) const HOLD: Duration = Duration::from_secs(2);

/// The topics that somebody listened to; they stay, since there are few.
pub(super) struct Topics {
    prefix: String,
    heard: Mutex<Heard>,
    /// Rung when there is a new one.
    pub(super) added: Notify,
}

#[derive(Default)]
struct Heard {
    topics: HashMap<Topic, Listeners>,
    /// The same rings by their channels.
    channels: HashMap<String, Ring>,
}

struct Listeners {
    ring: Ring,
    since: Instant,
    was_confirmed: bool,
}

impl Topics {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), heard: Mutex::default(), added: Notify::new() }
    }

    /// The channel that carries this shard of a topic.
    pub(super) fn channel(&self, topic: Topic, shard: u16) -> String {
        match topic.shards {
            0 | 1 => format!("{}:{}", self.prefix, topic.name),
            _ => format!("{}:{}:{shard:02}", self.prefix, topic.name),
        }
    }

    pub(super) fn channels(&self, topic: Topic) -> impl Iterator<Item = String> {
        (0..topic.shards.max(1)).map(move |shard| self.channel(topic, shard))
    }

    pub(super) fn subscribe(&self, topic: Topic) -> Box<dyn Subscription> {
        let mut heard = self.heard();
        if let Some(listeners) = heard.topics.get(&topic) {
            return listeners.ring.subscribe();
        }
        let ring = Ring::new();
        heard.channels.extend(self.channels(topic).map(|channel| (channel, ring.clone())));
        heard.topics.insert(topic, Listeners { ring: ring.clone(), since: Instant::now(), was_confirmed: false });
        self.added.notify_one();
        ring.subscribe()
    }

    /// The topics that Redis has not confirmed yet.
    pub(super) fn beside(&self, confirmed: &HashSet<Topic>) -> Vec<Topic> {
        self.heard().topics.keys().filter(|topic| !confirmed.contains(topic)).copied().collect()
    }

    /// From now on everything is heard; whoever may have missed something is told.
    pub(super) fn confirm(&self, topic: Topic) {
        if let Some(listeners) = self.heard().topics.get_mut(&topic) {
            let has_missed = listeners.was_confirmed || listeners.since.elapsed() > HOLD;
            listeners.was_confirmed = true;
            if has_missed {
                listeners.ring.send(Delivery::Lost);
            }
        }
    }

    /// Hands on what came from a channel.
    pub(super) fn hear(&self, push: PushInfo) {
        if !matches!(push.kind, PushKind::Message | PushKind::SMessage) {
            return;
        }
        let Ok([Value::BulkString(channel), Value::BulkString(payload)]) = <[Value; 2]>::try_from(push.data) else {
            return;
        };
        let ring = std::str::from_utf8(&channel).ok().and_then(|channel| self.heard().channels.get(channel).cloned());
        if let Some(ring) = ring {
            ring.send(Delivery::Message(Bytes::from(payload)));
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        // It is whole after every statement, so a poisoned lock is still good.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
