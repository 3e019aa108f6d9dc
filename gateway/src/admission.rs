//! How many requests a cluster is asked at the same time: as many as it answers without getting slow, found out by watching it.
//!
//! The limit follows the gradient between what an answer takes when there is little to do and what it takes now (as Netflix'
//! concurrency-limits does): it grows while answers are as quick as ever, and shrinks when they take longer. What is over the
//! limit waits a moment, in order; who has waited too long, or finds too many waiting, is told to come again. So an overloaded
//! cluster goes on answering as much as it can, and nobody waits for an answer that comes too late.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, TryAcquireError};

/// Where the limit begins, and what it never falls below.
const LIMIT_START: usize = 1024;
const LIMIT_MIN: usize = 8;
/// Requests whose bodies are still arriving while a replica listens. They have places of their own, or a crowd of slow clients
/// would keep everybody else waiting.
const UPLOADS_MAX: usize = 512;
/// A limit is judged after so many answers, and not more often than that.
const WINDOW_ANSWERS: u32 = 50;
const WINDOW: Duration = Duration::from_millis(100);
/// Answers may take so many times the calm latency before the limit shrinks.
const TOLERANCE: f64 = 2.0;
/// And so many windows in a row must find them slow: a machine that was busy for a moment says nothing about a backend.
const SLOW_WINDOWS: u32 = 2;
/// What is left of the limit after one of them, at least.
const STEP_MIN: f64 = 0.7;
/// Below this nobody feels a difference; and where everything is quick, what is measured is how busy this process is itself.
const CALM_MICROS_MIN: f64 = 10_000.0;
/// With each window the calm latency forgets a little, so that it follows a service that has become slower for good.
const CALM_DRIFT: f64 = 0.01;
/// Waiting longer than so many times the calm latency makes an answer late, where that is long enough to be felt at all.
const WAIT_TIMES: f64 = 1.0;

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
    /// What an answer takes when there is little to do, in microseconds; zero as long as nobody knows.
    calm_micros: AtomicU64,
    window: Mutex<Window>,
}

struct Window {
    began: Instant,
    answers: u32,
    sum_micros: f64,
    /// The most that was in flight.
    peak: usize,
    /// What an answer takes when there is little to do; zero as long as nobody knows.
    calm_micros: f64,
    /// Windows in a row that were slow.
    slow: u32,
}

/// A request's place in the cluster; given back when it is dropped.
pub(crate) struct Slot {
    admission: Arc<Admission>,
    is_upload: bool,
}

/// There is no place, and none came free in time.
#[derive(Debug)]
pub(crate) struct Overloaded;

impl Admission {
    pub(crate) fn new(name: &'static str, limit_max: usize, waiting_max: usize, queue_timeout: Duration) -> Admission {
        let limit = LIMIT_START.min(limit_max);
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
            calm_micros: AtomicU64::new(0),
            window: Mutex::new(Window { began: Instant::now(), answers: 0, sum_micros: 0.0, peak: 0, calm_micros: 0.0, slow: 0 }),
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
                self.in_flight.fetch_add(1, Ordering::Relaxed);
                Some(Slot { admission: self.clone(), is_upload: false })
            }
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    /// Waits for a place, for as long as waiting makes sense.
    pub(crate) async fn enter(self: &Arc<Admission>) -> Result<Slot, Overloaded> {
        self.wait(&self.slots).await?;
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Slot { admission: self.clone(), is_upload: false })
    }

    /// The same for a request whose body is still arriving.
    pub(crate) async fn enter_upload(self: &Arc<Admission>) -> Result<Slot, Overloaded> {
        self.wait(&self.uploads).await?;
        Ok(Slot { admission: self.clone(), is_upload: true })
    }

    async fn wait(&self, places: &Semaphore) -> Result<(), Overloaded> {
        let Some(_place) = Waiting::stand_in(self) else {
            return Err(Overloaded);
        };
        match tokio::time::timeout(self.wait_max(), places.acquire()).await {
            Ok(Ok(permit)) => {
                permit.forget();
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(Overloaded),
        }
    }

    /// How long it makes sense to wait.
    fn wait_max(&self) -> Duration {
        let calm = self.calm_micros.load(Ordering::Relaxed) as f64;
        if calm < CALM_MICROS_MIN { self.queue_timeout } else { self.queue_timeout.min(Duration::from_micros((calm * WAIT_TIMES) as u64)) }
    }

    /// An answer that began after so many microseconds.
    pub(crate) fn observe(&self, micros: u64) {
        // Whoever finds the window in use leaves his answer out; averages can bear it.
        let Ok(mut window) = self.window.try_lock() else { return };
        window.answers += 1;
        window.sum_micros += micros as f64;
        window.peak = window.peak.max(self.in_flight.load(Ordering::Relaxed));
        let is_full = window.answers >= WINDOW_ANSWERS && window.began.elapsed() >= WINDOW;
        if is_full {
            let limit = self.limit();
            let next = window.judge(limit).clamp(LIMIT_MIN.min(self.limit_max), self.limit_max);
            self.calm_micros.store(window.calm_micros as u64, Ordering::Relaxed);
            drop(window);
            self.set_limit(limit, next);
        }
    }

    fn set_limit(&self, before: usize, next: usize) {
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

impl Window {
    /// The next limit; the window begins again.
    fn judge(&mut self, limit: usize) -> usize {
        let now_micros = self.sum_micros / f64::from(self.answers);
        let peak = self.peak;
        (self.began, self.answers, self.sum_micros, self.peak) = (Instant::now(), 0, 0.0, 0);
        if self.calm_micros == 0.0 || now_micros < self.calm_micros {
            self.calm_micros = now_micros;
        } else {
            self.calm_micros += (now_micros - self.calm_micros) * CALM_DRIFT;
        }
        let calm = self.calm_micros.max(CALM_MICROS_MIN);
        let gradient = (TOLERANCE * calm / now_micros.max(1.0)).clamp(STEP_MIN, 1.0);
        let is_slow = gradient < 1.0;
        self.slow = if is_slow { self.slow + 1 } else { 0 };
        let is_used = peak * 2 > limit;
        if (is_slow && self.slow < SLOW_WINDOWS) || (!is_slow && !is_used) {
            return limit;
        }
        // A little above what the gradient says, or the limit would never be found too low.
        let limit = limit as f64;
        (limit * gradient + limit.sqrt()).min(limit * 2.0).round() as usize
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

    #[test]
    fn nobody_waits_longer_than_an_answer_is_worth() {
        let admission = Arc::new(Admission::new("users", 1, 1, Duration::from_millis(500)));
        assert_eq!(admission.wait_max().as_millis(), 500, "nothing is known yet");
        admission.calm_micros.store(2_000, Ordering::Relaxed);
        assert_eq!(admission.wait_max().as_millis(), 500, "too quick to be felt");
        admission.calm_micros.store(40_000, Ordering::Relaxed);
        assert_eq!(admission.wait_max().as_millis(), 40);
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

    #[test]
    fn the_limit_falls_when_answers_get_slow_and_rises_when_they_are_quick() {
        let mut window = Window { began: Instant::now(), answers: 0, sum_micros: 0.0, peak: 0, calm_micros: 20_000.0, slow: 0 };
        let mut judge = |micros: f64, limit: usize, peak: usize| {
            (window.answers, window.sum_micros, window.peak) = (100, micros * 100.0, peak);
            window.judge(limit)
        };
        assert_eq!(judge(80_000.0, 100, 100), 100, "slow for a moment");
        assert_eq!(judge(80_000.0, 100, 100), 80, "far too slow");
        assert!(judge(20_000.0, 100, 100) > 100, "quick, and the limit is used");
        assert_eq!(judge(20_000.0, 100, 10), 100, "quick, and nobody needs more");
    }
}
