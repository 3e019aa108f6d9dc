//! Looks at every replica again and again, whoever asks or does not ask `GET /`. `server` runs it in the background.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::endpoint::{Check, Thresholds};
pub(crate) use crate::probe::Prober;
use crate::status::Health;
use crate::{Gateway, outlier, ticks};

/// Probes every replica once, all at the same time; it lasts as long as the slowest, at most one timeout.
pub(crate) async fn round(gateway: &Gateway, prober: &Prober) {
    let config = gateway.config();
    let thresholds = Thresholds { pass: config.health_pass_after, fail: config.health_fail_after };
    let mut probes = JoinSet::new();
    for cluster in gateway.clusters() {
        for endpoint in cluster.endpoints().iter().cloned() {
            let prober = prober.clone();
            let timeout = config.health_timeout();
            probes.spawn(async move {
                let started = Instant::now();
                let found = prober.probe(endpoint.address, timeout).await;
                // Being late once is a warning: it is busy, and to send everybody elsewhere would make others late. A replica
                // that is dead refuses, and fails at once.
                let health = if endpoint.forgive_lateness(found.is_late) { Health::Warn } else { found.health };
                let check = Check { health, latency: started.elapsed(), at: Timestamp::now(), checks: found.checks, error: found.error };
                endpoint.record(check, thresholds);
            });
        }
    }
    while probes.join_next().await.is_some() {}
    for cluster in gateway.clusters() {
        outlier::eject_slow(&cluster.endpoints(), ticks::at(Instant::now()), config.ejection());
    }
    gateway.mark_probed();
}

/// Probes for as long as the door serves.
pub(crate) async fn run(gateway: Gateway) {
    let prober = Arc::new(Prober::new(gateway.config()));
    let mut ticks = tokio::time::interval(gateway.config().health_interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        round(&gateway, &prober).await;
    }
}
