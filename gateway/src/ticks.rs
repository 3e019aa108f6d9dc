//! Moments as small numbers, so that they fit into atomics: microseconds since the process first asked.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Microseconds from the process's first look at the clock to `moment`; never zero, so that zero can mean "never".
pub(crate) fn at(moment: Instant) -> u64 {
    micros(moment.saturating_duration_since(*ORIGIN)) + 1
}

/// Microseconds of a duration.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX - 1)
}
