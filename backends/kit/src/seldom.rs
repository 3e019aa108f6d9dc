//! Log lines that must not become a flood: what happens a thousand times a second is said once in a while, with how often.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long to be silent after something was said.
const SILENCE: Duration = Duration::from_secs(1);

/// Says whether it is time to say something again.
#[derive(Debug)]
pub struct Seldom {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    said_at: Option<Instant>,
    left_out: u64,
}

impl Seldom {
    /// Nothing was said yet.
    pub const fn new() -> Self {
        Self { state: Mutex::new(State { said_at: None, left_out: 0 }) }
    }

    /// How often nothing was said since the last time, when it is time to say something; at most once a second.
    pub fn is_time(&self) -> Option<u64> {
        self.is_time_at(Instant::now())
    }

    fn is_time_at(&self, now: Instant) -> Option<u64> {
        // Whole after every statement, so a poisoned lock is still good.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.said_at.is_some_and(|said_at| now < said_at + SILENCE) {
            state.left_out += 1;
            return None;
        }
        state.said_at = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

impl Default for Seldom {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_second_that_counts_the_others() {
        let (seldom, start) = (Seldom::new(), Instant::now());
        let said: Vec<_> = (0..2500).filter_map(|millis| seldom.is_time_at(start + Duration::from_millis(millis))).collect();
        assert_eq!(said, [0, 999, 999]);
    }
}
