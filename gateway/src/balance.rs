//! Which replica gets a request, and which gets a socket. Called by `cluster` with the live replicas.
//!
//! Requests are short: the better of two chosen by chance is good enough and never herds. Sockets stay for hours: there the
//! smallest count wins, and the place is taken in the same step, so that a thousand clients that reconnect at once spread out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::cluster::Endpoint;

/// A place at a replica: counted from the pick until it is dropped, whatever happens in between.
pub(crate) struct Reservation {
    pub(crate) endpoint: Arc<Endpoint>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Socket,
}

/// The less busy of two replicas chosen by chance.
pub(crate) fn pick_for_request(live: &[Arc<Endpoint>], seed: u64) -> Option<Reservation> {
    let busy = |endpoint: &Endpoint| endpoint.in_flight.load(Ordering::Relaxed);
    let first = index(seed, live.len())?;
    let others = live.len() - 1;
    // The second is drawn from the others, so that it never is the first again.
    let second = index(seed >> 32, others).map_or(first, |step| (first + 1 + step) % live.len());
    let (first, second) = (live.get(first)?, live.get(second)?);
    let endpoint = if busy(second) < busy(first) { second } else { first };
    endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
    Some(Reservation { endpoint: endpoint.clone(), kind: Kind::Request })
}

/// The replica with the fewest open sockets; chance decides only between equals.
pub(crate) fn pick_for_socket(live: &[Arc<Endpoint>], seed: u64) -> Option<Reservation> {
    let start = index(seed, live.len())?;
    loop {
        let in_turn = live.iter().cycle().skip(start).take(live.len());
        let (endpoint, open) =
            in_turn.map(|endpoint| (endpoint, endpoint.sockets.load(Ordering::Acquire))).min_by_key(|(_, open)| *open)?;
        // Somebody else may have taken the place since we looked; then look again.
        let taken = endpoint.sockets.compare_exchange(open, open + 1, Ordering::AcqRel, Ordering::Acquire);
        if taken.is_ok() {
            gauge(endpoint).increment(1.0);
            return Some(Reservation { endpoint: endpoint.clone(), kind: Kind::Socket });
        }
    }
}

/// Spreads consecutive numbers over all of u64 (splitmix64).
pub(crate) fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn index(seed: u64, len: usize) -> Option<usize> {
    (seed & u64::from(u32::MAX)).checked_rem(len as u64).map(|index| index as usize)
}

fn gauge(endpoint: &Endpoint) -> metrics::Gauge {
    metrics::gauge!("gateway_sockets_open", "endpoint" => endpoint.address.to_string())
}

impl Drop for Reservation {
    fn drop(&mut self) {
        match self.kind {
            Kind::Request => {
                self.endpoint.in_flight.fetch_sub(1, Ordering::Relaxed);
            }
            Kind::Socket => {
                self.endpoint.sockets.fetch_sub(1, Ordering::AcqRel);
                gauge(&self.endpoint).decrement(1.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(count: u16) -> Vec<Arc<Endpoint>> {
        (1..=count).map(|port| Arc::new(Endpoint::new(([127, 0, 0, 1], port).into()))).collect()
    }

    fn counts(live: &[Arc<Endpoint>]) -> Vec<usize> {
        live.iter().map(|endpoint| endpoint.sockets.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn no_live_replica_means_no_pick() {
        assert!(pick_for_request(&[], 1).is_none());
        assert!(pick_for_socket(&[], 1).is_none());
    }

    #[test]
    fn the_less_busy_of_two_gets_the_request() {
        let live = endpoints(2);
        live[0].in_flight.store(5, Ordering::Relaxed);
        for number in 0..20 {
            assert_eq!(pick_for_request(&live, scatter(number)).unwrap().endpoint.address.port(), 2);
        }
    }

    #[test]
    fn requests_spread_over_all_replicas() {
        let live = endpoints(4);
        let held: Vec<_> = (0..400).filter_map(|number| pick_for_request(&live, scatter(number))).collect();
        for endpoint in &live {
            let share = endpoint.in_flight.load(Ordering::Relaxed);
            assert!((90..=110).contains(&share), "{share}");
        }
        drop(held);
        assert!(live.iter().all(|endpoint| endpoint.in_flight.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn idle_replicas_share_requests_that_come_one_by_one() {
        let live = endpoints(3);
        let mut seen = [0; 3];
        for number in 0..300 {
            let picked = pick_for_request(&live, scatter(number)).unwrap();
            seen[usize::from(picked.endpoint.address.port()) - 1] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
    }

    #[test]
    fn the_fewest_sockets_win_and_equals_differ_by_at_most_one() {
        let live = endpoints(3);
        let held: Vec<_> = (0..10).filter_map(|number| pick_for_socket(&live, scatter(number))).collect();
        let spread = counts(&live);
        assert_eq!(spread.iter().sum::<usize>(), 10);
        assert!(spread.iter().all(|count| (3..=4).contains(count)), "{spread:?}");
        drop(held);
        assert_eq!(counts(&live), [0, 0, 0]);
    }

    #[test]
    fn picks_at_the_same_moment_spread() {
        let live = endpoints(2);
        let (live_ref, barrier) = (&live, &std::sync::Barrier::new(8));
        let held = std::thread::scope(|scope| {
            let pick = |number: u64| {
                scope.spawn(move || {
                    barrier.wait();
                    (0..100).filter_map(|step| pick_for_socket(live_ref, scatter(number * 100 + step))).collect::<Vec<_>>()
                })
            };
            let threads: Vec<_> = (0..8).map(pick).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(held.len(), 800);
        let spread = counts(&live);
        assert!(spread[0].abs_diff(spread[1]) <= 8, "{spread:?}");
    }
}
