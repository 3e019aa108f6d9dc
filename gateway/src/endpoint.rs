//! One replica and what is known of it. `health` and `outlier` judge it, `balance` weighs it, `status` and `/clusters` show it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;

use crate::Health;
use crate::latency::PeakEwma;
use crate::outlier::Outlier;
use crate::ticks;

/// One replica.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// The address as text, for labels and logs.
    pub(crate) name: Arc<str>,
    /// Never given twice in a process: what pools of connections go by.
    pub(crate) id: u64,
    /// Its share of the work beside the others'.
    weight: AtomicUsize,
    /// Zero as long as nobody has looked.
    health: AtomicU8,
    /// When it became live, in ticks; zero as long as it is not.
    live_since: AtomicU64,
    /// Requests being answered by it, from us.
    pub(crate) in_flight: AtomicUsize,
    /// Sockets open to it, from us, including those being opened.
    pub(crate) sockets: AtomicUsize,
    /// Requests it was asked so far, tries included.
    pub(crate) requests: AtomicU64,
    /// Of these, how many it failed: no connection, no answer, or 502, 503, 504.
    pub(crate) errors: AtomicU64,
    /// Of these two, what metrics were told already.
    pub(crate) told_requests: AtomicU64,
    pub(crate) told_errors: AtomicU64,
    /// How long it takes to begin an answer.
    pub(crate) latency: PeakEwma,
    pub(crate) outlier: Outlier,
    last_check: ArcSwapOption<Check>,
    /// It was late the last time somebody looked.
    was_late: AtomicBool,
    /// Looks in a row that found the opposite of what is believed.
    contrary_looks: AtomicUsize,
}

/// What a look at a replica found.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) health: Health,
    pub(crate) latency: Duration,
    pub(crate) at: Timestamp,
    /// What the replica says of itself, word for word.
    pub(crate) checks: Option<serde_json::Value>,
    pub(crate) error: Option<String>,
}

/// How many looks in a row change what is believed of a replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    pub(crate) pass: usize,
    pub(crate) fail: usize,
}

const UNKNOWN: u8 = 0;
const PASS: u8 = 1;
const WARN: u8 = 2;
const FAIL: u8 = 3;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Endpoint {
    pub(crate) fn new(address: SocketAddr, weight: usize) -> Endpoint {
        Endpoint {
            address,
            name: address.to_string().into(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            weight: AtomicUsize::new(weight),
            health: AtomicU8::new(UNKNOWN),
            live_since: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            sockets: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            told_requests: AtomicU64::new(0),
            told_errors: AtomicU64::new(0),
            latency: PeakEwma::default(),
            outlier: Outlier::default(),
            last_check: ArcSwapOption::empty(),
            was_late: AtomicBool::new(false),
            contrary_looks: AtomicUsize::new(0),
        }
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed).max(1)
    }

    pub(crate) fn set_weight(&self, weight: usize) {
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// Does it pass its checks? Unknown is no: the first probe is never further away than one interval.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.health.load(Ordering::Acquire), PASS | WARN)
    }

    /// May it get requests at `now` (in ticks): live, and not ejected for what it did to earlier ones?
    pub(crate) fn is_available(&self, now: u64) -> bool {
        self.is_live() && !self.outlier.is_ejected(now)
    }

    /// How long it has been live; zero when it is not.
    pub(crate) fn live_for(&self, now: u64) -> Duration {
        match self.live_since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_micros(now.saturating_sub(since)),
        }
    }

    /// Whether a live replica that is late now has not been late before.
    pub(crate) fn forgive_lateness(&self, is_late: bool) -> bool {
        let was_late = self.was_late.swap(is_late, Ordering::AcqRel);
        is_late && !was_late && self.is_live()
    }

    pub(crate) fn last_check(&self) -> Option<Arc<Check>> {
        self.last_check.load_full()
    }

    /// Stores what a look found; the next pick already goes by it, once it was found as often as `thresholds` ask.
    pub(crate) fn record(&self, check: Check, thresholds: Thresholds) {
        let found = match check.health {
            Health::Pass => PASS,
            Health::Warn => WARN,
            Health::Fail => FAIL,
        };
        let error = check.error.clone().unwrap_or_default();
        self.last_check.store(Some(Arc::new(check)));
        let before = self.health.load(Ordering::Acquire);
        let needed = match (before, found) {
            (PASS | WARN, FAIL) => thresholds.fail,
            (FAIL, PASS | WARN) => thresholds.pass,
            _ => 1,
        };
        if self.contrary_looks.fetch_add(1, Ordering::AcqRel) + 1 < needed {
            return;
        }
        self.become_found(before, found, &error);
    }

    fn become_found(&self, before: u8, found: u8, error: &str) {
        self.contrary_looks.store(0, Ordering::Release);
        self.health.store(found, Ordering::Release);
        match (before, found) {
            (UNKNOWN | FAIL, PASS | WARN) => {
                self.live_since.store(ticks::at(Instant::now()), Ordering::Relaxed);
                self.outlier.forgive();
                if before == FAIL {
                    tracing::info!(endpoint = %self.name, "replica is up again");
                }
            }
            (PASS | WARN, FAIL) => {
                self.live_since.store(0, Ordering::Relaxed);
                tracing::warn!(endpoint = %self.name, error, "replica is down");
            }
            (UNKNOWN, FAIL) => tracing::warn!(endpoint = %self.name, error, "replica does not answer yet"),
            _ => {}
        }
    }

    /// A request could not even connect: no further one goes there until a probe has passed again.
    pub(crate) fn mark_unreachable(&self, error: &str) {
        let check =
            Check { health: Health::Fail, latency: Duration::ZERO, at: Timestamp::now(), checks: None, error: Some(error.to_owned()) };
        self.last_check.store(Some(Arc::new(check)));
        self.become_found(self.health.load(Ordering::Acquire), FAIL, error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Thresholds = Thresholds { pass: 1, fail: 1 };

    fn check(health: Health) -> Check {
        Check { health, latency: Duration::ZERO, at: Timestamp::UNIX_EPOCH, checks: None, error: None }
    }

    #[test]
    fn a_replica_is_unknown_until_somebody_looks() {
        let endpoint = Endpoint::new("127.0.0.1:1".parse().unwrap(), 1);
        assert!(!endpoint.is_live());
        endpoint.record(check(Health::Warn), AT_ONCE);
        assert!(endpoint.is_live());
        endpoint.mark_unreachable("connection refused");
        assert!(!endpoint.is_live());
    }

    #[test]
    fn being_late_once_is_forgiven_to_a_live_replica() {
        let endpoint = Endpoint::new("127.0.0.1:1".parse().unwrap(), 1);
        assert!(!endpoint.forgive_lateness(true), "nobody knows it yet");
        endpoint.record(check(Health::Pass), AT_ONCE);
        assert!(!endpoint.forgive_lateness(true), "late twice");
        assert!(!endpoint.forgive_lateness(false));
        assert!(endpoint.forgive_lateness(true), "late once");
    }

    #[test]
    fn it_takes_as_many_looks_as_asked_for() {
        let thresholds = Thresholds { pass: 2, fail: 3 };
        let endpoint = Endpoint::new("127.0.0.1:1".parse().unwrap(), 1);
        endpoint.record(check(Health::Pass), thresholds);
        assert!(endpoint.is_live(), "the first look decides");
        for _ in 0..2 {
            endpoint.record(check(Health::Fail), thresholds);
            assert!(endpoint.is_live());
        }
        endpoint.record(check(Health::Pass), thresholds);
        for _ in 0..2 {
            endpoint.record(check(Health::Fail), thresholds);
            assert!(endpoint.is_live(), "a good look in between starts the count again");
        }
        endpoint.record(check(Health::Fail), thresholds);
        assert!(!endpoint.is_live());
        endpoint.record(check(Health::Pass), thresholds);
        assert!(!endpoint.is_live());
        endpoint.record(check(Health::Pass), thresholds);
        assert!(endpoint.is_live());
    }
}
