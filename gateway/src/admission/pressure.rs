//! Whether far more comes than can be done. Who waits is served in turn as long as everybody's turn comes in time: clients that each
//! ask again when they are answered, however many, make a queue that gets no longer. Where more comes than that, the queue is always as
//! long as may be waited, and only those who came last can be served in time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many times what is done is far more. A crowd that could be served in turn, but is not, seems to be less than this: each of it
/// comes again only after it has waited in vain.
const TIMES: f64 = 1.5;
/// It is over when it was less for so long. Shorter than anybody waits, so that a crowd that comes all at once is served in turn before
/// somebody gives up.
const SPAN: Duration = Duration::from_millis(250);

/// It is judged as often as this.
const INTERVAL: Duration = Duration::from_millis(10);
/// What has lasted for so long is no crowd that came all at once.
const LASTING: Duration = Duration::from_secs(1);
/// But who is refused and asks again at once seems to be more than there are. So all may hope anew every so often: those who could be served
/// in turn are, and are less than far more from then on.
const HOPE_AGAIN: Duration = Duration::from_secs(10);

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Those who have left their places.
    pub(super) done: u64,
    /// Those who got none.
    pub(super) refused: u64,
    /// Those who have a place now, or wait for one.
    pub(super) present: u64,
}

#[derive(Debug, Default)]
pub(super) struct Pressure {
    /// From the newest that is older than the span on.
    seen: VecDeque<(Instant, Counts)>,
    high_since: Option<Instant>,
}

impl Pressure {
    /// It is time to judge again.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.seen.back().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= INTERVAL)
    }

    /// With these counts now.
    pub(super) fn judge(&mut self, counts: Counts, now: Instant) {
        let last = self.seen.back().map_or(Counts::default(), |(_, counts)| *counts);
        self.seen.push_back((now, counts));
        while self.seen.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= SPAN) {
            self.seen.pop_front();
        }
        let first = self.seen.front().map_or(last, |(_, counts)| *counts);
        // It begins at once, and ends when it has been less for a while.
        let since = if self.high_since.is_some() { first } else { last };
        let done = counts.done.saturating_sub(since.done);
        let came = (done + counts.refused.saturating_sub(since.refused) + counts.present).saturating_sub(since.present);
        let is_high = came as f64 > TIMES * done as f64;
        self.high_since = is_high.then(|| self.high_since.unwrap_or(now));
    }

    /// It is over; what comes from now on is judged by itself.
    pub(super) fn end(&mut self) {
        self.high_since = None;
    }

    /// Whether it was high when it was judged.
    pub(super) fn is_high(&self) -> bool {
        self.high_since.is_some()
    }

    /// What part of the time that may be waited still makes sense: all of it at first, none when it has been high for long.
    pub(super) fn hope(&self, now: Instant) -> f64 {
        let Some(since) = self.high_since else { return 1.0 };
        let lasted = now.saturating_duration_since(since).as_secs_f64() % HOPE_AGAIN.as_secs_f64();
        let (span, lasting) = (SPAN.as_secs_f64(), LASTING.as_secs_f64());
        1.0 - ((lasted - span) / (lasting - span)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each 50 ms so many come and so many are done, of whom none waits longer than a moment; whether the pressure was high then.
    fn judge(pressure: &mut Pressure, counts: &mut Counts, now: &mut Instant, came: u64, done: u64) -> bool {
        *now += Duration::from_millis(50);
        counts.done += done;
        counts.refused += came.saturating_sub(done);
        pressure.judge(*counts, *now);
        pressure.is_high()
    }

    #[test]
    fn it_begins_at_once_and_ends_when_it_has_been_less_for_a_while() {
        let (mut pressure, mut counts, mut now) = (Pressure::default(), Counts::default(), Instant::now());
        let mut next = |came, done| judge(&mut pressure, &mut counts, &mut now, came, done);
        assert!(!next(100, 100) && !next(150, 100));
        assert!((0..10).all(|_| next(300, 100)));
        let ended = (0..10).position(|_| !next(100, 100));
        assert!(matches!(ended, Some(1..=4)), "{ended:?}");
        assert!(!next(100, 100));
    }

    #[test]
    fn those_who_wait_have_less_and_less_hope_while_it_lasts() {
        let (mut pressure, mut counts, mut now) = (Pressure::default(), Counts::default(), Instant::now());
        let hopes: Vec<f64> = (0..24)
            .map(|_| {
                judge(&mut pressure, &mut counts, &mut now, 300, 100);
                pressure.hope(now)
            })
            .collect();
        assert!(hopes[..6].iter().all(|hope| *hope == 1.0), "{hopes:?}");
        assert!(hopes.is_sorted_by(|one, next| one >= next) && hopes[12] < 0.9 && hopes[12] > 0.1, "{hopes:?}");
        assert!(hopes[21..].iter().all(|hope| *hope == 0.0), "{hopes:?}");
    }

    #[test]
    fn a_crowd_that_comes_at_once_and_asks_again_and_again_is_none_for_long() {
        let (mut pressure, mut counts, mut now) = (Pressure::default(), Counts { present: 1000, ..Counts::default() }, Instant::now());
        let mut next = || judge(&mut pressure, &mut counts, &mut now, 100, 100);
        assert!(next());
        assert!((0..6).any(|_| !next()), "before anybody gives up");
    }
}
