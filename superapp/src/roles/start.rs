//! Puts the parts together and starts them: backends first, then the door, which has looked at each before it opens.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use gateway::{Gateway, Parts};
use kit::bus::Bus;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::ports::Ports;
use super::shared::Shared;
use super::stores::Stores;
use super::tasks::Tasks;
use crate::listeners::Bound;
use crate::roles::Role;
use crate::settings::{Listen, Settings};
use crate::telemetry::metrics::Metrics;
use crate::{admin, app_dir, telemetry};

/// Everything that runs, in the order in which `drain` ends it.
#[derive(Default)]
pub(super) struct Running {
    /// The state of the door, when this process has one.
    pub(super) gateway: Option<Gateway>,
    pub(super) door: Part,
    pub(super) chat: Part,
    pub(super) users: Part,
    pub(super) analytics: Part,
    pub(super) operators: Part,
    /// What the parts tell each other through.
    pub(super) bus: Option<Arc<dyn Bus>>,
}

/// Tasks that are told to stop together.
#[derive(Default)]
pub(super) struct Part {
    pub(super) stop: CancellationToken,
    pub(super) tasks: Tasks,
}

impl Part {
    /// Runs `serve` with the future that tells it to stop.
    fn spawn<F>(&mut self, name: &'static str, serve: impl FnOnce(WaitForCancellationFutureOwned) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let serving = serve(self.stop.clone().cancelled_owned());
        self.tasks.spawn(name, async {
            serving.await;
            Ok(())
        });
    }
}

impl Running {
    /// Waits until a part ends although nobody told it to.
    pub(super) async fn broken(&mut self) -> anyhow::Error {
        tokio::select! {
            error = self.door.tasks.broken() => error,
            error = self.chat.tasks.broken() => error,
            error = self.users.tasks.broken() => error,
            error = self.analytics.tasks.broken() => error,
            error = self.operators.tasks.broken() => error,
        }
    }
}

/// Starts the parts of `role`. When it returns, they answer.
pub(super) async fn start(mut settings: Settings, role: Role, ports: Ports, stores: Stores, metrics: Metrics) -> anyhow::Result<Running> {
    let mut running = Running::default();
    if role == Role::All {
        // The door is empty before the others stop.
        for http in [&mut settings.users.config.http, &mut settings.chat.config.http, &mut settings.analytics.config.http] {
            http.stop_grace = Duration::ZERO;
        }
    }
    let Shared { bus, cache } = Shared::start(&settings);
    running.bus = Some(bus.clone());
    let clusters = clusters(&settings, role, &ports)?;
    let Ports { gateway, users, chat, analytics, admin } = ports;

    // It listens to the others, so it comes first.
    if let Some(store) = stores.analytics {
        let backend = analytics::Analytics::new(settings.analytics.config, store, bus.clone(), kit::clock::now);
        let listeners = listeners(analytics);
        running.analytics.spawn("analytics", |stop| analytics::serve(backend, listeners, stop));
    }
    if let Some(store) = stores.users {
        let config = settings.users.config;
        let backend = users::Users::new(config, store, bus.clone(), cache, kit::clock::now);
        let listeners = listeners(users);
        running.users.spawn("users", |stop| users::serve(backend, listeners, stop));
    }
    if let Some(store) = stores.chat {
        for replica in chat {
            let name = replica_name(&replica);
            let backend = chat::Chat::new(settings.chat.config.clone(), name, store.clone(), bus.clone(), kit::clock::now);
            let listeners = replica.into_listeners();
            running.chat.spawn("chat", |stop| chat::serve(backend, listeners, stop));
        }
    }
    if !gateway.is_empty() {
        let config = gateway::Config { clusters, ..settings.gateway.config };
        let access_log = telemetry::access::open(&settings.access_log)?;
        let app = settings.app_dir.as_deref().map(app_dir::read).transpose()?;
        let door = Gateway::with(config, env!("CARGO_PKG_VERSION"), Parts { access_log, app })?;
        door.first_health_round().await;
        let listeners = listeners(gateway).into_iter().map(TcpListener::into_std).collect::<Result<_, _>>()?;
        running.gateway = Some(door.clone());
        let stop = running.door.stop.clone().cancelled_owned();
        running.door.tasks.spawn("gateway", async { gateway::serve(door, listeners, stop).await.context("serve") });
    }
    if !admin.is_empty() {
        let (listeners, metrics, gateway) = (listeners(admin), metrics.clone(), running.gateway.clone());
        running.operators.spawn("admin", |stop| admin::run(metrics, gateway, listeners, stop));
    }
    running.operators.spawn("metrics", |stop| async {
        tokio::select! {
            () = metrics.upkeep() => {}
            () = stop => {}
        }
    });
    Ok(running)
}

fn listeners(bound: Vec<Bound>) -> Vec<TcpListener> {
    bound.into_iter().flat_map(Bound::into_listeners).collect()
}

/// Where the gateway finds each backend: as configured, else where the backend listens.
fn clusters(settings: &Settings, role: Role, ports: &Ports) -> anyhow::Result<gateway::Clusters> {
    let mut clusters = settings.gateway.config.clusters.clone();
    // A process of its own shares nothing but the settings.
    let listens = |bound: &[Bound], listen: &[Listen]| match role {
        Role::All => bound.iter().map(Bound::shown).collect(),
        _ => listen.to_vec(),
    };
    // Several addresses of one backend are still one replica; each of chat's is one of its own.
    let first = |listens: Vec<Listen>| listens.into_iter().take(1).collect();
    let wanted = [
        ("users", &mut clusters.users, first(listens(&ports.users, &settings.users.listen))),
        ("chat", &mut clusters.chat, listens(&ports.chat, &settings.chat.listen)),
        ("analytics", &mut clusters.analytics, first(listens(&ports.analytics, &settings.analytics.listen))),
    ];
    for (name, cluster, listens) in wanted {
        if !cluster.endpoints.is_empty() {
            continue;
        }
        let addresses: Vec<_> = listens.into_iter().map(Listen::reached_at).collect();
        if role == Role::Gateway && addresses.iter().any(|address| address.port() == 0) {
            bail!("{name}.listen has port 0, so the gateway cannot know where {name} is: set gateway.clusters.{name}.endpoints");
        }
        cluster.endpoints = addresses.iter().map(ToString::to_string).collect();
    }
    Ok(clusters)
}

/// What a replica calls itself: its address, or where that says nothing, the machine and the port.
fn replica_name(bound: &Bound) -> String {
    match bound.shown() {
        Listen::Address(address) if address.ip().is_unspecified() => {
            let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            format!("{}:{}", host.trim(), address.port())
        }
        _ => bound.address().to_string(),
    }
}
