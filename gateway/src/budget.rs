//! How many requests may be repeated: a share of those that came, so that a failing backend is not finished off by repeats.
//!
//! Each request adds its share, each repeat takes one. What was saved up lasts for about ten seconds of requests. The shares of the
//! first requests are there from the start, or the first of all could never be repeated. A connection that breaks while a request
//! is on its way is most often one that was just being closed; for these there is a small credit.

use std::sync::atomic::{AtomicI64, Ordering};

/// A repeat costs so much.
const REPEAT: i64 = 100;
/// So many repeats may be saved up.
const SAVED_MAX: i64 = 1_000 * REPEAT;
/// So many are there before any request has come.
const ADVANCE: i64 = 5 * REPEAT;
/// So many repeats of broken kept connections may be owed.
const CREDIT: i64 = 10 * REPEAT;

/// The balance of one cluster.
pub(crate) struct RetryBudget {
    balance: AtomicI64,
    /// What of the advance the requests to come have yet to bring.
    advance: AtomicI64,
    percent: i64,
}

impl RetryBudget {
    pub(crate) fn new(percent: u8) -> RetryBudget {
        let advance = if percent > 0 { ADVANCE } else { 0 };
        RetryBudget { balance: AtomicI64::new(advance), advance: AtomicI64::new(advance), percent: percent.into() }
    }

    /// A request came.
    pub(crate) fn deposit(&self) {
        if self.advance.load(Ordering::Relaxed) > 0 {
            self.advance.fetch_sub(self.percent, Ordering::Relaxed);
            return;
        }
        if self.balance.load(Ordering::Relaxed) < SAVED_MAX {
            self.balance.fetch_add(self.percent, Ordering::Relaxed);
        }
    }

    /// Whether there is enough for a repeat.
    pub(crate) fn has_repeat(&self) -> bool {
        self.balance.load(Ordering::Relaxed) >= REPEAT
    }

    /// Takes what a repeat costs, if it is there.
    pub(crate) fn withdraw(&self, is_broken_kept_connection: bool) -> bool {
        let least = if is_broken_kept_connection && self.percent > 0 { REPEAT - CREDIT } else { REPEAT };
        self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| (balance >= least).then(|| balance - REPEAT)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_a_share_of_the_requests() {
        let budget = RetryBudget::new(20);
        let mut repeats = 0;
        for _ in 0..1000 {
            budget.deposit();
            repeats += u32::from(budget.withdraw(false));
        }
        assert_eq!(repeats, 200);
    }

    #[test]
    fn the_first_request_can_be_repeated_and_the_share_still_holds() {
        for requests in [1, 5, 25, 100, 1000] {
            let budget = RetryBudget::new(20);
            let repeats = (0..requests).filter(|_| {
                budget.deposit();
                budget.withdraw(false)
            });
            assert_eq!(repeats.count(), (requests / 5).max(5).min(requests), "{requests} requests");
        }
        assert!(!RetryBudget::new(0).withdraw(false), "none means none");
    }

    #[test]
    fn a_few_broken_connections_are_repeated_from_the_start_and_paid_back_later() {
        let budget = RetryBudget::new(20);
        assert_eq!((0..50).filter(|_| budget.withdraw(true)).count(), 15);
        for _ in 0..75 {
            budget.deposit();
        }
        assert!(!budget.withdraw(false) && !budget.has_repeat(), "the credit comes first");
        assert!(!RetryBudget::new(0).withdraw(true), "none means none");
    }
}
