//! The handle everything shares: settings, clusters, and what is in flight. Made by the binary, cloned into every task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

use crate::access_log::AccessLog;
use crate::app::App;
use crate::cluster::Cluster;
use crate::connections::Connections;
use crate::cors::Cors;
use crate::document::Document;
use crate::route::Service;
use crate::{Config, Error, Status, health, operators, resolve, status};

/// The door, before and while it serves. Cloning is cheap; all clones are the same door.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    version: &'static str,
    started: Instant,
    users: Cluster,
    chat: Cluster,
    analytics: Cluster,
    /// A first health round is behind us, so "no live replica" is knowledge and not ignorance.
    probed: AtomicBool,
    draining: AtomicBool,
    /// No more connections are accepted.
    closed: AtomicBool,
    in_flight: AtomicUsize,
    went_idle: Notify,
    parts: Parts,
    connections: Connections,
    document: Document,
    /// Who may use the door from pages elsewhere, where somebody may.
    cors: Option<Cors>,
    /// Requests and connections over a limit, since it was last said how many.
    turned_away: AtomicU64,
}

/// What a door may have besides its settings.
#[derive(Default)]
pub struct Parts {
    /// Gets a line for each request.
    pub access_log: Option<AccessLog>,
    /// A web app to serve under `/app/`.
    pub app: Option<App>,
}

impl Gateway {
    /// Checks the settings and builds the door. Nothing is resolved, probed or opened yet.
    pub fn new(config: Config, version: &'static str) -> Result<Gateway, Error> {
        Gateway::with(config, version, Parts::default())
    }

    /// Like [`Gateway::new`], with these parts.
    pub fn with(config: Config, version: &'static str, parts: Parts) -> Result<Gateway, Error> {
        config.validate()?;
        let clusters = &config.clusters;
        let cors = Cors::new(&config.allowed_origins).map_err(|(origin, reason)| Error::Origin { origin, reason })?;
        let shared = Shared {
            users: Cluster::new(Service::Users, &clusters.users, &config)?,
            chat: Cluster::new(Service::Chat, &clusters.chat, &config)?,
            analytics: Cluster::new(Service::Analytics, &clusters.analytics, &config)?,
            config,
            version,
            started: Instant::now(),
            probed: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            went_idle: Notify::new(),
            parts,
            connections: Connections::default(),
            document: Document::default(),
            cors,
            turned_away: AtomicU64::new(0),
        };
        Ok(Gateway { shared: Arc::new(shared) })
    }

    /// Resolves names and probes every replica once. `/readyz` says no before this (or [`crate::serve`]) has done so. A name that
    /// takes its time is not known yet, and found later.
    pub async fn first_health_round(&self) {
        resolve::first_round(self).await;
        health::round(self, &health::Prober::new(self.config())).await;
    }

    /// The health of everything as last observed: what `GET /` answers.
    pub fn status(&self) -> Status {
        status::of(self)
    }

    /// Every cluster with its replicas, their state and why, as a line of JSON: for operators, not for the public.
    pub fn clusters_json(&self) -> String {
        operators::clusters(self)
    }

    /// Brings those metrics up to date that are read and not counted; to be called before metrics are shown.
    pub fn publish_metrics(&self) {
        operators::publish(self);
    }

    /// From now on `/readyz` answers 503 and every answer asks the client to close its connection.
    pub fn start_draining(&self) {
        self.shared.draining.store(true, Ordering::Release);
    }

    /// Requests and tunnels in flight.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Acquire)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(crate) fn access_log(&self) -> Option<&AccessLog> {
        self.shared.parts.access_log.as_ref()
    }

    pub(crate) fn app(&self) -> Option<&App> {
        self.shared.parts.app.as_ref()
    }

    /// The connections of clients.
    pub(crate) fn connections(&self) -> &Connections {
        &self.shared.connections
    }

    pub(crate) fn cors(&self) -> Option<&Cors> {
        self.shared.cors.as_ref()
    }

    /// What `/openapi.json` shows.
    pub(crate) fn document(&self) -> &Document {
        &self.shared.document
    }

    pub(crate) fn turned_away(&self) -> &AtomicU64 {
        &self.shared.turned_away
    }

    pub(crate) fn version(&self) -> &'static str {
        self.shared.version
    }

    pub(crate) fn started(&self) -> Instant {
        self.shared.started
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Acquire)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    pub(crate) fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_probed(&self) -> bool {
        self.shared.probed.load(Ordering::Acquire)
    }

    pub(crate) fn mark_probed(&self) {
        self.shared.probed.store(true, Ordering::Release);
    }

    pub(crate) fn cluster(&self, service: Service) -> &Cluster {
        match service {
            Service::Users => &self.shared.users,
            Service::Chat => &self.shared.chat,
            Service::Analytics => &self.shared.analytics,
        }
    }

    pub(crate) fn clusters(&self) -> [&Cluster; 3] {
        [&self.shared.users, &self.shared.chat, &self.shared.analytics]
    }

    /// Counts one request or tunnel until the guard is dropped.
    pub(crate) fn enter(&self) -> InFlight {
        self.shared.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight { gateway: self.clone() }
    }

    /// Returns once nothing is in flight.
    pub(crate) async fn idle(&self) {
        loop {
            // Registered before the count is read, so that a request which ends in between still wakes us.
            let mut went_idle = std::pin::pin!(self.shared.went_idle.notified());
            went_idle.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            went_idle.await;
        }
    }
}

/// One request or tunnel; counted for as long as it lives, however it ends.
pub(crate) struct InFlight {
    gateway: Gateway,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let was_last = self.gateway.shared.in_flight.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last {
            self.gateway.shared.went_idle.notify_waiters();
        }
    }
}
