//! Makes connections: what each is asked for, and how long a server that is not there is waited for.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

use super::address::KEEPALIVE_IDLE;
use super::migrate::Durability;
use super::tls::Connector;
use super::{Address, Config};
use crate::database::Error;

/// A connection whose other end is gone is noticed within about half a minute, however idle it is.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
const UNANSWERED: Duration = Duration::from_secs(30);
/// The server looks this often whether someone still waits for a long statement.
const CLIENT_CHECK_MS: u32 = 1000;
/// How often a server is tried that is not there yet.
const POLL: Duration = Duration::from_millis(100);

/// What a connection is asked for. The URL's own words win, except over the schema; what it does not say is bounded here.
pub(super) fn session(address: &Address, schema: &str, config: &Config) -> tokio_postgres::Config {
    let mut session = address.config.clone();
    // Of the same setting the server takes the last.
    let (statement, idle) = (config.statement_timeout_ms, config.idle_in_transaction_timeout_ms);
    let mut options = format!("-c statement_timeout={statement} -c idle_in_transaction_session_timeout={idle}");
    options.push_str(&format!(" -c client_connection_check_interval={CLIENT_CHECK_MS}"));
    // So that the server, too, notices a machine that is gone, and gives its locks back.
    let (keep_idle, keep_interval) = (KEEPALIVE_IDLE.as_secs(), KEEPALIVE_INTERVAL.as_secs());
    options.push_str(&format!(" -c tcp_keepalives_idle={keep_idle} -c tcp_keepalives_interval={keep_interval}"));
    options.push_str(&format!(" -c tcp_keepalives_count={KEEPALIVE_RETRIES}"));
    let given = session.get_options().unwrap_or_default();
    options.push_str(&format!(" {given} -c search_path={schema}"));
    session.options(options);
    if session.get_connect_timeout().is_none() {
        session.connect_timeout(Duration::from_millis(config.connect_timeout_ms));
    }
    if session.get_keepalives_interval().is_none() {
        session.keepalives_interval(KEEPALIVE_INTERVAL);
    }
    if session.get_keepalives_retries().is_none() {
        session.keepalives_retries(KEEPALIVE_RETRIES);
    }
    if session.get_tcp_user_timeout().is_none() {
        session.tcp_user_timeout(UNANSWERED);
    }
    if session.get_application_name().is_none() {
        session.application_name(application_name(schema));
    }
    session
}

/// What the connections of a process call themselves, unless the URL names them.
pub(super) fn application_name(schema: &str) -> String {
    format!("superapp {schema}")
}

/// What was answered is on disk, also where the server's default is to answer before: unless the URL itself asks for that.
pub(super) fn make_durable(session: &mut tokio_postgres::Config, durability: Durability) {
    if durability == Durability::Lazy {
        // Of the same setting the server takes the last.
        let options = format!("-c synchronous_commit=on {}", session.get_options().unwrap_or_default());
        session.options(options);
    }
}

/// How long connecting may take: each host has its time, so that one that is dead does not use up that of the others.
pub(super) fn time_limit(session: &tokio_postgres::Config) -> Duration {
    let each = session.get_connect_timeout().copied().unwrap_or(UNANSWERED);
    let hosts = session.get_hosts().len().max(session.get_hostaddrs().len()).max(1);
    each * u32::try_from(hosts).unwrap_or(1)
}

/// Connects; waits for a server that is not there yet, but not for one that refuses us.
pub(super) async fn patiently(
    session: &tokio_postgres::Config,
    connector: &Connector,
    config: &Config,
) -> Result<(Client, AbortOnDropHandle<()>), Error> {
    let until = Instant::now() + Duration::from_secs(config.start_timeout_s);
    let mut is_told = false;
    loop {
        let error = match timeout(time_limit(session), session.connect(connector.clone())).await {
            Ok(Ok((client, connection))) => return Ok((client, AbortOnDropHandle::new(tokio::spawn(connection.map(drop))))),
            Ok(Err(error)) if !may_pass(&error) => return Err(error.into()),
            Ok(Err(error)) => Error::from(error),
            Err(_) => Error::Unavailable("no answer in time".to_owned()),
        };
        if Instant::now() >= until {
            return Err(error);
        }
        if !is_told {
            tracing::warn!(%error, "waiting for the database");
            is_told = true;
        }
        sleep(POLL).await;
    }
}

/// Whether to try again may help: nobody listens, the line broke, or the server is starting up, shutting down, or has no connection
/// to spare. A wrong password or certificate stays wrong.
fn may_pass(error: &tokio_postgres::Error) -> bool {
    if let Some(state) = error.code() {
        return ["57", "53"].contains(&&state.code()[..2]);
    }
    // A certificate that is not believed comes as invalid data.
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    error.is_closed() || cause.is_some_and(|cause| cause.kind() != io::ErrorKind::InvalidData)
}
