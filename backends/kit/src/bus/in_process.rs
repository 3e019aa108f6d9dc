//! The bus inside one process: a ring per topic.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::ring::Ring;
use super::{Bus, Delivery, Subscription, Topic};
use crate::health::Check;

/// A bus that reaches as far as this process.
#[derive(Default)]
pub struct InProcess {
    topics: Mutex<HashMap<Topic, Ring>>,
}

impl InProcess {
    fn topics(&self) -> MutexGuard<'_, HashMap<Topic, Ring>> {
        // The map is whole after every statement, so a poisoned lock is still good.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bus for InProcess {
    fn publish(&self, topic: Topic, _key: &str, payload: Bytes) {
        let ring = self.topics().get(&topic).cloned();
        if let Some(ring) = ring {
            ring.send(Delivery::Message(payload));
        }
    }

    fn subscribe(&self, topic: Topic) -> Box<dyn Subscription> {
        self.topics().entry(topic).or_insert_with(Ring::new).subscribe()
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }

    fn check(&self) -> Check {
        Check::pass()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::ring::RING;

    const T: Topic = Topic { name: "t", shards: 1 };

    crate::bus_contract!(std::sync::Arc::new(InProcess::default()));

    #[tokio::test]
    async fn a_slow_subscriber_is_told_that_it_lost() {
        let bus = InProcess::default();
        let mut slow = bus.subscribe(T);
        for number in 0..=RING {
            bus.publish(T, "", Bytes::from(number.to_string()));
        }
        assert_eq!(slow.next().await, Some(Delivery::Lost));
        assert_eq!(slow.next().await, Some(Delivery::Message(Bytes::from("1"))));
    }
}
