//! How many requests a cluster is asked at the same time: as many as it answers without getting slow, found out by watching it.
//!
//! What is over the limit waits for its turn; who has waited too long, or finds too many waiting, is told to come again. Where far more
//! comes than can be done, the newest are served first, and soon nobody waits for more than a moment: a queue that is always full would
//! only make everybody late. A request that hangs keeps nobody waiting for ever: after a while it is not counted any more. So an
//! overloaded cluster goes on answering as much as it can and as quickly as ever, and a crowd that it can serve in time is served, to
//! the last.

mod ages;
mod busy;
mod gradient;
mod observer;
mod places;
mod pressure;
#[cfg(test)]
mod simulation;
mod uploads;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Config;
use crate::ticks;
use gradient::{LIMIT_MIN, LIMIT_UNKNOWN};
use observer::{Observer, Waiting};
use places::{Place, Places};
use uploads::{Upload, Uploads};

/// A worker that computes, or waits for a core to compute on, for more of the time than this makes answers slow itself.
const BUSY_PART: f64 = 0.8;

/// The door to one cluster.
pub(crate) struct Admission {
    name: &'static str,
    places: Arc<Places>,
    uploads: Arc<Uploads>,
    limit_max: usize,
    /// How long waiting makes sense now, in microseconds.
    patience: AtomicU64,
    observer: Mutex<Observer>,
}

/// A request's place in the cluster, until its answer begins; given back when it is dropped.
pub(crate) struct Slot {
    admission: Arc<Admission>,
    held: Held,
}

enum Held {
    Place(Place),
    /// Its body is still arriving: so long it is no work for a replica, and keeps nobody else waiting.
    Upload {
        _held: Upload,
    },
}

/// There is no place, and none came free in time.
#[derive(Debug)]
pub(crate) struct Overloaded;

impl Admission {
    pub(crate) fn new(name: &'static str, config: &Config) -> Admission {
        let limit_max = config.cluster_in_flight_max;
        let queue_timeout = config.queue_timeout();
        let places = Places::new(LIMIT_UNKNOWN.min(limit_max), limit_max, config.cluster_waiting_max);
        let observer = Observer::new(queue_timeout, Instant::now());
        places.set_overdue_after(observer.overdue_after());
        Admission {
            name,
            places: Arc::new(places),
            uploads: Arc::new(Uploads::new(config.cluster_uploads_max)),
            limit_max,
            patience: AtomicU64::new(ticks::micros(queue_timeout)),
            observer: Mutex::new(observer),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.places.limit()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.places.taken()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.places.waiting()
    }

    /// A place at once, if there is one; `now` in ticks.
    pub(crate) fn try_enter(self: &Arc<Admission>, now: u64) -> Option<Slot> {
        self.places.take(now).map(|place| self.slot(Held::Place(place)))
    }

    /// Waits for a place.
    pub(crate) async fn enter(self: &Arc<Admission>) -> Result<Slot, Overloaded> {
        if self.places.was_emptied() {
            self.serve(self.observer.lock().unwrap_or_else(PoisonError::into_inner).emptied());
        }
        let patience = Duration::from_micros(self.patience.load(Ordering::Relaxed));
        let place = self.places.enter(patience).await.ok_or(Overloaded)?;
        Ok(self.slot(Held::Place(place)))
    }

    fn slot(self: &Arc<Admission>, held: Held) -> Slot {
        Slot { admission: self.clone(), held }
    }

    /// An answer that began after so many microseconds, to a request that was one of so many.
    fn observe(&self, micros: u64, in_flight: usize) {
        // Whoever finds the observer in use leaves his answer out; averages can bear it.
        let Ok(mut observer) = self.observer.try_lock() else { return };
        observer.answered(micros, in_flight, self.in_flight());
        self.places.set_overdue_after(observer.overdue_after());
        let (now, limit) = (Instant::now(), self.limit());
        let waiting = observer.waiting(|| self.places.counts(), now);
        let next = observer.limit(limit, || busy::is_worker_busy(BUSY_PART), now);
        drop(observer);
        if let Some(waiting) = waiting {
            self.serve(waiting);
        }
        let next = next.map(|next| next.clamp(LIMIT_MIN.min(self.limit_max), self.limit_max));
        if let Some(next) = next.filter(|next| *next != limit) {
            metrics::gauge!("gateway_concurrency_limit", "cluster" => self.name).set(next as f64);
            self.places.set_limit(next);
        }
    }

    fn serve(&self, waiting: Waiting) {
        self.places.set_newest_first(waiting.is_newest_first);
        self.patience.store(ticks::micros(waiting.patience), Ordering::Relaxed);
        // Else nobody is turned away for a place that comes a little late.
        if waiting.is_newest_first {
            self.places.turn_away(waiting.patience);
        }
    }
}

impl Slot {
    /// The body begins to arrive, and a replica listens: the place is for others until it is complete.
    pub(crate) fn arriving(self, client: Option<Arc<str>>) -> Result<Slot, Overloaded> {
        let upload = self.admission.uploads.begin(client).ok_or(Overloaded)?;
        Ok(Slot { held: Held::Upload { _held: upload }, ..self })
    }

    /// All of the request has arrived, and the replica begins to work on it.
    pub(crate) fn complete(&mut self, now: Instant) {
        if matches!(self.held, Held::Upload { .. }) {
            self.held = Held::Place(self.admission.places.take_anyway(ticks::at(now)));
        }
    }

    /// The answer began, after so many microseconds where that is known; the place is free again. However long the rest of it takes, that is up to who
    /// reads it: a crowd of slow readers, or of listeners to events, keeps nobody else waiting.
    pub(crate) fn answered(self, micros: Option<u64>) {
        if let (Held::Place(place), Some(micros)) = (&self.held, micros) {
            self.admission.observe(micros, place.in_flight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing;

    fn admission(limit: usize, waiting: usize) -> Arc<Admission> {
        let mut config = testing::config();
        (config.cluster_in_flight_max, config.cluster_waiting_max, config.queue_timeout_ms) = (limit, waiting, 20);
        config.cluster_uploads_max = 4;
        Arc::new(Admission::new("users", &config))
    }

    #[tokio::test]
    async fn who_finds_no_place_waits_for_one() {
        let admission = admission(1, 1);
        let first = admission.try_enter(1).unwrap();
        assert!(admission.try_enter(1).is_none());
        let (second, ()) = tokio::join!(admission.enter(), async { drop(first) });
        assert_eq!(admission.in_flight(), 1);
        assert!(admission.enter().await.is_err(), "waited too long");
        drop(second);
        assert_eq!((admission.in_flight(), admission.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn too_many_do_not_even_wait() {
        let admission = admission(1, 0);
        let _first = admission.try_enter(1).unwrap();
        assert!(admission.enter().await.is_err());
        assert_eq!(admission.waiting(), 0);
    }

    #[test]
    fn a_body_that_is_still_arriving_takes_nobody_elses_place_and_one_that_is_complete_does() {
        let admission = admission(1, 1);
        let mut upload = admission.try_enter(1).unwrap().arriving(Some("a".into())).unwrap();
        let other = admission.try_enter(1).unwrap();
        upload.complete(Instant::now());
        assert_eq!(admission.in_flight(), 2);
        drop(other);
        assert!(admission.try_enter(1).is_none());
        drop(upload);
        let _again = admission.try_enter(1).unwrap().arriving(Some("a".into())).unwrap();
        assert!(admission.try_enter(1).unwrap().arriving(Some("a".into())).is_err(), "one client does not get them all");
        assert!(admission.try_enter(1).unwrap().arriving(Some("b".into())).is_ok());
    }

    #[test]
    fn a_lower_limit_holds_once_enough_have_left() {
        let admission = admission(100, 0);
        admission.places.set_limit(100);
        let held: Vec<_> = (0..100).map(|_| admission.try_enter(1).unwrap()).collect();
        admission.places.set_limit(40);
        drop(held);
        let held: Vec<_> = std::iter::from_fn(|| admission.try_enter(1)).collect();
        assert_eq!(held.len(), 40);
        admission.places.set_limit(60);
        assert_eq!(std::iter::from_fn(|| admission.try_enter(1)).take(50).collect::<Vec<_>>().len(), 20);
    }
}
