//! Reads under way: whoever wants the same user at the same time shares one read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use uuid::Uuid;

use crate::Error;
use crate::cached::View;

type Read = BoxFuture<'static, Result<View, Error>>;

/// The reads under way, by user. All clones are the same.
///
/// A read lives as long as somebody waits for it: who goes away cancels nobody else, and with the last one it ends.
#[derive(Clone, Default)]
pub(crate) struct Flights {
    under_way: Arc<Mutex<UnderWay>>,
}

#[derive(Default)]
struct UnderWay {
    begun: u64,
    /// The number of the flight, and the way to join it.
    flights: HashMap<Uuid, (u64, WeakShared<Read>)>,
}

impl Flights {
    /// The read of this user that is under way; else begins `read`.
    pub(crate) fn join(&self, id: Uuid, read: impl Future<Output = Result<View, Error>> + Send + 'static) -> Shared<Read> {
        let mut under_way = self.under_way();
        if let Some(flight) = under_way.flights.get(&id).and_then(|(_, flight)| flight.upgrade()) {
            return flight;
        }
        under_way.begun += 1;
        let landing = Landing { flights: self.clone(), id, number: under_way.begun };
        let flight = async move {
            let _landing = landing;
            read.await
        };
        let flight = flight.boxed().shared();
        let joinable = flight.downgrade().expect("it has not begun, so it is not over");
        let number = under_way.begun;
        under_way.flights.insert(id, (number, joinable));
        flight
    }

    /// Lets nobody else join the read of this user: it may have looked before a change. Who waits for it may have the old
    /// answer, since he asked before the change was done.
    pub(crate) fn detach(&self, id: Uuid) {
        self.under_way().flights.remove(&id);
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        // It is whole after every statement, so a poisoned lock is still good.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.under_way().flights.len()
    }
}

/// Forgets a flight when it is over or nobody waits for it any more.
struct Landing {
    flights: Flights,
    id: Uuid,
    number: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut under_way = self.flights.under_way();
        // After a change there may be another one already.
        if under_way.flights.get(&self.id).is_some_and(|(number, _)| *number == self.number) {
            under_way.flights.remove(&self.id);
        }
    }
}
