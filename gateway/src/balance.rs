//! Which replica gets a request, and which gets a socket. Called by `cluster` with its replicas.
//!
//! Requests are short: the better of two chosen by chance is good enough and never herds (power of two choices). Better is the
//! one with the smaller product of its latency and the requests in flight there (peak EWMA, as in Finagle). Sockets stay for
//! hours: there the smallest count wins, and the place is taken in the same step, so that a thousand clients that reconnect at
//! once spread out. Where the same caller should meet the same replica again, see `affinity`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::endpoint::Endpoint;

/// A replica that has just become live gets its full share only after so long.
const SLOW_START: Duration = Duration::from_secs(10);
/// The share it begins with.
const SLOW_START_SHARE: f64 = 0.1;
/// Latencies below this are the same: differences nobody would feel decide nothing, or a replica that was a little slower once
/// would get nothing as long as there is little to do.
const LATENCY_FLOOR_MICROS: f64 = 2_000.0;

/// One pick in so many goes by load alone.
const ASKED_ANYWAY: u64 = 8;

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

impl Reservation {
    /// A place for a request at `endpoint`.
    pub(crate) fn request(endpoint: &Arc<Endpoint>) -> Reservation {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Reservation { endpoint: endpoint.clone(), kind: Kind::Request }
    }
}

/// The better of two candidates chosen by chance.
pub(crate) fn pick_for_request(
    all: &[Arc<Endpoint>],
    is_candidate: impl Fn(&Endpoint) -> bool,
    seed: u64,
    now: u64,
) -> Option<Reservation> {
    let from = |start: usize| {
        let in_turn = (0..all.len()).map(move |step| (start + step) % all.len());
        in_turn.filter_map(|index| all.get(index)).find(|endpoint| is_candidate(endpoint))
    };
    let first = from(index(seed, all.len())?)?;
    // The second is drawn from the others where it can be, so that it seldom is the first again.
    let second = from(index(seed >> 32, all.len())?).filter(|second| !Arc::ptr_eq(first, second)).or_else(|| {
        let at = all.iter().position(|endpoint| Arc::ptr_eq(endpoint, first))?;
        from(at + 1)
    })?;
    // Now and then latency does not matter, or one that was slow once would be asked nothing while there is little to do, and
    // nobody would learn that it is quick again, or dead.
    let asks_anyone = (seed >> 29).is_multiple_of(ASKED_ANYWAY);
    let weigh = |endpoint: &Endpoint| if asks_anyone { load(endpoint, now) } else { cost(endpoint, now) };
    let endpoint = if weigh(second) < weigh(first) { second } else { first };
    Some(Reservation::request(endpoint))
}

/// What one more request would have to wait for there, in microseconds and shares.
fn cost(endpoint: &Endpoint, now: u64) -> f64 {
    endpoint.latency.micros(now).max(LATENCY_FLOOR_MICROS) * load(endpoint, now)
}

/// Requests for its share.
fn load(endpoint: &Endpoint, now: u64) -> f64 {
    let in_flight = endpoint.in_flight.load(Ordering::Relaxed) as f64;
    (in_flight + 1.0) / (endpoint.weight() as f64 * ramp(endpoint, now))
}

fn ramp(endpoint: &Endpoint, now: u64) -> f64 {
    let live_for = endpoint.live_for(now);
    if live_for >= SLOW_START { 1.0 } else { (live_for.as_secs_f64() / SLOW_START.as_secs_f64()).max(SLOW_START_SHARE) }
}

/// The candidate with the fewest open sockets for its weight; chance decides only between equals.
pub(crate) fn pick_for_socket(all: &[Arc<Endpoint>], is_candidate: impl Fn(&Endpoint) -> bool, seed: u64) -> Option<Reservation> {
    let start = index(seed, all.len())?;
    loop {
        let in_turn = all.iter().cycle().skip(start).take(all.len()).filter(|endpoint| is_candidate(endpoint));
        let (endpoint, open) = in_turn
            .map(|endpoint| (endpoint, endpoint.sockets.load(Ordering::Acquire)))
            .min_by(|(one, open), (other, other_open)| (open * other.weight()).cmp(&(other_open * one.weight())))?;
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
    metrics::gauge!("gateway_sockets_open", "endpoint" => endpoint.name.to_string())
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
        (1..=count).map(|port| Arc::new(Endpoint::new(([127, 0, 0, 1], port).into(), 1))).collect()
    }

    fn any(_: &Endpoint) -> bool {
        true
    }

    fn counts(live: &[Arc<Endpoint>]) -> Vec<usize> {
        live.iter().map(|endpoint| endpoint.sockets.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn no_candidate_means_no_pick() {
        assert!(pick_for_request(&[], any, 1, 1).is_none());
        assert!(pick_for_socket(&[], any, 1).is_none());
        assert!(pick_for_request(&endpoints(3), |_| false, 1, 1).is_none());
        assert!(pick_for_socket(&endpoints(3), |_| false, 1).is_none());
    }

    #[test]
    fn the_only_candidate_is_picked_from_wherever_chance_starts() {
        let all = endpoints(4);
        for number in 0..50 {
            let picked = pick_for_request(&all, |endpoint| endpoint.address.port() == 3, scatter(number), 1).unwrap();
            assert_eq!(picked.endpoint.address.port(), 3);
        }
    }

    #[test]
    fn the_less_busy_of_two_gets_the_request() {
        let live = endpoints(2);
        live[0].in_flight.store(5, Ordering::Relaxed);
        for number in 0..20 {
            assert_eq!(pick_for_request(&live, any, scatter(number), 1).unwrap().endpoint.address.port(), 2);
        }
    }

    #[test]
    fn requests_spread_over_all_replicas() {
        let live = endpoints(4);
        let held: Vec<_> = (0..400).filter_map(|number| pick_for_request(&live, any, scatter(number), 1)).collect();
        for endpoint in &live {
            let share = endpoint.in_flight.load(Ordering::Relaxed);
            assert!((90..=110).contains(&share), "{share}");
        }
        drop(held);
        assert!(live.iter().all(|endpoint| endpoint.in_flight.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn weights_are_shares() {
        let live = endpoints(2);
        live[0].set_weight(3);
        let held: Vec<_> = (0..400).filter_map(|number| pick_for_request(&live, any, scatter(number), 1)).collect();
        let share = live[0].in_flight.load(Ordering::Relaxed);
        assert!((290..=310).contains(&share), "{share}");
        drop(held);
        let _sockets: Vec<_> = (0..8).filter_map(|number| pick_for_socket(&live, any, scatter(number))).collect();
        assert_eq!(counts(&live), [6, 2]);
    }

    #[test]
    fn a_little_slower_is_not_slow() {
        let live = endpoints(2);
        live[0].latency.observe(1_500, 1);
        live[1].latency.observe(300, 1);
        let first = (0..1000).filter(|number| pick_for_request(&live, any, scatter(*number), 2).unwrap().endpoint.address.port() == 1);
        assert!((400..600).contains(&first.count()));
    }

    #[test]
    fn a_slow_replica_gets_few_requests() {
        let live = endpoints(3);
        for endpoint in &live {
            endpoint.latency.observe(1_000, 1);
        }
        for _ in 0..20 {
            live[1].latency.observe(100_000, 1);
        }
        let slow = (0..1000).filter(|number| pick_for_request(&live, any, scatter(*number), 2).unwrap().endpoint.address.port() == 2);
        assert!(slow.count() < 100);
    }

    #[test]
    fn idle_replicas_share_requests_that_come_one_by_one() {
        let live = endpoints(3);
        let mut seen = [0; 3];
        for number in 0..300 {
            let picked = pick_for_request(&live, any, scatter(number), 1).unwrap();
            seen[usize::from(picked.endpoint.address.port()) - 1] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
    }

    #[test]
    fn the_fewest_sockets_win_and_equals_differ_by_at_most_one() {
        let live = endpoints(3);
        let held: Vec<_> = (0..10).filter_map(|number| pick_for_socket(&live, any, scatter(number))).collect();
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
                    (0..100).filter_map(|step| pick_for_socket(live_ref, any, scatter(number * 100 + step))).collect::<Vec<_>>()
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
