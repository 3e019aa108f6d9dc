//! Names of replicas become addresses, again and again: a scaled or restarted backend appears by itself. `server` runs it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Gateway;
use crate::cluster::Cluster;

const INTERVAL: Duration = Duration::from_secs(2);
/// A name server that never answers must not stop the others from being asked.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// One configured endpoint.
pub(crate) enum Source {
    /// An address, taken as it is.
    Literal(SocketAddr),
    /// A name, with the addresses of the last look-up that found any.
    Name { host: Arc<str>, port: u16, last_good: Mutex<Vec<SocketAddr>> },
}

impl Source {
    pub(crate) fn parse(endpoint: &str) -> Result<Source, &'static str> {
        if let Ok(address) = endpoint.parse::<SocketAddr>() {
            return if address.port() == 0 { Err("the port is 0") } else { Ok(Source::Literal(address)) };
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
        Ok(Source::Name { host: host.into(), port, last_good: Mutex::default() })
    }

    /// What is known now, without asking anyone.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        match self {
            Source::Literal(address) => vec![*address],
            Source::Name { last_good, .. } => last_good.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    async fn refresh(&self) {
        let Source::Name { host, port, last_good } = self else {
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

/// Looks every name up once. Names of one cluster wait for each other, clusters do not.
pub(crate) async fn round(gateway: &Gateway) {
    let [users, chat, analytics] = gateway.clusters();
    tokio::join!(refresh(users), refresh(chat), refresh(analytics));
}

async fn refresh(cluster: &Cluster) {
    let has_names = cluster.sources.iter().any(|source| matches!(source, Source::Name { .. }));
    if !has_names {
        return;
    }
    for source in &cluster.sources {
        source.refresh().await;
    }
    cluster.set_addresses(cluster.sources.iter().flat_map(Source::addresses));
}

/// Looks names up for as long as the door serves.
pub(crate) async fn run(gateway: Gateway) {
    loop {
        round(&gateway).await;
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_host_and_port() {
        for good in ["127.0.0.1:3001", "[::1]:3001", "users:3001", "chat-1.internal_net:80"] {
            assert!(Source::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "users", ":80", "users:", "users:0", "127.0.0.1:0", "users:99999", "http://users:80", "a b:1", "::1:80"] {
            assert!(Source::parse(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_name_becomes_addresses_and_a_failed_look_up_keeps_them() {
        let source = Source::parse("localhost:3001").unwrap();
        assert!(source.addresses().is_empty());
        source.refresh().await;
        let found = source.addresses();
        assert!(found.iter().any(|address| address.ip().is_loopback() && address.port() == 3001), "{found:?}");

        let gone = Source::Name { host: "does-not-exist.invalid".into(), port: 1, last_good: Mutex::new(found.clone()) };
        gone.refresh().await;
        assert_eq!(gone.addresses(), found);
    }
}
