//! The limit follows the gradient between what an answer takes when there is little to do and what it takes now (as Netflix'
//! concurrency-limits does): it grows while answers are as quick as ever, and shrinks when they take longer.
//!
//! Where little is asked it is low, and doubles while more and more is asked and answered as quickly (as congestion windows do in
//! TCP's slow start). So a rush that a backend can bear is let in within some tenths of a second, and one that it cannot bear does
//! not fill its queue first. `simulation`, beside this, shows what becomes of both.
//!
//! Slow answers alone do not say that a limit is too high: a database that commits in groups does more the more come together. So once in
//! a while half of the limit shows what answers take then, and how much is done.

use std::time::{Duration, Instant};

/// The limit as long as nobody knows how long an answer takes: so little that it is learned in calm, however many want to come.
pub(super) const LIMIT_UNKNOWN: usize = 8;
/// What it comes back to while little is asked. Where answers take long, room for so many a second; and for some more than there are.
const LIMIT_IDLE: usize = 16;
const IDLE_PER_SECOND: f64 = 500.0;
const IDLE_TIMES_PEAK: f64 = 1.25;
/// A limit of which less than this part is used comes back by so much with each window.
const USED_PART: usize = 4;
const IDLE_SHRINK: f64 = 0.9;
/// What it never falls below: a handful of clients is never turned away because a machine is busy for a moment.
pub(super) const LIMIT_MIN: usize = 8;
/// A limit is judged after so many answers, and not more often than that.
const WINDOW_ANSWERS: u32 = 20;
const WINDOW: Duration = Duration::from_millis(50);
/// Where far more comes than can be done, what is let in until the limit fits waits long: it is judged sooner, then.
const PRESSED_WINDOW_ANSWERS: u32 = 8;
const PRESSED_WINDOW: Duration = Duration::from_millis(25);
/// It doubles as long as answers take less than so many times the calm latency, and shrinks when they take more than so many.
const TOLERANCE_OF_DOUBLING: f64 = 1.2;
const TOLERANCE: f64 = 1.5;
/// Below this nobody feels that an answer is slow.
const SLOW_MICROS_MIN: f64 = 15_000.0;
/// A worker that is busy itself makes answers slow; not more than down to this gradient, though.
const BUSY_EXPLAINS: f64 = 0.4;
/// So many of the last answers tell whether answers are getting slow right now, before the window is full.
const RECENT_ANSWERS: f64 = 8.0;
/// So many windows in a row must find answers slow: a machine that was busy for a moment says nothing about a backend. One is enough where
/// far more comes than can be done.
const SLOW_WINDOWS: u32 = 2;
/// After so many in a row, one with a part of the limit finds out whether answers are slow without the load, too: soon, as what was calm
/// before may have been half a load, and then every so often.
const SLOW_WINDOWS_BEFORE_PROBE: u32 = 10;
const SLOW_WINDOWS_MAX: u32 = 80;
const PROBE_PART: usize = 2;
/// So much more must be done than with that part of the limit, to be worth that each takes longer. What pays is assumed to pay with some
/// more, too, until these have been found to be too many.
const PAYS: f64 = 1.25;
const PAYS_UP_TO: f64 = 1.5;
/// Answers count as slow until so many windows have been quick.
const QUICK_WINDOWS: u32 = 20;
/// With each window the calm latency forgets a little, so that it follows a service that has become slower for good: at the
/// least limit quickly, for then little else explains it.
const CALM_DRIFT: f64 = 0.01;
const CALM_DRIFT_AT_LEAST: f64 = 0.25;
/// What takes so many times what answers take now, and this at least, hangs: it says nothing about how much may be asked.
const OVERDUE_TIMES: f64 = 8.0;
const OVERDUE_MICROS_MIN: f64 = 500_000.0;

/// Where far more comes than can be done, so much of a calm answer may be waited for a place.
const PATIENCE: f64 = 0.25;
const PATIENCE_MIN: Duration = Duration::from_millis(5);

/// The answers since the limit was last judged, and what is remembered of those before.
pub(super) struct Window {
    began: Instant,
    answers: u32,
    sum_micros: f64,
    /// Of the moments in which these requests were let in.
    sum_in_flight: f64,
    /// The most that was in flight.
    peak: usize,
    /// What the last answers took, the latest counting most.
    recent_micros: f64,
    /// What an answer takes when there is little to do; zero as long as nobody knows.
    calm_micros: f64,
    /// Windows in a row in which answers took longer than they may.
    slow_windows: u32,
    /// Windows since the last of these.
    quick_windows: u32,
    /// Since answers got slow it was found out what calm is.
    is_calm_probed: bool,
    /// With up to so many in flight more is done than with fewer, though each takes longer; zero where that is not so, or not known.
    pays_up_to: f64,
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
    /// How many were in flight before, and what an answer took.
    in_flight: f64,
    took: f64,
}

impl Window {
    /// Nothing is known.
    pub(super) fn new(now: Instant) -> Window {
        Window {
            began: now,
            answers: 0,
            sum_micros: 0.0,
            sum_in_flight: 0.0,
            peak: 0,
            recent_micros: 0.0,
            calm_micros: 0.0,
            slow_windows: 0,
            quick_windows: QUICK_WINDOWS,
            is_calm_probed: false,
            pays_up_to: 0.0,
            probe: None,
        }
    }

    /// An answer that took so long, to a request that was one of `in_flight` when it was let in; so many are `left`.
    pub(super) fn add(&mut self, micros: u64, in_flight: usize, left: usize) {
        if self.probe.is_some_and(|probe| in_flight > probe.limit) {
            return;
        }
        self.answers += 1;
        self.sum_micros += micros as f64;
        self.sum_in_flight += in_flight as f64;
        self.peak = self.peak.max(left);
        self.recent_micros += (micros as f64 - self.recent_micros) / RECENT_ANSWERS;
        if self.calm_micros > 0.0 && self.recent_micros > self.slow_micros(self.calm_micros) {
            self.quick_windows = 0;
        }
    }

    /// What takes longer is slow.
    fn slow_micros(&self, calm: f64) -> f64 {
        (TOLERANCE * calm).max(SLOW_MICROS_MIN)
    }

    /// It is time to judge; `is_pressed` where far more comes than can be done.
    pub(super) fn is_full(&self, is_pressed: bool, now: Instant) -> bool {
        if self.calm_micros == 0.0 {
            return self.answers as usize >= LIMIT_UNKNOWN;
        }
        let (answers, window) = if is_pressed { (PRESSED_WINDOW_ANSWERS, PRESSED_WINDOW) } else { (WINDOW_ANSWERS, WINDOW) };
        self.answers >= answers && now.saturating_duration_since(self.began) >= window
    }

    /// The next limit; the window begins again. A worker that is busy itself makes answers slow, and to ask less would not help. Under
    /// pressure more are let in only when answers were quick with as many as may come.
    pub(super) fn judge(&mut self, limit: usize, is_worker_busy: bool, is_pressed: bool, now: Instant) -> usize {
        let answers = f64::from(self.answers);
        let (took, in_flight, peak) = (self.sum_micros / answers, self.sum_in_flight / answers, self.peak);
        // Not what is in flight now: what has just come says nothing about answers yet.
        let is_used = in_flight * 2.0 > limit as f64;
        // Those who came while it filled up say little about what answers take when it is full.
        let is_filled = in_flight * 1.5 > limit as f64;
        let is_first = self.calm_micros == 0.0;
        let calm = self.next_calm(took, limit, is_used);
        let gradient = (self.slow_micros(calm) / took.max(1.0)).min(1.0);
        let is_slow = gradient < 1.0 && !is_worker_busy;
        let is_quick = took <= (TOLERANCE_OF_DOUBLING * calm).max(SLOW_MICROS_MIN / 2.0);
        let (slow_windows, quick_windows) = if is_slow { (self.slow_windows + 1, 0) } else { (0, self.quick_windows.saturating_add(1)) };
        let probe = self.probe;
        let is_calm_probed = self.is_calm_probed && quick_windows < QUICK_WINDOWS;
        *self = Window {
            calm_micros: calm,
            slow_windows,
            quick_windows,
            is_calm_probed,
            recent_micros: self.recent_micros,
            pays_up_to: self.pays_up_to,
            ..Window::new(now)
        };
        if let Some(probe) = probe {
            (self.quick_windows, self.is_calm_probed) = (0, true);
            // Each takes longer, but more is done: as where a backend writes together what came together.
            let pays = probe.in_flight / probe.took > PAYS * in_flight / took;
            self.pays_up_to = if pays { probe.in_flight * PAYS_UP_TO } else { 0.0 };
            return probe.before;
        }
        let more_than_peak = (peak as f64 * IDLE_TIMES_PEAK) as usize;
        let limit_idle = LIMIT_IDLE.max((calm * IDLE_PER_SECOND / 1e6) as usize).max(more_than_peak);
        if is_first {
            return limit_idle;
        }
        let limit_now = limit as f64;
        let a_little_more = limit_now + limit_now.sqrt();
        if !is_slow {
            return match is_used {
                // A busy worker explains a part of it.
                true if gradient < BUSY_EXPLAINS => limit,
                true if is_quick && quick_windows >= QUICK_WINDOWS && is_filled => limit.saturating_mul(2),
                true if is_pressed && !is_filled => limit,
                true => a_little_more.round() as usize,
                false if is_pressed => limit,
                false if peak * USED_PART < limit => ((limit_now * IDLE_SHRINK) as usize).max(limit_idle),
                false => limit.max(limit_idle),
            };
        }
        if slow_windows < SLOW_WINDOWS && !is_pressed {
            return limit;
        }
        let pays = is_used && !is_pressed && self.pays_up_to > 0.0;
        let is_unsure = pays && in_flight > self.pays_up_to;
        let probe_after = if is_calm_probed { SLOW_WINDOWS_MAX } else { SLOW_WINDOWS_BEFORE_PROBE };
        if is_unsure || slow_windows > probe_after {
            let part = (limit / PROBE_PART).max(LIMIT_MIN);
            self.probe = Some(Probe { limit: part, before: limit, in_flight, took });
            return part;
        }
        if pays {
            return a_little_more.round() as usize;
        }
        // What took so long did so because of what was in flight when it came. The limit becomes a little more than the gradient
        // says of that, or it would never be found too low.
        let next = (in_flight * gradient + in_flight.sqrt() / 2.0).min(a_little_more).round() as usize;
        // A limit that is not used is not what makes answers slow, unless much more comes soon.
        if is_used { next } else { next.max(more_than_peak).min(limit) }
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

    /// How long waiting makes sense where far more comes than can be done.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.calm_micros * PATIENCE / 1e6).max(PATIENCE_MIN)
    }

    /// After how long a request is one that hangs, in microseconds: many times what others take now.
    pub(super) fn overdue_after(&self) -> u64 {
        (self.calm_micros.max(self.recent_micros) * OVERDUE_TIMES).max(OVERDUE_MICROS_MIN) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers take so long when there is little to do.
    fn calm(calm_micros: f64) -> Window {
        Window { calm_micros, ..Window::new(Instant::now()) }
    }

    /// The limit after a window in which so many were in flight all the time.
    fn judge(window: &mut Window, micros: f64, limit: usize, in_flight: usize) -> usize {
        (window.answers, window.sum_micros, window.sum_in_flight) = (100, micros * 100.0, in_flight as f64 * 100.0);
        window.peak = in_flight;
        window.judge(limit, false, false, Instant::now())
    }

    #[test]
    fn the_limit_falls_when_answers_get_slow_and_rises_when_they_are_quick() {
        let mut window = calm(20_000.0);
        assert_eq!(judge(&mut window, 160_000.0, 100, 100), 100, "slow for a moment");
        assert!(judge(&mut window, 160_000.0, 100, 100) < 65, "far too slow");
        assert!(judge(&mut window, 20_000.0, 100, 100) > 100, "quick, and the limit is used");
        assert_eq!(judge(&mut window, 20_000.0, 100, 30), 100, "quick, and nobody needs more");
        judge(&mut window, 160_000.0, 100, 10);
        assert_eq!(judge(&mut window, 160_000.0, 100, 10), 12, "slow, and not because of the limit");
    }

    #[test]
    fn under_pressure_slow_answers_count_at_once_and_only_a_limit_that_is_used_up_grows() {
        let judge = |micros, limit, in_flight| {
            let mut window = calm(20_000.0);
            (window.answers, window.sum_micros, window.sum_in_flight, window.peak) = (8, micros * 8.0, in_flight * 8.0, 30);
            window.judge(limit, false, true, Instant::now())
        };
        assert!(judge(160_000.0, 100, 100.0) < 65, "far too slow");
        assert_eq!((judge(20_000.0, 30, 19.0), judge(20_000.0, 30, 10.0)), (30, 30), "quick, with fewer than may come");
        assert_eq!(judge(20_000.0, 30, 30.0), 60, "quick with all of them");
    }

    /// A backend with so many workers and all it can be asked: the limit after so many windows, and what an answer takes then.
    fn overload(window: &mut Window, workers: usize, micros: f64, windows: usize) -> (usize, f64) {
        let took = |limit: usize| micros * (limit as f64 / workers as f64).max(1.0);
        let limit = (0..windows).fold(256, |limit, _| judge(window, took(limit), limit, limit).max(LIMIT_MIN));
        (limit, took(limit))
    }

    #[test]
    fn the_limit_is_found_soon_and_stays_however_long_it_lasts() {
        // Fewer are asked as much as eight can do.
        for workers in [8, 16, 32, 64] {
            for windows in [8, 10_000] {
                let (limit, took) = overload(&mut calm(60_000.0), workers, 60_000.0, windows);
                assert!(limit >= workers && took <= 2.3 * 60_000.0, "{workers} workers, {windows} windows: {limit}, {took}");
            }
        }
    }

    #[test]
    fn slow_answers_are_borne_where_half_as_many_in_flight_do_much_less() {
        // As of one that needs 20 ms and one more for each, all together; and of one with sixteen workers.
        let together = |in_flight: f64| 20_000.0 + 1_000.0 * in_flight;
        let workers = |in_flight: f64| 20_000.0 * (in_flight / 16.0).max(1.0);
        let after = |took: &dyn Fn(f64) -> f64| {
            let mut window = calm(20_000.0);
            (0..100).fold(32, |limit: usize, _| judge(&mut window, took(limit as f64), limit, limit).clamp(LIMIT_MIN, 4096))
        };
        assert!(after(&together) > 60, "{}", after(&together));
        assert!((16..32).contains(&after(&workers)), "{}", after(&workers));
    }

    #[test]
    fn a_backend_that_has_become_slower_for_good_is_not_held_down_for_ever() {
        let mut window = calm(10_000.0);
        // Ten times as slow, whatever is in flight.
        let limit = (0..200).fold(100, |limit: usize, _| judge(&mut window, 100_000.0, limit, limit).clamp(LIMIT_MIN, 4096));
        assert!(limit > 500, "{limit}, {}", window.calm_micros);
    }

    #[test]
    fn what_nobody_feels_and_what_is_our_own_fault_is_not_slow() {
        let mut window = calm(1_000.0);
        for _ in 0..10 {
            assert!(judge(&mut window, 12_000.0, 1000, 1000) > 1000, "a crowd before a quick backend");
        }
        for _ in 0..10 {
            (window.answers, window.sum_micros, window.sum_in_flight, window.peak) = (100, 20_000_000.0, 100_000.0, 1000);
            assert!(window.judge(1000, true, false, Instant::now()) >= 1000, "this process computes all the time");
        }
        (window.answers, window.sum_micros, window.sum_in_flight, window.peak) = (100, 3_000_000.0, 100_000.0, 1000);
        assert!(window.judge(1000, true, false, Instant::now()) > 1000, "which explains a part of it");
    }
}
