//! Runs roles: everything in this process, or one of them.
//!
//! `ports` binds, `stores` opens, `start` puts the parts together, `drain` ends them; `tasks` keeps watch in between.

mod drain;
mod notice;
mod ports;
mod shared;
mod start;
pub(crate) mod stores;
mod tasks;

use std::time::Instant;

use tracing_appender::non_blocking::ErrorCounter;

use crate::banner::{self, Ready};
use crate::service::{self, Manager};
use crate::settings::Settings;
use crate::signals::Signals;
use crate::telemetry::metrics::Metrics;

pub(crate) use ports::Addresses;

/// What this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// All of the others.
    All,
    Gateway,
    Users,
    Chat,
    Analytics,
}

impl Role {
    /// Whether this process does the work of `role`.
    pub(crate) fn plays(self, role: Role) -> bool {
        self == Role::All || self == role
    }
}

/// Starts, says that it is ready, serves until told to stop, and drains. A second signal ends it at once. `lost` counts lines of
/// the log that nobody took.
pub(crate) async fn run(settings: Settings, role: Role, lost: ErrorCounter) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut signals = Signals::listen()?;
    let ports = ports::Ports::bind(&settings, role)?;
    let addresses = ports.addresses();
    let metrics = Metrics::install(lost)?;
    let stores = stores::Stores::open(&settings.data, role).await?;
    let contents = if banner::is_shown() { stores.contents().await } else { Vec::new() };
    let drain_limit = std::time::Duration::from_secs(settings.gateway.config.drain_s);
    let (data, has_app) = (settings.data.clone(), settings.app_dir.is_some());
    let places = stores::places(&data, role);

    let mut running = start::start(settings, role, ports, stores, metrics).await?;
    banner::ready(&Ready { addresses: &addresses, has_app, data: &places, contents: &contents, startup: started.elapsed() });
    notice::what_does_not_cross(role, &data);
    let manager = Manager::of_environment();
    manager.tell(service::READY);

    tokio::select! {
        signal = signals.next() => tracing::info!(signal, "stopping"),
        error = running.broken() => return Err(error),
    }
    manager.tell(service::STOPPING);
    tokio::select! {
        drained = drain::drain(running, drain_limit) => drained?,
        signal = signals.next() => anyhow::bail!("{signal} a second time: stopped at once"),
    }
    tracing::info!("stopped");
    Ok(())
}
