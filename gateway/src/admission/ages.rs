//! How many requests have been under way for how long, without a list of them: each counts in the slice of time in which it began.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A slice is so many microseconds long, as a power of two: 65 ms.
const SLICE_BITS: u32 = 16;
/// Slices that are told apart: half a minute. What is older counts as if it had begun later.
const SLICES: usize = 512;

pub(super) struct Ages {
    began: [AtomicUsize; SLICES],
    /// From this age on, in microseconds, one is overdue.
    overdue_after: AtomicU64,
    /// How many were overdue when they were last counted, in the lower half, and the slice of time in which that was: to count them takes a
    /// look at every slice, and who finds no place asks each time.
    counted: AtomicU64,
}

/// There is no such count.
const UNCOUNTED: u64 = u64::MAX;

/// When one began.
#[derive(Clone, Copy)]
pub(super) struct Age(usize);

impl Default for Ages {
    fn default() -> Self {
        Ages { began: [const { AtomicUsize::new(0) }; SLICES], overdue_after: AtomicU64::new(u64::MAX), counted: AtomicU64::new(UNCOUNTED) }
    }
}

impl Ages {
    pub(super) fn set_overdue_after(&self, micros: u64) {
        self.overdue_after.store(micros, Ordering::Relaxed);
    }

    /// One begins, now.
    pub(super) fn begin(&self, now: u64) -> Age {
        let slice = (now >> SLICE_BITS) as usize % SLICES;
        self.slice(slice, |count| count.fetch_add(1, Ordering::Relaxed));
        Age(slice)
    }

    pub(super) fn end(&self, age: Age) {
        self.slice(age.0, |count| count.fetch_sub(1, Ordering::Relaxed));
        // It may have been one of them.
        if self.counted.load(Ordering::Relaxed) as u32 > 0 {
            self.counted.store(UNCOUNTED, Ordering::Relaxed);
        }
    }

    /// How many of those under way are overdue now.
    pub(super) fn overdue(&self, now: u64) -> usize {
        let (slice, counted) = ((now >> SLICE_BITS) << 32, self.counted.load(Ordering::Relaxed));
        if counted != UNCOUNTED && counted & !u64::from(u32::MAX) == slice {
            return counted as u32 as usize;
        }
        let count = self.count_overdue(now);
        self.counted.store(slice | count as u64, Ordering::Relaxed);
        count
    }

    fn count_overdue(&self, now: u64) -> usize {
        let after = self.overdue_after.load(Ordering::Relaxed);
        // The slice that is just filling, and as many as are young.
        let young = (after >> SLICE_BITS).saturating_add(1);
        let Ok(young) = usize::try_from(young) else { return 0 };
        let newest = (now >> SLICE_BITS) as usize;
        let old = (young.saturating_add(1)..SLICES).map(|back| (newest + SLICES - back) % SLICES);
        old.filter_map(|slice| self.began.get(slice)).map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn slice(&self, slice: usize, change: impl FnOnce(&AtomicUsize) -> usize) {
        // The index is always one of them.
        self.began.get(slice).map(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_long_ago_is_overdue_until_it_ends() {
        let ages = Ages::default();
        ages.set_overdue_after(500_000);
        let (first, _second) = (ages.begin(1), ages.begin(300_000));
        assert_eq!(ages.overdue(400_000), 0);
        assert_eq!(ages.overdue(700_000), 1);
        assert_eq!(ages.overdue(1_000_000), 2);
        ages.end(first);
        assert_eq!(ages.overdue(1_000_000), 1);
    }
}
