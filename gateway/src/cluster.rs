//! The replicas of one backend and what is known of each. `resolve` fills it, `health` judges it, `balance` picks from it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;

use crate::balance::{self, Reservation};
use crate::resolve::Source;
use crate::route::Service;
use crate::{Error, Health};

/// One backend: where it was configured to be, and the replicas found there.
pub(crate) struct Cluster {
    pub(crate) service: Service,
    pub(crate) sources: Vec<Source>,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    /// Advances with every pick; hashed, it is all the chance that balancing needs.
    picks: AtomicU64,
}

impl Cluster {
    pub(crate) fn new(service: Service, endpoints: &[String]) -> Result<Cluster, Error> {
        let invalid = |endpoint: &String, reason| Error::Endpoint { service: service.name(), endpoint: endpoint.clone(), reason };
        let sources = endpoints
            .iter()
            .map(|endpoint| Source::parse(endpoint).map_err(|reason| invalid(endpoint, reason)))
            .collect::<Result<Vec<_>, _>>()?;
        let cluster = Cluster { service, sources, endpoints: ArcSwap::default(), picks: AtomicU64::new(0) };
        cluster.set_addresses(cluster.sources.iter().flat_map(Source::addresses));
        Ok(cluster)
    }

    pub(crate) fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// Replaces the set of replicas. One that stays keeps its health and its counts; one that goes lives on in the requests
    /// that hold it.
    pub(crate) fn set_addresses(&self, addresses: impl Iterator<Item = SocketAddr>) {
        let known = self.endpoints();
        let mut endpoints: Vec<Arc<Endpoint>> = Vec::with_capacity(known.len());
        for address in addresses {
            let is_listed_twice = endpoints.iter().any(|endpoint| endpoint.address == address);
            if is_listed_twice {
                continue;
            }
            let kept = known.iter().find(|endpoint| endpoint.address == address).cloned();
            endpoints.push(kept.unwrap_or_else(|| Arc::new(Endpoint::new(address))));
        }
        self.endpoints.store(Arc::new(endpoints));
    }

    pub(crate) fn has_live_endpoint(&self) -> bool {
        self.endpoints.load().iter().any(|endpoint| endpoint.is_live())
    }

    /// Takes a place at the replica that should get a request, never at one of `tried`.
    pub(crate) fn pick_for_request(&self, tried: &[SocketAddr]) -> Option<Reservation> {
        balance::pick_for_request(&self.live_except(tried), self.seed())
    }

    /// Takes a place at the replica that should get a socket, never at one of `tried`.
    pub(crate) fn pick_for_socket(&self, tried: &[SocketAddr]) -> Option<Reservation> {
        balance::pick_for_socket(&self.live_except(tried), self.seed())
    }

    fn live_except(&self, tried: &[SocketAddr]) -> Vec<Arc<Endpoint>> {
        let is_candidate = |endpoint: &&Arc<Endpoint>| endpoint.is_live() && !tried.contains(&endpoint.address);
        self.endpoints.load().iter().filter(is_candidate).cloned().collect()
    }

    fn seed(&self) -> u64 {
        balance::scatter(self.picks.fetch_add(1, Ordering::Relaxed))
    }
}

/// One replica.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// Zero as long as nobody has looked.
    health: AtomicU8,
    /// Requests being answered by it, from us.
    pub(crate) in_flight: AtomicUsize,
    /// Sockets open to it, from us, including those being opened.
    pub(crate) sockets: AtomicUsize,
    last_check: ArcSwapOption<Check>,
    /// It was late the last time somebody looked.
    was_late: AtomicBool,
}

/// What a look at a replica found.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) health: Health,
    pub(crate) latency: Duration,
    pub(crate) at: Timestamp,
    /// What the replica says of itself, word for word.
    pub(crate) checks: Option<serde_json::Value>,
    pub(crate) error: Option<String>,
}

const UNKNOWN: u8 = 0;
const PASS: u8 = 1;
const WARN: u8 = 2;
const FAIL: u8 = 3;

impl Endpoint {
    pub(crate) fn new(address: SocketAddr) -> Endpoint {
        Endpoint {
            address,
            health: AtomicU8::new(UNKNOWN),
            in_flight: AtomicUsize::new(0),
            sockets: AtomicUsize::new(0),
            last_check: ArcSwapOption::empty(),
            was_late: AtomicBool::new(false),
        }
    }

    /// May it get requests? Unknown is no: the first probe is never further away than one interval.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.health.load(Ordering::Acquire), PASS | WARN)
    }

    /// Whether a live replica that is late now has not been late before.
    pub(crate) fn forgive_lateness(&self, is_late: bool) -> bool {
        let was_late = self.was_late.swap(is_late, Ordering::AcqRel);
        is_late && !was_late && self.is_live()
    }

    pub(crate) fn last_check(&self) -> Option<Arc<Check>> {
        self.last_check.load_full()
    }

    /// Stores what a look found; the next pick already goes by it.
    pub(crate) fn record(&self, check: Check) {
        let health = match check.health {
            Health::Pass => PASS,
            Health::Warn => WARN,
            Health::Fail => FAIL,
        };
        let error = check.error.clone().unwrap_or_default();
        self.last_check.store(Some(Arc::new(check)));
        let before = self.health.swap(health, Ordering::AcqRel);
        match (before, health) {
            (PASS | WARN, FAIL) => tracing::warn!(endpoint = %self.address, error, "replica is down"),
            (UNKNOWN, FAIL) => tracing::warn!(endpoint = %self.address, error, "replica does not answer yet"),
            (FAIL, PASS | WARN) => tracing::info!(endpoint = %self.address, "replica is up again"),
            _ => {}
        }
    }

    /// A request could not even connect: no further one goes there until a probe has passed again.
    pub(crate) fn mark_unreachable(&self, error: &str) {
        let check =
            Check { health: Health::Fail, latency: Duration::ZERO, at: Timestamp::now(), checks: None, error: Some(error.to_owned()) };
        self.record(check);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(endpoints: &[&str]) -> Result<Cluster, Error> {
        let endpoints: Vec<String> = endpoints.iter().map(|text| (*text).to_owned()).collect();
        Cluster::new(Service::Users, &endpoints)
    }

    #[test]
    fn a_replica_that_stays_keeps_what_is_known_of_it() {
        let cluster = cluster(&["127.0.0.1:1", "127.0.0.1:2"]).unwrap();
        let kept = cluster.endpoints()[1].clone();
        kept.sockets.store(7, Ordering::Relaxed);
        cluster.set_addresses(["127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:3"].map(|text| text.parse().unwrap()).into_iter());
        let endpoints = cluster.endpoints();
        assert_eq!(endpoints.len(), 2);
        assert!(Arc::ptr_eq(&endpoints[0], &kept));
        assert_eq!(endpoints[0].sockets.load(Ordering::Relaxed), 7);
    }

    #[test]
    fn a_replica_nobody_has_looked_at_gets_nothing() {
        let cluster = cluster(&["127.0.0.1:1"]).unwrap();
        assert!(cluster.pick_for_request(&[]).is_none());
        assert!(!cluster.has_live_endpoint());
    }

    #[test]
    fn a_bad_endpoint_is_named() {
        let error = cluster(&["127.0.0.1:1", "nowhere"]).err().unwrap().to_string();
        assert!(error.contains("users") && error.contains("\"nowhere\""), "{error}");
    }
}
