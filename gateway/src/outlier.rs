//! Replicas that pass their checks and still fail requests are left out for a while (passive health, outlier ejection).
//!
//! Two faults lead there: several gateway errors in a row (no connection, no answer, 502, 503, 504), and answers that take many
//! times as long as the others'. Never more than half of a cluster is left out. Each time again it lasts longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::endpoint::Endpoint;
use crate::ticks::micros;

/// So many times the median of the others, and no less than this, is too slow.
const SLOW_TIMES: f64 = 10.0;
const SLOW_MICROS_MIN: f64 = 250_000.0;
/// Ejected again and again, it is out for so many times the first period at most.
const PERIODS_MAX: u32 = 12;

/// What a replica did to requests lately.
#[derive(Default)]
pub(crate) struct Outlier {
    errors_in_a_row: AtomicU32,
    ejected_until: AtomicU64,
    ejections: AtomicU32,
    /// What it did, in words, the last time it was left out.
    reason: ArcSwapOption<String>,
}

impl Outlier {
    pub(crate) fn is_ejected(&self, now: u64) -> bool {
        self.ejected_until.load(Ordering::Relaxed) > now
    }

    /// How much longer it is left out.
    pub(crate) fn ejected_for(&self, now: u64) -> Duration {
        Duration::from_micros(self.ejected_until.load(Ordering::Relaxed).saturating_sub(now))
    }

    /// Why it was left out.
    pub(crate) fn reason(&self) -> String {
        self.reason.load_full().map_or_else(String::new, |reason| reason.to_string())
    }

    /// An answer that is no gateway error.
    pub(crate) fn succeeded(&self) {
        // Most of the time there is nothing to forget, and nothing to write.
        if self.errors_in_a_row.load(Ordering::Relaxed) != 0 {
            self.errors_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// Gateway errors in a row, this one included.
    pub(crate) fn failed(&self) -> u32 {
        self.errors_in_a_row.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// It was away and is back: what it did before says nothing any more.
    pub(crate) fn forgive(&self) {
        self.errors_in_a_row.store(0, Ordering::Relaxed);
        self.ejected_until.store(0, Ordering::Relaxed);
    }

    fn eject(&self, now: u64, period: Duration, reason: String) -> Duration {
        self.reason.store(Some(Arc::new(reason)));
        let periods = (self.ejections.fetch_add(1, Ordering::Relaxed) + 1).min(PERIODS_MAX);
        let out = period * periods;
        self.errors_in_a_row.store(0, Ordering::Relaxed);
        self.ejected_until.store(now + micros(out), Ordering::Relaxed);
        out
    }
}

/// Leaves `endpoint` out, unless half of the cluster is out already. `why` is for metrics, `said` for people.
pub(crate) fn eject(
    endpoint: &Endpoint,
    all: &[Arc<Endpoint>],
    now: u64,
    period: Duration,
    why: &'static str,
    said: impl FnOnce() -> String,
) {
    let out = all.iter().filter(|other| other.outlier.is_ejected(now) || !other.is_live()).count();
    let is_one_more_too_many = (out + 1) * 2 > all.len();
    if is_one_more_too_many || endpoint.outlier.is_ejected(now) {
        return;
    }
    let out = endpoint.outlier.eject(now, period, said());
    tracing::warn!(endpoint = %endpoint.name, why, reason = endpoint.outlier.reason(), seconds = out.as_secs(), "replica is left out");
    metrics::counter!("gateway_ejections_total", "endpoint" => endpoint.name.to_string(), "why" => why).increment(1);
}

/// Leaves out what is far slower than the rest.
pub(crate) fn eject_slow(all: &[Arc<Endpoint>], now: u64, period: Duration) {
    let heard = |endpoint: &&Arc<Endpoint>| endpoint.is_available(now) && endpoint.latency.is_fresh(now);
    let mut heard: Vec<(f64, &Arc<Endpoint>)> = all.iter().filter(heard).map(|endpoint| (endpoint.latency.micros(now), endpoint)).collect();
    heard.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let Some((slowest, endpoint)) = heard.pop() else { return };
    let Some((median, _)) = heard.get(heard.len() / 2) else { return };
    if slowest > (median * SLOW_TIMES).max(SLOW_MICROS_MIN) {
        let millis = |micros: f64| (micros / 1000.0).ceil();
        let said = || format!("took {} ms for an answer where others take {} ms", millis(slowest), millis(*median));
        eject(endpoint, all, now, period, "slow", said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Check, Thresholds};

    const PERIOD: Duration = Duration::from_secs(5);

    fn live(count: u16) -> Vec<Arc<Endpoint>> {
        let endpoint = |port| {
            let endpoint = Endpoint::new(([127, 0, 0, 1], port).into(), 1);
            let check =
                Check { health: crate::Health::Pass, latency: Duration::ZERO, at: jiff::Timestamp::UNIX_EPOCH, checks: None, error: None };
            endpoint.record(check, Thresholds { pass: 1, fail: 1 });
            Arc::new(endpoint)
        };
        (1..=count).map(endpoint).collect()
    }

    #[test]
    fn at_most_half_of_a_cluster_is_left_out() {
        let all = live(5);
        for endpoint in &all {
            eject(endpoint, &all, 100, PERIOD, "errors", String::new);
        }
        assert_eq!(all.iter().filter(|endpoint| !endpoint.is_available(100)).count(), 2);
        let alone = live(1);
        eject(&alone[0], &alone, 100, PERIOD, "errors", String::new);
        assert!(alone[0].is_available(100));
    }

    #[test]
    fn each_time_again_lasts_longer() {
        let all = live(2);
        eject(&all[0], &all, 1, PERIOD, "errors", String::new);
        assert!(!all[0].is_available(4_900_000) && all[0].is_available(5_000_002));
        eject(&all[0], &all, 6_000_000, PERIOD, "errors", String::new);
        assert!(!all[0].is_available(15_900_000) && all[0].is_available(16_000_001));
    }

    #[test]
    fn only_what_is_far_slower_is_left_out() {
        let all = live(3);
        for endpoint in &all {
            endpoint.latency.observe(2_000, 1);
        }
        eject_slow(&all, 2, PERIOD);
        assert!(all.iter().all(|endpoint| endpoint.is_available(2)));
        for _ in 0..20 {
            all[1].latency.observe(400_000, 2);
        }
        eject_slow(&all, 2, PERIOD);
        assert_eq!(all.iter().map(|endpoint| endpoint.is_available(2)).collect::<Vec<_>>(), [true, false, true]);
        assert!(all[1].outlier.reason().starts_with("took 400 ms for an answer where others take "), "{}", all[1].outlier.reason());
    }
}
