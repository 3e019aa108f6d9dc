//! The replicas of one backend, and how much may be asked of them. `resolve` fills it, `health` judges it, `balance` picks from it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::admission::Admission;
use crate::affinity::{self, Key};
use crate::balance::{self, Reservation};
use crate::budget::RetryBudget;
use crate::config::{Balance, ClusterConfig, Config};
use crate::endpoint::Endpoint;
use crate::resolve::Source;
use crate::route::Service;
use crate::{Error, operators, outlier};

/// One backend: where it was configured to be, and the replicas found there.
pub(crate) struct Cluster {
    pub(crate) service: Service,
    pub(crate) sources: Vec<Source>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) retries: RetryBudget,
    /// What of a request decides on its replica; chance and load where it is nothing.
    pub(crate) key: Option<Key>,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    /// Held by who changes the set, or says in metrics what is in it.
    changing: Mutex<()>,
    /// Requests a replica may be asked at the same time.
    endpoint_in_flight_max: usize,
    /// Advances with every pick; hashed, it is all the chance that balancing needs.
    picks: AtomicU64,
}

impl Cluster {
    pub(crate) fn new(service: Service, cluster: &ClusterConfig, config: &Config) -> Result<Cluster, Error> {
        let invalid = |endpoint: &String, reason| Error::Endpoint { service: service.name(), endpoint: endpoint.clone(), reason };
        let sources = cluster
            .endpoints
            .iter()
            .map(|endpoint| Source::parse(endpoint).map_err(|reason| invalid(endpoint, reason)))
            .collect::<Result<Vec<_>, _>>()?;
        let key = match Balance::parse(&cluster.balance) {
            Some(Balance::LeastLatency) => None,
            Some(Balance::Affinity(key)) => Some(key),
            None => return Err(Error::Balance { service: service.name(), balance: cluster.balance.clone() }),
        };
        let cluster = Cluster {
            service,
            sources,
            admission: Arc::new(Admission::new(service.name(), config)),
            retries: RetryBudget::new(config.retry_budget_percent),
            key,
            endpoints: ArcSwap::default(),
            changing: Mutex::default(),
            endpoint_in_flight_max: config.endpoint_in_flight_max,
            picks: AtomicU64::new(0),
        };
        cluster.refresh();
        Ok(cluster)
    }

    pub(crate) fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// Shows each replica, while none comes or goes.
    pub(crate) fn show_endpoints(&self, show: impl FnMut(&Endpoint)) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.endpoints().iter().map(Arc::as_ref).for_each(show);
    }

    /// Takes over what the sources know now.
    pub(crate) fn refresh(&self) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.set_addresses(self.sources.iter().flat_map(Source::addresses));
    }

    /// Replaces the set of replicas. One that stays keeps its health and its counts; one that goes lives on in the requests
    /// that hold it.
    fn set_addresses(&self, addresses: impl Iterator<Item = (SocketAddr, usize)>) {
        let known = self.endpoints();
        let mut endpoints: Vec<Arc<Endpoint>> = Vec::with_capacity(known.len());
        for (address, weight) in addresses {
            let is_listed_twice = endpoints.iter().any(|endpoint| endpoint.address == address);
            if is_listed_twice {
                continue;
            }
            let kept = known.iter().find(|endpoint| endpoint.address == address).cloned();
            let endpoint = kept.unwrap_or_else(|| Arc::new(Endpoint::new(address, weight)));
            endpoint.set_weight(weight);
            endpoints.push(endpoint);
        }
        let is_same = endpoints.len() == known.len() && endpoints.iter().zip(known.iter()).all(|(one, other)| Arc::ptr_eq(one, other));
        if is_same {
            return;
        }
        for gone in known.iter().filter(|known| !endpoints.iter().any(|endpoint| Arc::ptr_eq(endpoint, known))) {
            operators::take_leave(self.service.name(), gone);
        }
        self.endpoints.store(Arc::new(endpoints));
    }

    pub(crate) fn has_live_endpoint(&self) -> bool {
        self.endpoints.load().iter().any(|endpoint| endpoint.is_live())
    }

    /// Takes a place at the replica that should get a request, never at one of `tried` (by id).
    ///
    /// When all are bad, the worst that can happen by asking anyway is what would happen without asking: so one is asked.
    pub(crate) fn pick_for_request(&self, tried: &[u64], key: Option<u64>, now: u64) -> Option<Reservation> {
        let endpoints = self.endpoints.load();
        let has_room = |endpoint: &Endpoint| endpoint.in_flight.load(Ordering::Relaxed) < self.endpoint_in_flight_max;
        let is_untried = |endpoint: &Endpoint| !tried.contains(&endpoint.id) && has_room(endpoint);
        let is_good = |endpoint: &Endpoint| endpoint.is_available(now) && is_untried(endpoint);
        let seed = self.seed();
        match key {
            None => balance::pick_for_request(&endpoints, is_good, seed, now)
                .or_else(|| balance::pick_for_request(&endpoints, is_untried, seed, now)),
            Some(key) => affinity::pick(&endpoints, is_good, key).or_else(|| affinity::pick(&endpoints, is_untried, key)),
        }
    }

    /// Takes a place at the replica that should get a socket, never at one of `tried` (by id).
    pub(crate) fn pick_for_socket(&self, tried: &[u64], now: u64) -> Option<Reservation> {
        let endpoints = self.endpoints.load();
        let is_untried = |endpoint: &Endpoint| !tried.contains(&endpoint.id);
        let is_good = |endpoint: &Endpoint| endpoint.is_available(now) && is_untried(endpoint);
        let seed = self.seed();
        balance::pick_for_socket(&endpoints, is_good, seed).or_else(|| balance::pick_for_socket(&endpoints, is_untried, seed))
    }

    /// Whether there is anybody left to ask.
    pub(crate) fn has_other_than(&self, tried: &[u64], asked_now: Option<u64>) -> bool {
        self.endpoints.load().iter().any(|endpoint| !tried.contains(&endpoint.id) && Some(endpoint.id) != asked_now)
    }

    /// Leaves a replica out that has failed `errors_max` requests in a row.
    pub(crate) fn note_failure(&self, endpoint: &Endpoint, errors_max: u32, period: std::time::Duration, now: u64) {
        endpoint.errors.fetch_add(1, Ordering::Relaxed);
        let errors = endpoint.outlier.failed();
        if errors >= errors_max {
            let said = || format!("failed {errors} requests in a row");
            outlier::eject(endpoint, &self.endpoints.load(), now, period, "errors", said);
        }
    }

    fn seed(&self) -> u64 {
        balance::scatter(self.picks.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing;

    fn cluster(endpoints: &[&str]) -> Result<Cluster, Error> {
        let config = testing::config();
        let endpoints = endpoints.iter().map(|text| (*text).to_owned()).collect();
        Cluster::new(Service::Users, &ClusterConfig { endpoints, balance: "least_latency".to_owned() }, &config)
    }

    #[test]
    fn a_replica_that_stays_keeps_what_is_known_of_it() {
        let cluster = cluster(&["127.0.0.1:1", "127.0.0.1:2"]).unwrap();
        let kept = cluster.endpoints()[1].clone();
        kept.sockets.store(7, Ordering::Relaxed);
        cluster.set_addresses(["127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:3"].map(|text| (text.parse().unwrap(), 1)).into_iter());
        let endpoints = cluster.endpoints();
        assert_eq!(endpoints.len(), 2);
        assert!(Arc::ptr_eq(&endpoints[0], &kept));
        assert_eq!(endpoints[0].sockets.load(Ordering::Relaxed), 7);
    }

    #[test]
    fn sockets_stay_while_replicas_come_and_go_and_new_ones_even_out() {
        let cluster = cluster(&[]).unwrap();
        let resolve = |ports: &[u16]| cluster.set_addresses(ports.iter().map(|port| (([127, 0, 0, 1], *port).into(), 1)));
        let open = |count| (0..count).filter_map(|_| cluster.pick_for_socket(&[], 1)).collect::<Vec<_>>();
        let counts = || cluster.endpoints().iter().map(|endpoint| endpoint.sockets.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let mut held = Vec::new();
        for (ports, count, expected) in [
            (&[1, 2, 3][..], 999, &[333, 333, 333][..]),
            (&[1, 2, 3, 4, 5], 0, &[333, 333, 333, 0, 0]),
            (&[1, 2, 3, 4, 5], 666, &[333; 5]),
            (&[2, 4], 0, &[333, 333]),
            (&[2, 4], 999, &[833, 832]),
        ] {
            resolve(ports);
            held.extend(open(count));
            let mut counts = counts();
            counts.sort_unstable_by(|one, other| other.cmp(one));
            assert_eq!(counts, expected, "{ports:?}");
        }
        drop(held);
        assert_eq!(counts(), [0, 0]);
    }

    #[test]
    fn when_all_are_bad_one_is_asked_anyway() {
        let cluster = cluster(&["127.0.0.1:1", "127.0.0.1:2"]).unwrap();
        assert!(!cluster.has_live_endpoint());
        let first = cluster.pick_for_request(&[], None, 1).unwrap().endpoint.id;
        let second = cluster.pick_for_request(&[first], None, 1).unwrap().endpoint.id;
        assert_ne!(first, second);
        assert!(cluster.pick_for_request(&[first, second], None, 1).is_none());
        assert!(cluster.pick_for_socket(&[first], 1).is_some());
    }

    #[test]
    fn a_bad_endpoint_is_named() {
        let error = cluster(&["127.0.0.1:1", "nowhere"]).err().unwrap().to_string();
        assert!(error.contains("users") && error.contains("\"nowhere\""), "{error}");
    }
}
