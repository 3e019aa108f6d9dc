//! The system's own happenings (see `kit::happening`), heard on the bus and stored like events that came by HTTP.
//!
//! They are stored in batches. While the store cannot take them they wait here, up to a limit; what goes beyond it, and what
//! the bus lost, is counted in `analytics_happenings_lost_total`. A happening that is heard twice is counted once, by its id.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kit::bus::{Delivery, Subscription};
use kit::clock::Clock;
use kit::problem::{Describe, Kind};
use tokio_util::sync::CancellationToken;

use crate::batch;
use crate::model::Event;
use crate::store::Store;

/// Events in one transaction at most.
const BATCH: usize = 256;
/// How long to wait after a store that could not take them, at first; twice as long each further time.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// How long to wait at most.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often a store that cannot take them is asked again once told to stop.
const LAST_ATTEMPTS: usize = 3;

/// Hears happenings and stores them.
pub(crate) struct Listener {
    subscription: Box<dyn Subscription>,
    /// Whether the bus still is.
    is_open: bool,
    store: Arc<dyn Store>,
    clock: Clock,
    /// Heard and not stored yet, at most `waiting_max`.
    waiting: VecDeque<Event>,
    waiting_max: usize,
    /// Not counted, for good.
    lost: u64,
}

impl Listener {
    pub(crate) fn new(subscription: Box<dyn Subscription>, store: Arc<dyn Store>, clock: Clock, waiting_max: usize) -> Self {
        Self { subscription, is_open: true, store, clock, waiting: VecDeque::new(), waiting_max, lost: 0 }
    }

    /// Hears and stores until `stop`, then stores what is there already.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) {
        let mut pause = PAUSE_MIN;
        while !stop.is_cancelled() && (self.is_open || !self.waiting.is_empty()) {
            if self.waiting.is_empty() {
                self.hear_until(stop.cancelled(), 1).await;
            }
            self.hear_what_is_there(BATCH);
            pause = match self.store_batch().await {
                Stored::Done => PAUSE_MIN,
                Stored::NotNow => {
                    let rest = async {
                        tokio::select! { () = tokio::time::sleep(pause) => {}, () = stop.cancelled() => {} }
                    };
                    self.hear_until(rest, usize::MAX).await;
                    (pause * 2).min(PAUSE_MAX)
                }
            };
        }
        self.finish().await;
    }

    async fn finish(&mut self) {
        self.hear_what_is_there(self.waiting_max);
        // What comes from now on is not waited for, or a busy system could hold up the end for ever.
        self.is_open = false;
        let mut attempts = LAST_ATTEMPTS;
        while !self.waiting.is_empty() && attempts > 0 {
            if matches!(self.store_batch().await, Stored::NotNow) {
                attempts -= 1;
                tokio::time::sleep(PAUSE_MIN).await;
            }
        }
        self.lose(self.waiting.len());
        if self.lost > 0 {
            tracing::warn!(lost = self.lost, "happenings were lost and are not counted");
        }
    }

    /// Hears until `end`, or until `count` deliveries came.
    async fn hear_until<T>(&mut self, end: impl Future<Output = T>, count: usize) -> Option<T> {
        let mut end = pin!(end);
        for _ in 0..count {
            tokio::select! {
                value = &mut end => return Some(value),
                delivery = self.subscription.next(), if self.is_open => self.hear(delivery),
            }
        }
        None
    }

    /// Hears what came already, until so many wait.
    fn hear_what_is_there(&mut self, waiting: usize) {
        while self.waiting.len() < waiting
            && let Some(delivery) = self.subscription.try_next()
        {
            self.hear(Some(delivery));
        }
    }

    fn hear(&mut self, delivery: Option<Delivery>) {
        match delivery {
            Some(Delivery::Message(payload)) => self.keep(payload),
            Some(Delivery::Lost) => {
                tracing::warn!("the bus lost happenings: it was away, or they came faster than they could be stored");
                self.lose(1);
            }
            None => self.is_open = false,
        }
    }

    fn keep(&mut self, payload: Bytes) {
        match batch::event(&payload, (self.clock)()) {
            Ok(_) if self.waiting.len() >= self.waiting_max => self.lose(1),
            Ok(event) => self.waiting.push_back(event),
            Err((code, detail)) => {
                tracing::warn!(code, detail, "a malformed happening was dropped");
                metrics::counter!("analytics_happenings_malformed_total").increment(1);
            }
        }
    }

    /// Stores a batch of what waits, and hears on meanwhile.
    async fn store_batch(&mut self) -> Stored {
        let batch: Vec<Event> = self.waiting.iter().take(BATCH).cloned().collect();
        let count = batch.len();
        if count == 0 {
            return Stored::Done;
        }
        let (store, now) = (self.store.clone(), (self.clock)());
        let outcome = self.hear_until(async move { store.insert_events(batch, now).await }, usize::MAX).await;
        match outcome {
            Some(Ok(inserted)) => {
                inserted.count(0);
                self.waiting.drain(..count);
                Stored::Done
            }
            Some(Err(error)) if error.kind() == Kind::Unavailable => {
                tracing::warn!(%error, waiting = self.waiting.len(), lost = self.lost, "happenings wait for the store");
                Stored::NotNow
            }
            outcome => {
                // Asking again would fail again.
                tracing::error!(?outcome, count, "happenings could not be stored");
                self.waiting.drain(..count);
                self.lose(count);
                Stored::Done
            }
        }
    }

    /// Counts happenings that are not counted. Of those that the bus lost, nobody knows how many they were: one or more.
    fn lose(&mut self, count: usize) {
        self.lost += count as u64;
        metrics::counter!("analytics_happenings_lost_total").increment(count as u64);
    }
}

/// What became of a batch.
enum Stored {
    Done,
    NotNow,
}

#[cfg(test)]
mod tests;
