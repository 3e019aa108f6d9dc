//! How many requests may be repeated: a share of those that came, so that a failing backend is not finished off by repeats.
//!
//! Each request adds its share, each repeat takes one. What was saved up lasts for about ten seconds of requests. A connection
//! that breaks while a request is on its way is most often one that was just being closed; for these there is a small credit.

use std::sync::atomic::{AtomicI64, Ordering};

/// A repeat costs so much.
const REPEAT: i64 = 100;
/// So many repeats may be saved up.
const SAVED_MAX: i64 = 1_000 * REPEAT;
/// So many repeats of broken kept connections may be owed.
const CREDIT: i64 = 10 * REPEAT;

/// The balance of one cluster.
pub(crate) struct RetryBudget {
    balance: AtomicI64,
    percent: i64,
}

impl RetryBudget {
    pub(crate) fn new(percent: u8) -> RetryBudget {
        RetryBudget { balance: AtomicI64::new(0), percent: percent.into() }
    }

    /// A request came.
    pub(crate) fn deposit(&self) {
        if self.balance.load(Ordering::Relaxed) < SAVED_MAX {
            self.balance.fetch_add(self.percent, Ordering::Relaxed);
        }
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
    fn a_few_broken_connections_are_repeated_from_the_start_and_paid_back_later() {
        let budget = RetryBudget::new(20);
        assert_eq!((0..50).filter(|_| budget.withdraw(true)).count(), 10);
        for _ in 0..50 {
            budget.deposit();
        }
        assert!(!budget.withdraw(false), "the credit comes first");
        assert!(!RetryBudget::new(0).withdraw(true), "none means none");
    }
}
