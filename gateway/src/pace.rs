//! How slowly the body of a request may arrive. Both engines ask here.

use std::time::{Duration, Instant};

use crate::Config;

/// How long a body may take to get going.
const GRACE: Duration = Duration::from_secs(5);

/// A body under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    began: Instant,
    /// When some of it came last.
    heard: Instant,
    received: u64,
}

impl Pace {
    /// Waited for from now on.
    pub(crate) fn begin(now: Instant) -> Pace {
        Pace { began: now, heard: now, received: 0 }
    }

    /// So much has come in all.
    pub(crate) fn note(&mut self, received: u64) {
        if received != self.received {
            self.received = received;
            self.heard = Instant::now();
        }
    }

    /// By when more of it must have come.
    pub(crate) fn due(&self, config: &Config) -> Instant {
        // A client that sends nothing at all for so long is gone, however much it sent before.
        let silent = self.heard + config.request_timeout();
        match config.body_bytes_per_second_min {
            0 => silent,
            per_second => silent.min(self.began + GRACE + Duration::from_millis(self.received.saturating_mul(1000) / per_second)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing;

    #[test]
    fn what_has_come_buys_time() {
        let config = Config { body_bytes_per_second_min: 100, ..testing::config() };
        let now = Instant::now();
        let mut pace = Pace::begin(now);
        assert_eq!(pace.due(&config) - now, GRACE);
        pace.note(250);
        assert_eq!(pace.due(&config) - now, GRACE + Duration::from_millis(2500));
    }

    #[test]
    fn what_came_at_once_does_not_buy_an_hour_of_silence() {
        let config = Config { body_bytes_per_second_min: 100, ..testing::config() };
        let mut pace = Pace::begin(Instant::now());
        pace.note(1_000_000);
        assert!(pace.due(&config) <= Instant::now() + config.request_timeout());
    }

    #[test]
    fn without_a_rate_only_silence_counts() {
        let config = Config { body_bytes_per_second_min: 0, ..testing::config() };
        let long_ago = Instant::now() - Duration::from_secs(3600);
        let mut pace = Pace::begin(long_ago);
        assert_eq!(pace.due(&config) - long_ago, config.request_timeout());
        pace.note(1);
        let due = pace.due(&config);
        assert!(due > Instant::now());
        pace.note(1);
        assert_eq!(pace.due(&config), due, "nothing new has come");
    }
}
