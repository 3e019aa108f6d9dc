//! The health of everything as one value: what `GET /` says and the binary's banner shows. It reads state, it never probes.

use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use crate::Gateway;
use crate::cluster::Cluster;
use crate::endpoint::{Check, Endpoint};
use crate::route::Service;

/// How well something serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// All is well.
    Pass,
    /// It serves, with less than it should have.
    Warn,
    /// It cannot serve.
    Fail,
}

impl Health {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Pass => "pass",
            Health::Warn => "warn",
            Health::Fail => "fail",
        }
    }
}

/// The whole system.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// `Fail` when a service cannot serve, `Warn` when one serves with less, else `Pass`.
    pub status: Health,
    /// Every backend.
    pub services: Services,
    /// The version of the binary.
    pub version: &'static str,
    /// Whole seconds since the gateway was made.
    pub uptime_s: u64,
}

/// Every backend, in the order people expect.
#[derive(Clone, Debug, Serialize)]
pub struct Services {
    /// Accounts.
    pub users: ServiceStatus,
    /// Chat.
    pub chat: ServiceStatus,
    /// Analytics.
    pub analytics: ServiceStatus,
}

/// One backend.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceStatus {
    /// `Fail` without a live replica, `Warn` when some replica is not well, else `Pass`.
    pub status: Health,
    /// Its replicas, in configured order.
    pub replicas: Vec<Replica>,
}

/// One replica as last seen.
#[derive(Clone, Debug, Serialize)]
pub struct Replica {
    /// `ip:port`.
    pub address: String,
    /// Its health; failing as long as nobody has looked.
    pub status: Health,
    /// How long the last look took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// When the last look ended, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<String>,
    /// What the replica says of its own parts, word for word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<serde_json::Value>,
    /// Why it could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Sockets open to it through this gateway; chat only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sockets: Option<usize>,
}

pub(crate) fn of(gateway: &Gateway) -> Status {
    let services = Services {
        users: service(gateway.cluster(Service::Users)),
        chat: service(gateway.cluster(Service::Chat)),
        analytics: service(gateway.cluster(Service::Analytics)),
    };
    Status {
        status: worst([services.users.status, services.chat.status, services.analytics.status]),
        services,
        version: gateway.version(),
        uptime_s: gateway.started().elapsed().as_secs(),
    }
}

fn service(cluster: &Cluster) -> ServiceStatus {
    let has_sockets = cluster.service == Service::Chat;
    let replicas: Vec<Replica> = cluster.endpoints().iter().map(|endpoint| replica(endpoint, has_sockets)).collect();
    ServiceStatus { status: together(replicas.iter().map(|replica| replica.status)), replicas }
}

fn replica(endpoint: &Endpoint, has_sockets: bool) -> Replica {
    let check = endpoint.last_check();
    let check = check.as_deref();
    let latency_ms = |check: &Check| (check.latency.as_secs_f64() * 100_000.0).round() / 100.0;
    Replica {
        address: endpoint.name.to_string(),
        status: check.map_or(Health::Fail, |check| check.health),
        latency_ms: check.map(latency_ms),
        checked_at: check.map(|check| format!("{:.3}", check.at)),
        checks: check.and_then(|check| check.checks.clone()),
        error: check.map_or(Some("not checked yet".to_owned()), |check| check.error.clone()),
        sockets: has_sockets.then(|| endpoint.sockets.load(Ordering::Acquire)),
    }
}

/// Replicas stand in for each other: one that is down is a warning, only all of them down is a failure.
fn together(replicas: impl Iterator<Item = Health> + Clone) -> Health {
    if !replicas.clone().any(|health| health != Health::Fail) {
        return Health::Fail;
    }
    if replicas.clone().all(|health| health == Health::Pass) { Health::Pass } else { Health::Warn }
}

/// Services do not stand in for each other.
fn worst(services: [Health; 3]) -> Health {
    match services {
        all if all.contains(&Health::Fail) => Health::Fail,
        all if all.contains(&Health::Warn) => Health::Warn,
        _ => Health::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::Health::{Fail, Pass, Warn};
    use super::*;

    #[test]
    fn a_service_fails_only_when_no_replica_lives() {
        let table: [(&[Health], Health); 7] = [
            (&[], Fail),
            (&[Pass], Pass),
            (&[Pass, Pass], Pass),
            (&[Pass, Fail], Warn),
            (&[Pass, Warn], Warn),
            (&[Warn, Fail], Warn),
            (&[Fail, Fail], Fail),
        ];
        for (replicas, expected) in table {
            assert_eq!(together(replicas.iter().copied()), expected, "{replicas:?}");
        }
    }

    #[test]
    fn the_system_is_as_well_as_its_worst_service() {
        assert_eq!(worst([Pass, Pass, Pass]), Pass);
        assert_eq!(worst([Pass, Warn, Pass]), Warn);
        assert_eq!(worst([Pass, Warn, Fail]), Fail);
    }
}
