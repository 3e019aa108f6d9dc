//! The bus inside one process: a ring per topic.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::{Bus, Delivery, Subscription, Topic};
use crate::health::Check;

/// Messages a topic remembers for its slowest subscriber.
const RING: usize = 8192;

/// A bus that reaches as far as this process.
#[derive(Default)]
pub struct InProcess {
    topics: Mutex<HashMap<Topic, broadcast::Sender<Bytes>>>,
}

impl InProcess {
    fn topics(&self) -> MutexGuard<'_, HashMap<Topic, broadcast::Sender<Bytes>>> {
        // The map is whole after every statement, so a poisoned lock is still good.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bus for InProcess {
    fn publish(&self, topic: Topic, _key: &str, payload: Bytes) {
        let sender = self.topics().get(&topic).cloned();
        if let Some(sender) = sender {
            // An error means that nobody listens, which is no loss.
            let _ = sender.send(payload);
        }
    }

    fn subscribe(&self, topic: Topic) -> Box<dyn Subscription> {
        let receiver = self.topics().entry(topic).or_insert_with(|| broadcast::channel(RING).0).subscribe();
        Box::new(Ring(receiver))
    }

    fn check(&self) -> Check {
        Check::pass()
    }
}

struct Ring(broadcast::Receiver<Bytes>);

impl Subscription for Ring {
    fn next(&mut self) -> BoxFuture<'_, Option<Delivery>> {
        async {
            match self.0.recv().await {
                Ok(payload) => Some(Delivery::Message(payload)),
                Err(RecvError::Lagged(_)) => Some(Delivery::Lost),
                Err(RecvError::Closed) => None,
            }
        }
        .boxed()
    }

    fn try_next(&mut self) -> Option<Delivery> {
        match self.0.try_recv() {
            Ok(payload) => Some(Delivery::Message(payload)),
            Err(TryRecvError::Lagged(_)) => Some(Delivery::Lost),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
