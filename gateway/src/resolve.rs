//! Names of replicas become addresses, again and again: a scaled or restarted backend appears by itself. `server` runs it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::Gateway;
use crate::route::Service;

const INTERVAL: Duration = Duration::from_secs(2);
/// A name server that never answers must not stop the others from being asked.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the door waits for names before it opens.
const FIRST_ROUND: Duration = Duration::from_millis(250);

/// One configured endpoint.
pub(crate) struct Source {
    place: Place,
    /// The share of each of its replicas beside those of other sources.
    weight: usize,
}

enum Place {
    /// An address, taken as it is.
    Literal(SocketAddr),
    /// A name, with the addresses of the last look-up that found any.
    Name { host: Arc<str>, port: u16, last_good: Mutex<Vec<SocketAddr>> },
}

const WEIGHT_MAX: usize = 1000;

impl Source {
    pub(crate) fn parse(endpoint: &str) -> Result<Source, &'static str> {
        let (place, weight) = match endpoint.split_once(' ') {
            None => (endpoint, 1),
            Some((place, weight)) => {
                let weight = weight.trim().strip_prefix("weight=").ok_or("after the port only weight=N may follow")?;
                let weight = weight.parse().ok().filter(|weight| (1..=WEIGHT_MAX).contains(weight));
                (place, weight.ok_or("the weight is not a number from 1 to 1000")?)
            }
        };
        Ok(Source { place: Place::parse(place)?, weight })
    }

    /// What is known now, without asking anyone: each address with its weight.
    pub(crate) fn addresses(&self) -> Vec<(SocketAddr, usize)> {
        match &self.place {
            Place::Literal(address) => vec![(*address, self.weight)],
            Place::Name { last_good, .. } => {
                let known = last_good.lock().unwrap_or_else(PoisonError::into_inner);
                known.iter().map(|address| (*address, self.weight)).collect()
            }
        }
    }

    fn is_name(&self) -> bool {
        matches!(self.place, Place::Name { .. })
    }
}

impl Place {
    fn parse(endpoint: &str) -> Result<Place, &'static str> {
        if let Ok(address) = endpoint.parse::<SocketAddr>() {
            return if address.port() == 0 { Err("the port is 0") } else { Ok(Place::Literal(address)) };
        }
        let (host, port) = endpoint.rsplit_once(':').ok_or("the port is missing")?;
        let port: u16 = port.parse().map_err(|_| "the port is not a number up to 65535")?;
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if port == 0 {
            return Err("the port is 0");
        }
        if host.is_empty() {
            return Err("the host is missing");
        }
        if !host.bytes().all(is_name_byte) {
            return Err("the host is neither a name nor an address");
        }
        Ok(Place::Name { host: host.into(), port, last_good: Mutex::default() })
    }

    async fn refresh(&self) {
        let Place::Name { host, port, last_good } = self else {
            return;
        };
        let lookup = tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((host.as_ref(), *port)));
        let mut found: Vec<SocketAddr> = match lookup.await {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(error)) => {
                tracing::debug!(host = %host, %error, "name not resolved");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        // No answer says nothing about the replicas; health does.
        if found.is_empty() {
            return;
        }
        found.sort_unstable();
        found.dedup();
        *last_good.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// Looks every name up once, all at the same time. Who takes long is not waited for: the door opens for the others meanwhile.
pub(crate) async fn first_round(gateway: &Gateway) {
    let mut lookups = each_name(gateway, |gateway, service, index| async move { refresh(&gateway, service, index).await });
    let all = async { while lookups.join_next().await.is_some() {} };
    // What is not known by then is looked up again by `run`, at once.
    let _ = tokio::time::timeout(FIRST_ROUND, all).await;
}

/// Looks names up for as long as the door serves, each on its own: a slow answer delays nobody else's.
pub(crate) async fn run(gateway: Gateway) {
    let mut loops = each_name(&gateway, |gateway, service, index| async move {
        loop {
            refresh(&gateway, service, index).await;
            tokio::time::sleep(INTERVAL).await;
        }
    });
    while loops.join_next().await.is_some() {}
}

fn each_name<F>(gateway: &Gateway, task: impl Fn(Gateway, Service, usize) -> F) -> JoinSet<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for cluster in gateway.clusters() {
        let names = cluster.sources.iter().enumerate().filter(|(_, source)| source.is_name());
        for (index, _) in names {
            tasks.spawn(task(gateway.clone(), cluster.service, index));
        }
    }
    tasks
}

async fn refresh(gateway: &Gateway, service: Service, index: usize) {
    let cluster = gateway.cluster(service);
    if let Some(source) = cluster.sources.get(index) {
        source.place.refresh().await;
        cluster.refresh();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_host_and_port() {
        for good in ["127.0.0.1:3001", "[::1]:3001", "users:3001", "chat-1.internal_net:80", "users:3001 weight=3"] {
            assert!(Source::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "users:1 weight=0",
            "users:1 weight=x",
            "users:1 x=2",
            "",
            "users",
            ":80",
            "users:",
            "users:0",
            "127.0.0.1:0",
            "users:99999",
            "http://users:80",
            "a b:1",
            "::1:80",
        ] {
            assert!(Source::parse(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_name_becomes_addresses_and_a_failed_look_up_keeps_them() {
        let source = Source::parse("localhost:3001 weight=2").unwrap();
        assert!(source.addresses().is_empty());
        source.place.refresh().await;
        let found = source.addresses();
        assert!(found.iter().any(|(address, weight)| address.ip().is_loopback() && address.port() == 3001 && *weight == 2), "{found:?}");

        let last_good = Mutex::new(found.iter().map(|(address, _)| *address).collect());
        let gone = Source { place: Place::Name { host: "does-not-exist.invalid".into(), port: 1, last_good }, weight: 2 };
        gone.place.refresh().await;
        assert_eq!(gone.addresses(), found);
    }
}
