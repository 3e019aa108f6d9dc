//! What answers say about a cluster, and what follows from it for those who come: how many are let in, who of those who wait is next, and
//! how long waiting makes sense. It judges in whatever time it is told, so that `simulation` asks the same judge as the door.

use std::time::{Duration, Instant};

use super::gradient::Window;
use super::pressure::{Counts, Pressure};

pub(super) struct Observer {
    window: Window,
    pressure: Pressure,
    queue_timeout: Duration,
}

/// How those are served who wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Waiting {
    /// While there are too many, who came last has the best chance: whoever waited long may have given up.
    pub(super) is_newest_first: bool,
    /// Who waits longer is told to come again.
    pub(super) patience: Duration,
}

impl Observer {
    pub(super) fn new(queue_timeout: Duration, now: Instant) -> Observer {
        Observer { window: Window::new(now), pressure: Pressure::default(), queue_timeout }
    }

    /// An answer that began after so many microseconds, to a request that was one of `in_flight`; so many are `left`.
    pub(super) fn answered(&mut self, micros: u64, in_flight: usize, left: usize) {
        self.window.add(micros, in_flight, left);
    }

    /// How those are served who wait, where it is time to judge that.
    pub(super) fn waiting(&mut self, counts: impl FnOnce() -> Counts, now: Instant) -> Option<Waiting> {
        if !self.pressure.is_due(now) {
            return None;
        }
        self.pressure.judge(counts(), now);
        let least = self.window.patience().min(self.queue_timeout);
        let patience = self.queue_timeout.mul_f64(self.pressure.hope(now)).max(least);
        Some(Waiting { is_newest_first: self.pressure.is_high(), patience })
    }

    /// Nobody was there for a moment: whatever pressure there was is over.
    pub(super) fn emptied(&mut self) -> Waiting {
        self.pressure.end();
        Waiting { is_newest_first: false, patience: self.queue_timeout }
    }

    /// How many may be let in, who were so many until now, where it is time to judge that.
    pub(super) fn limit(&mut self, limit: usize, is_worker_busy: impl FnOnce() -> bool, now: Instant) -> Option<usize> {
        let is_pressed = self.pressure.is_high();
        self.window.is_full(is_pressed, now).then(|| self.window.judge(limit, is_worker_busy(), is_pressed, now))
    }

    /// After how many microseconds a request hangs.
    pub(super) fn overdue_after(&self) -> u64 {
        self.window.overdue_after()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_before_nobody_was_there_does_not_count_any_more() {
        let mut now = Instant::now();
        let mut observer = Observer::new(Duration::from_secs(2), now);
        let mut counts = Counts::default();
        let mut next = |observer: &mut Observer, done, refused| {
            now += Duration::from_millis(50);
            (counts.done, counts.refused) = (counts.done + done, counts.refused + refused);
            observer.waiting(|| counts, now).is_some_and(|waiting| waiting.is_newest_first)
        };
        assert!((0..100).all(|_| next(&mut observer, 100, 200)));
        assert!(!observer.emptied().is_newest_first);
        assert!(!next(&mut observer, 100, 0), "as much is done as comes");
    }
}
