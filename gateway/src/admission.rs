//! How many requests a cluster is asked at the same time: as many as it answers without getting slow, found out by watching it.
//!
//! The limit follows the gradient between what an answer takes when there is little to do and what it takes now (as Netflix'
//! concurrency-limits does): it grows while answers are as quick as ever, and shrinks when they take longer. What is over the
//! limit waits a moment, in order; who has waited too long, or finds too many waiting, is told to come again. While answers are
//! slow, that moment is a part of what an answer takes in calm: a queue that is always full would only make everybody late. So an
//! overloaded cluster goes on answering as much as it can, and nobody waits for an answer that comes too late.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, TryAcquireError};

use crate::ticks::micros;

/// Where the limit begins, and what it never falls below.
const LIMIT_START: usize = 1024;
const LIMIT_MIN: usize = 4;
/// Requests whose bodies are still arriving while a replica listens. They have places of their own, or a crowd of slow clients
/// would keep everybody else waiting.
const UPLOADS_MAX: usize = 512;
/// A limit is judged after so many answers, and not more often than that.
const WINDOW_ANSWERS: u32 = 50;
const WINDOW: Duration = Duration::from_millis(100);
/// Answers may take so many times the calm latency before the limit shrinks.
const TOLERANCE: f64 = 1.5;
/// And so many windows in a row must find them slow: a machine that was busy for a moment says nothing about a backend.
const SLOW_WINDOWS: u32 = 2;
/// After so many in a row, one with a part of the limit finds out whether answers are slow without the load, too.
const SLOW_WINDOWS_MAX: u32 = 40;
const PROBE_PART: usize = 3;
const PROBE_ANSWERS: u32 = 20;
/// Answers count as slow until so many windows have been quick.
const QUICK_WINDOWS: u32 = 10;
/// Below this nobody feels that an answer is slow; and where a crowd asks a quick backend, what is measured is how busy this
/// machine is itself.
const SLOW_MICROS_MIN: f64 = 75_000.0;
/// Below this the calm latency is too short to be waited for in parts.
const CALM_MICROS_MIN: f64 = 15_000.0;
/// A worker that computes for more of the time than this makes answers slow itself, and to ask less would not help.
const BUSY_PART: f64 = 0.8;
/// With each window the calm latency forgets a little, so that it follows a service that has become slower for good: at the
/// least limit quickly, for then little else explains it.
const CALM_DRIFT: f64 = 0.01;
const CALM_DRIFT_AT_LEAST: f64 = 0.25;
/// While answers are slow, so much of the calm latency may be waited for a place, where that is long enough to be felt at all.
const PATIENCE: f64 = 0.25;

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

struct Window {
    began: Instant,
    answers: u32,
    sum_micros: f64,
    /// Of the moments in which these requests were let in.
    sum_in_flight: f64,
    /// The most that was in flight.
    peak: usize,
    /// What an answer takes when there is little to do; zero as long as nobody knows.
    calm_micros: f64,
    /// Windows in a row in which answers took longer than they may.
    slow_windows: u32,
    /// Windows since the last of these.
    quick_windows: u32,
    /// This window is there to find out what calm is.
    probe: Option<Probe>,
}

/// A window with a part of the limit.
#[derive(Clone, Copy)]
struct Probe {
    /// Only answers to requests that were one of so many at most are looked at.
    limit: usize,
    /// The limit that comes back.
    before: usize,
}

/// A request's place in the cluster; given back when it is dropped.
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
            patience: AtomicU64::new(micros(queue_timeout)),
            window: Mutex::new(Window::new(0.0)),
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
        Duration::from_micros(self.patience.load(Ordering::Relaxed))
    }

    /// An answer that began after so many microseconds, to a request that was one of so many.
    fn observe(&self, micros: u64, in_flight: usize) {
        // Whoever finds the window in use leaves his answer out; averages can bear it.
        let Ok(mut window) = self.window.try_lock() else { return };
        if window.probe.is_some_and(|probe| in_flight > probe.limit) {
            return;
        }
        window.answers += 1;
        window.sum_micros += micros as f64;
        window.sum_in_flight += in_flight as f64;
        window.peak = window.peak.max(self.in_flight.load(Ordering::Relaxed));
        let enough = if window.probe.is_some() { PROBE_ANSWERS } else { WINDOW_ANSWERS };
        let is_full = window.answers >= enough && window.began.elapsed() >= WINDOW;
        if is_full {
            let limit = self.limit();
            let next = window.judge(limit, is_worker_busy()).clamp(LIMIT_MIN.min(self.limit_max), self.limit_max);
            self.patience.store(window.patience(self.queue_timeout), Ordering::Relaxed);
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
    fn new(calm_micros: f64) -> Window {
        Window {
            began: Instant::now(),
            answers: 0,
            sum_micros: 0.0,
            sum_in_flight: 0.0,
            peak: 0,
            calm_micros,
            slow_windows: 0,
            quick_windows: QUICK_WINDOWS,
            probe: None,
        }
    }

    /// The next limit; the window begins again.
    fn judge(&mut self, limit: usize, is_worker_busy: bool) -> usize {
        let answers = f64::from(self.answers);
        let (took, in_flight, peak) = (self.sum_micros / answers, self.sum_in_flight / answers, self.peak);
        let is_used = peak * 2 > limit;
        let calm = self.next_calm(took, limit, is_used);
        let gradient = ((TOLERANCE * calm).max(SLOW_MICROS_MIN) / took.max(1.0)).min(1.0);
        let is_slow = gradient < 1.0 && !is_worker_busy;
        let (slow_windows, quick_windows) = if is_slow { (self.slow_windows + 1, 0) } else { (0, self.quick_windows.saturating_add(1)) };
        let probe = self.probe;
        *self = Window { slow_windows, quick_windows, ..Window::new(calm) };
        if let Some(probe) = probe {
            self.quick_windows = 0;
            return probe.before;
        }
        let limit_now = limit as f64;
        let most = limit_now + limit_now.sqrt();
        if !is_slow {
            return if is_used { most.round() as usize } else { limit };
        }
        if slow_windows < SLOW_WINDOWS {
            return limit;
        }
        if slow_windows > SLOW_WINDOWS_MAX {
            let part = (limit / PROBE_PART).max(LIMIT_MIN);
            self.probe = Some(Probe { limit: part, before: limit });
            return part;
        }
        // What took so long did so because of what was in flight when it came. The limit becomes a little more than the gradient
        // says of that, or it would never be found too low.
        let next = (in_flight * gradient + in_flight.sqrt()).min(most).round() as usize;
        // A limit that is not used is not what makes answers slow, unless much more comes soon.
        if is_used { next } else { next.max(peak * 2).min(limit) }
    }

    fn next_calm(&self, took: f64, limit: usize, is_used: bool) -> f64 {
        let calm = self.calm_micros;
        let drift = match (limit <= LIMIT_MIN, is_used) {
            _ if calm == 0.0 || took < calm || self.probe.is_some() => 1.0,
            (true, _) => CALM_DRIFT_AT_LEAST,
            (false, false) => CALM_DRIFT,
            // It is slow because so much is asked of it: this says nothing about calm.
            (false, true) => 0.0,
        };
        calm + (took - calm) * drift
    }

    /// How long waiting makes sense, in microseconds.
    fn patience(&self, queue_timeout: Duration) -> u64 {
        let is_measurable = self.calm_micros >= CALM_MICROS_MIN;
        let timeout = micros(queue_timeout);
        if self.quick_windows < QUICK_WINDOWS && is_measurable { timeout.min((self.calm_micros * PATIENCE) as u64) } else { timeout }
    }
}

/// Whether this thread has computed nearly all the time since it was last asked.
fn is_worker_busy() -> bool {
    thread_local! {
        static LAST: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
    }
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let used = Duration::new(u64::try_from(used.tv_sec).unwrap_or_default(), u32::try_from(used.tv_nsec).unwrap_or_default());
    let now = Instant::now();
    let Some((then, used_then)) = LAST.replace(Some((now, used))) else { return false };
    let passed = now.saturating_duration_since(then);
    used.saturating_sub(used_then) >= passed.mul_f64(BUSY_PART)
}

impl Slot {
    /// The answer began after so many microseconds.
    pub(crate) fn observe(&self, micros: u64) {
        self.admission.observe(micros, self.in_flight);
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

    /// The limit after a window in which so many were in flight all the time.
    fn judge(window: &mut Window, micros: f64, limit: usize, in_flight: usize) -> usize {
        (window.answers, window.sum_micros, window.sum_in_flight) = (100, micros * 100.0, in_flight as f64 * 100.0);
        window.peak = in_flight;
        window.judge(limit, false)
    }

    #[test]
    fn the_limit_falls_when_answers_get_slow_and_rises_when_they_are_quick() {
        let mut window = Window::new(20_000.0);
        assert_eq!(judge(&mut window, 160_000.0, 100, 100), 100, "slow for a moment");
        assert!(judge(&mut window, 160_000.0, 100, 100) < 65, "far too slow");
        assert!(judge(&mut window, 20_000.0, 100, 100) > 100, "quick, and the limit is used");
        assert_eq!(judge(&mut window, 20_000.0, 100, 10), 100, "quick, and nobody needs more");
        judge(&mut window, 160_000.0, 100, 10);
        assert_eq!(judge(&mut window, 160_000.0, 100, 10), 20, "slow, and not because of the limit");
    }

    /// A backend with so many workers and all it can be asked: the limit after so many windows, and what an answer takes then.
    fn overload(window: &mut Window, workers: usize, micros: f64, windows: usize) -> (usize, f64) {
        let took = |limit: usize| micros * (limit as f64 / workers as f64).max(1.0);
        let limit = (0..windows).fold(256, |limit, _| judge(window, took(limit), limit, limit).max(LIMIT_MIN));
        (limit, took(limit))
    }

    #[test]
    fn the_limit_is_found_soon_and_stays_however_long_it_lasts() {
        for workers in [4, 8, 32, 64] {
            for windows in [8, 10_000] {
                let (limit, took) = overload(&mut Window::new(60_000.0), workers, 60_000.0, windows);
                assert!(limit >= workers && took <= 2.3 * 60_000.0, "{workers} workers, {windows} windows: {limit}, {took}");
            }
        }
    }

    #[test]
    fn a_backend_that_has_become_slower_for_good_is_not_held_down_for_ever() {
        let mut window = Window::new(10_000.0);
        // Ten times as slow, whatever is in flight.
        let limit = (0..100).fold(100, |limit, _| judge(&mut window, 100_000.0, limit, limit).max(LIMIT_MIN));
        assert!(limit > 500, "{limit}, {}", window.calm_micros);
    }

    #[test]
    fn what_nobody_feels_and_what_is_our_own_fault_is_not_slow() {
        let mut window = Window::new(1_000.0);
        for _ in 0..10 {
            assert!(judge(&mut window, 50_000.0, 1000, 1000) > 1000, "a crowd before a quick backend");
        }
        for _ in 0..10 {
            (window.answers, window.sum_micros, window.sum_in_flight, window.peak) = (100, 20_000_000.0, 100_000.0, 1000);
            assert!(window.judge(1000, true) >= 1000, "this process computes all the time");
        }
    }

    #[test]
    fn waiting_is_shorter_while_answers_are_slow() {
        let mut window = Window::new(40_000.0);
        let timeout = Duration::from_millis(100);
        assert_eq!(window.patience(timeout), 100_000);
        judge(&mut window, 200_000.0, 100, 100);
        assert_eq!(window.patience(timeout), 10_000);
        for _ in 0..QUICK_WINDOWS {
            judge(&mut window, 40_000.0, 50, 50);
        }
        assert_eq!(window.patience(timeout), 100_000);
    }
}
