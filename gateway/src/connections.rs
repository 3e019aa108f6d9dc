//! How many connections clients have open, in all and from each address, and that there are not too many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::Gateway;

/// Addresses are spread over so many locks, so that threads seldom wait for each other.
const SHARDS: usize = 16;

/// What is open.
#[derive(Default)]
pub(crate) struct Connections {
    open: AtomicUsize,
    by_address: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
}

/// A connection; counted until it is dropped.
pub(crate) struct Admitted {
    gateway: Gateway,
    /// Nothing where the address is not known.
    address: Option<IpAddr>,
}

/// There are too many already.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Connections {
    /// Connections open now.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn shard(&self, address: IpAddr) -> &Mutex<HashMap<IpAddr, usize>> {
        let last = match address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[15],
        };
        &self.by_address[usize::from(last) % SHARDS]
    }
}

/// Counts a connection from `address` in, unless there are too many.
pub(crate) fn admit(gateway: &Gateway, address: Option<IpAddr>) -> Result<Admitted, TooMany> {
    let (connections, config) = (gateway.connections(), gateway.config());
    // From here on dropping it takes back what was counted.
    let mut admitted = Admitted { gateway: gateway.clone(), address: None };
    let before = connections.open.fetch_add(1, Ordering::Relaxed);
    if before >= config.connections_max {
        return Err(TooMany);
    }
    if let Some(address) = address {
        let mut shard = connections.shard(address).lock().unwrap_or_else(PoisonError::into_inner);
        let open = shard.entry(address).or_default();
        if *open >= config.connections_per_address_max {
            return Err(TooMany);
        }
        *open += 1;
        admitted.address = Some(address);
    }
    Ok(admitted)
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let connections = self.gateway.connections();
        connections.open.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut shard = connections.shard(address).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = shard.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                shard.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing;

    #[test]
    fn there_is_a_limit_for_each_address_and_one_for_all() {
        let config = crate::Config { connections_max: 4, connections_per_address_max: 3, ..testing::config() };
        let gateway = Gateway::new(config, "0").unwrap();
        let ada: Option<IpAddr> = Some("10.0.0.1".parse().unwrap());
        let bob: Option<IpAddr> = Some("10.0.0.17".parse().unwrap());
        let mut held: Vec<_> = (0..3).map(|_| admit(&gateway, ada).unwrap()).collect();
        assert!(admit(&gateway, ada).is_err());
        held.push(admit(&gateway, bob).unwrap());
        assert!(admit(&gateway, bob).is_err(), "all together");
        drop(held);
        assert_eq!(gateway.connections().open(), 0);
        assert!(admit(&gateway, ada).is_ok());
    }
}
