//! A bus for tests that loses every n-th message, as pub/sub in the real world may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{Bus, Subscription, Topic};
use crate::health::Check;

/// Drops every `every`-th message on its way into `inner`.
pub struct Lossy {
    inner: Arc<dyn Bus>,
    every: usize,
    published: AtomicUsize,
}

impl Lossy {
    /// Wraps a bus.
    pub fn new(inner: Arc<dyn Bus>, every: usize) -> Self {
        Self { inner, every, published: AtomicUsize::new(0) }
    }
}

impl Bus for Lossy {
    fn publish(&self, topic: Topic, key: &str, payload: Bytes) {
        let number = self.published.fetch_add(1, Ordering::Relaxed) + 1;
        if !number.is_multiple_of(self.every) {
            self.inner.publish(topic, key, payload);
        }
    }

    fn subscribe(&self, topic: Topic) -> Box<dyn Subscription> {
        self.inner.subscribe(topic)
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        self.inner.flush()
    }

    fn check(&self) -> Check {
        self.inner.check()
    }
}
