//! How a topic reaches its subscribers inside a process: a ring that remembers a while for the slow ones.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::{Delivery, Subscription};

/// Deliveries a topic remembers for its slowest subscriber.
pub(super) const RING: usize = 8192;

/// The sending side; the subscribers of all its clones are the same.
#[derive(Clone)]
pub(super) struct Ring(broadcast::Sender<Delivery>);

impl Ring {
    pub(super) fn new() -> Self {
        Self(broadcast::channel(RING).0)
    }

    pub(super) fn send(&self, delivery: Delivery) {
        // An error means that nobody listens, which is no loss.
        let _ = self.0.send(delivery);
    }

    pub(super) fn subscribe(&self) -> Box<dyn Subscription> {
        Box::new(Listener(self.0.subscribe()))
    }
}

struct Listener(broadcast::Receiver<Delivery>);

impl Subscription for Listener {
    fn next(&mut self) -> BoxFuture<'_, Option<Delivery>> {
        async {
            match self.0.recv().await {
                Ok(delivery) => Some(delivery),
                Err(RecvError::Lagged(_)) => Some(Delivery::Lost),
                Err(RecvError::Closed) => None,
            }
        }
        .boxed()
    }

    fn try_next(&mut self) -> Option<Delivery> {
        match self.0.try_recv() {
            Ok(delivery) => Some(delivery),
            Err(TryRecvError::Lagged(_)) => Some(Delivery::Lost),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}
