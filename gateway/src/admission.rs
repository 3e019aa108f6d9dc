//! How many requests a cluster is asked at the same time: as many as it answers without getting slow, found out by watching it.
//!
//! What is over the limit waits a moment, in order; who has waited too long, or finds too many waiting, is told to come again. While
//! answers are slow, that moment is a part of what an answer takes in calm: a queue that is always full would only make everybody
//! late. So an overloaded cluster goes on answering as much as it can, and nobody waits for an answer that comes too late.

mod busy;
mod gradient;
#[cfg(test)]
mod simulation;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, TryAcquireError};

use crate::ticks::micros;
use gradient::{LIMIT_MIN, LIMIT_UNKNOWN, Window};

/// Requests whose bodies are still arriving while a replica listens. They have places of their own, or a crowd of slow clients
/// would keep everybody else waiting.
const UPLOADS_MAX: usize = 512;
/// A worker that computes, or waits for a core to compute on, for more of the time than this makes answers slow itself.
const BUSY_PART: f64 = 0.8;

/// The door to one cluster.
pub(crate) struct Admission {
    name: &'static str,
    slots: Semaphore,
    uploads: Semaphore,
    limit_max: usize,
    limit: AtomicUsize,
    /// Slots that are to vanish when they come back.
    debt: AtomicUsize,
    in_flight: AtomicUsize,
    waiting: AtomicUsize,
    waiting_max: usize,
    queue_timeout: Duration,
    /// How long waiting makes sense now, in microseconds.
    patience: AtomicU64,
    window: Mutex<Window>,
}

/// A request's place in the cluster, until its answer begins; given back when it is dropped.
pub(crate) struct Slot {
    admission: Arc<Admission>,
    is_upload: bool,
    /// How many had one when this one was given, itself included.
    in_flight: usize,
}

/// There is no place, and none came free in time.
#[derive(Debug)]
pub(crate) struct Overloaded;

impl Admission {
    pub(crate) fn new(name: &'static str, limit_max: usize, waiting_max: usize, queue_timeout: Duration) -> Admission {
        let limit = LIMIT_UNKNOWN.min(limit_max);
        Admission {
            name,
            slots: Semaphore::new(limit),
            uploads: Semaphore::new(UPLOADS_MAX.min(limit_max)),
            limit_max,
            limit: AtomicUsize::new(limit),
            debt: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            waiting_max,
            queue_timeout,
            patience: AtomicU64::new(micros(queue_timeout)),
            window: Mutex::new(Window::new(Instant::now())),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A place at once, if there is one.
    pub(crate) fn try_enter(self: &Arc<Admission>) -> Option<Slot> {
        match self.slots.try_acquire() {
            Ok(permit) => {
                permit.forget();
                Some(self.slot())
            }
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    /// Waits for a place, for as long as waiting makes sense.
    pub(crate) async fn enter(self: &Arc<Admission>) -> Result<Slot, Overloaded> {
        self.wait(&self.slots).await?;
        Ok(self.slot())
    }

    fn slot(self: &Arc<Admission>) -> Slot {
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        Slot { admission: self.clone(), is_upload: false, in_flight }
    }

    /// The same for a request whose body is still arriving.
    pub(crate) async fn enter_upload(self: &Arc<Admission>) -> Result<Slot, Overloaded> {
        self.wait(&self.uploads).await?;
        Ok(Slot { admission: self.clone(), is_upload: true, in_flight: self.in_flight() + 1 })
    }

    async fn wait(&self, places: &Semaphore) -> Result<(), Overloaded> {
        let Some(_place) = Waiting::stand_in(self) else {
            return Err(Overloaded);
        };
        let began = Instant::now();
        match tokio::time::timeout(self.wait_max(), places.acquire()).await {
            // Since then it may have turned out that waiting makes less sense; whoever came later has the better chance.
            Ok(Ok(_place)) if began.elapsed() > self.wait_max() => Err(Overloaded),
            Ok(Ok(place)) => {
                place.forget();
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(Overloaded),
        }
    }

    /// How long it makes sense to wait.
    fn wait_max(&self) -> Duration {
        Duration::from_micros(self.patience.load(Ordering::Relaxed))
    }

    /// An answer that began after so many microseconds, to a request that was one of so many.
    fn observe(&self, micros: u64, in_flight: usize) {
        // Whoever finds the window in use leaves his answer out; averages can bear it.
        let Ok(mut window) = self.window.try_lock() else { return };
        window.add(micros, in_flight, self.in_flight());
        let now = Instant::now();
        let limit = self.limit();
        let next = match window.is_full(now) {
            true => window.judge(limit, busy::is_worker_busy(BUSY_PART), now).clamp(LIMIT_MIN.min(self.limit_max), self.limit_max),
            false => limit,
        };
        self.patience.store(window.patience(self.queue_timeout), Ordering::Relaxed);
        drop(window);
        self.set_limit(limit, next);
    }

    fn set_limit(&self, before: usize, next: usize) {
        if next == before {
            return;
        }
        self.limit.store(next, Ordering::Relaxed);
        metrics::gauge!("gateway_concurrency_limit", "cluster" => self.name).set(next as f64);
        if next > before {
            let owed = self.pay_back(next - before);
            self.slots.add_permits(owed);
        } else if next < before {
            let forgotten = self.slots.forget_permits(before - next);
            self.debt.fetch_add(before - next - forgotten, Ordering::Relaxed);
        }
    }

    /// Pays the debt first; what is left may be given out.
    fn pay_back(&self, slots: usize) -> usize {
        let paid = self.debt.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |debt| Some(debt.saturating_sub(slots)));
        slots - paid.unwrap_or_default().min(slots)
    }
}

impl Slot {
    /// The answer began, after so many microseconds where that is known; the place is free again. However long the rest of it takes, that is up to who
    /// reads it: a crowd of slow readers, or of listeners to events, keeps nobody else waiting.
    pub(crate) fn answered(self, micros: Option<u64>) {
        if let Some(micros) = micros {
            self.admission.observe(micros, self.in_flight);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.is_upload {
            return self.admission.uploads.add_permits(1);
        }
        self.admission.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.admission.pay_back(1) == 1 {
            self.admission.slots.add_permits(1);
        }
    }
}

/// A place in the queue.
struct Waiting<'a> {
    admission: &'a Admission,
}

impl<'a> Waiting<'a> {
    fn stand_in(admission: &'a Admission) -> Option<Waiting<'a>> {
        let waiting = Waiting { admission };
        let before = admission.waiting.fetch_add(1, Ordering::Relaxed);
        // Dropped, it leaves the queue again.
        (before < admission.waiting_max).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.admission.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(limit: usize, waiting: usize) -> Arc<Admission> {
        Arc::new(Admission::new("users", limit, waiting, Duration::from_millis(20)))
    }

    #[tokio::test]
    async fn who_finds_no_place_waits_for_one() {
        let admission = admission(1, 1);
        let first = admission.try_enter().unwrap();
        assert!(admission.try_enter().is_none());
        let (second, ()) = tokio::join!(admission.enter(), async { drop(first) });
        assert_eq!(admission.in_flight(), 1);
        assert!(admission.enter().await.is_err(), "waited too long");
        drop(second);
        assert_eq!((admission.in_flight(), admission.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn bodies_that_are_still_arriving_take_nobody_elses_place() {
        let admission = admission(1, 1);
        let upload = admission.enter_upload().await.unwrap();
        let _other = admission.try_enter().unwrap();
        assert!(admission.enter_upload().await.is_err());
        drop(upload);
        assert!(admission.enter_upload().await.is_ok());
    }

    #[tokio::test]
    async fn too_many_do_not_even_wait() {
        let admission = admission(1, 0);
        let _first = admission.try_enter().unwrap();
        assert!(admission.enter().await.is_err());
        assert_eq!(admission.waiting(), 0);
    }

    #[test]
    fn a_lower_limit_holds_once_enough_have_left() {
        let admission = admission(100, 0);
        let held: Vec<_> = (0..100).map(|_| admission.try_enter().unwrap()).collect();
        admission.set_limit(100, 40);
        drop(held);
        let held: Vec<_> = std::iter::from_fn(|| admission.try_enter()).collect();
        assert_eq!(held.len(), 40);
        admission.set_limit(40, 60);
        assert_eq!(std::iter::from_fn(|| admission.try_enter()).take(50).collect::<Vec<_>>().len(), 20);
    }
}
