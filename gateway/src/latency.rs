//! How long a replica takes to begin an answer: a moving average that rises at once and falls slowly (peak EWMA, as in Finagle).

use std::sync::atomic::{AtomicU64, Ordering};

/// After so long without a sample, a little more than a third of a value is left.
const DECAY_MICROS: f64 = 10_000_000.0;

/// Microseconds, updated without a lock: two samples at the same moment may lose one, which an average can bear.
#[derive(Default)]
pub(crate) struct PeakEwma {
    value: AtomicU64,
    /// The ticks of the last sample.
    at: AtomicU64,
}

impl PeakEwma {
    /// Takes a sample in at `now` (ticks).
    pub(crate) fn observe(&self, micros: u64, now: u64) {
        let before = self.at.swap(now, Ordering::Relaxed);
        let value = f64::from_bits(self.value.load(Ordering::Relaxed));
        let sample = micros as f64;
        let keep = (-(now.saturating_sub(before) as f64) / DECAY_MICROS).exp();
        // With samples close together, each still counts a little.
        let keep = keep.min(0.95);
        let next = if sample > value { sample * 0.3 + value * 0.7 } else { value * keep + sample * (1.0 - keep) };
        self.value.store(next.to_bits(), Ordering::Relaxed);
    }

    /// The average at `now`. It fades when nothing is heard, so that a replica once slow is asked again.
    pub(crate) fn micros(&self, now: u64) -> f64 {
        let silent = now.saturating_sub(self.at.load(Ordering::Relaxed));
        let value = f64::from_bits(self.value.load(Ordering::Relaxed));
        if silent < 1_000_000 { value } else { value * (-(silent as f64) / DECAY_MICROS).exp() }
    }

    /// Whether there is a sample from the last second before `now`.
    pub(crate) fn is_fresh(&self, now: u64) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        at != 0 && now.saturating_sub(at) < 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_fast_falls_slowly_and_fades_in_silence() {
        let latency = PeakEwma::default();
        assert!(!latency.is_fresh(1), "nothing was heard yet");
        for step in 0..100 {
            latency.observe(1_000, 1 + step * 1000);
        }
        let calm = latency.micros(100_000);
        assert!((900.0..1100.0).contains(&calm), "{calm}");
        latency.observe(100_000, 100_000);
        let risen = latency.micros(100_000);
        assert!(risen > 25_000.0, "{risen}");
        latency.observe(1_000, 101_000);
        assert!(latency.micros(101_000) > 20_000.0, "one good sample is no proof");
        assert!(latency.micros(60_000_000) < 500.0, "a minute later it is forgotten");
    }
}
