//! Whether the server is there, and writes: asked now and then on a connection of its own, so that a crowd of requests does not make it look
//! ill, and so that whoever wants to know is answered at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadpool_postgres::{Object, Pool, PoolError, TimeoutType};
use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_util::task::AbortOnDropHandle;

use super::super::locked;
use super::tls::Connector;
use super::{connect, queries, told};
use crate::database::Error;
use crate::health::{Check, Status};

/// How long the server is left alone between two questions.
const EVERY: Duration = Duration::from_millis(500);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A connection to a server that only reads is kept so long: the next one may lead to a server that writes, and what a database is
/// set to holds for new connections only.
const RENEW: Duration = Duration::from_secs(2);
/// That a connection was refused is told for so long after the last time.
const REFUSED_TOLD: Duration = Duration::from_secs(5);

/// What was seen last. The asking ends when this is dropped.
pub(super) struct Pulse {
    schema: &'static str,
    seen: Arc<Mutex<Seen>>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// What the asking saw, and what befell those who wanted a connection.
struct Seen {
    check: Check,
    /// When a new connection for the pool could not be made last, and why.
    refused: Option<(Instant, String)>,
}

impl Pulse {
    /// Begins to ask, closes connections of `pool` that nobody needed for as long as `idle`, and shows operators how busy it is.
    pub(super) fn start(schema: &'static str, session: tokio_postgres::Config, connector: Connector, pool: Pool, idle: Duration) -> Self {
        let seen = Arc::new(Mutex::new(Seen { check: Check::pass(), refused: None }));
        let tasks = [tokio::spawn(ask(schema, session, connector, seen.clone())), tokio::spawn(watch(schema, pool, idle))];
        Self { schema, seen, _tasks: tasks.map(AbortOnDropHandle::new) }
    }

    /// The server's own state comes first: who cannot reach it at all gets no connections either.
    pub(super) fn check(&self) -> Check {
        let seen = locked(&self.seen);
        match &seen.refused {
            Some((at, why)) if seen.check.status == Status::Pass && at.elapsed() < REFUSED_TOLD => refused(why),
            _ => seen.check.clone(),
        }
    }

    /// Notes how it went to get a connection from the pool.
    pub(super) fn note_connection(&self, connection: &Result<Object, PoolError>) {
        let why = match connection {
            // One that was in the pool says nothing of new ones.
            Ok(connection) if Object::metrics(connection).recycle_count > 0 => return,
            Ok(_) => None,
            Err(PoolError::Backend(error)) => Some(told(error)),
            Err(PoolError::Timeout(TimeoutType::Create)) => Some("no answer in time".to_owned()),
            Err(_) => return,
        };
        let mut seen = locked(&self.seen);
        let is_news = seen.refused.as_ref().is_none_or(|(at, _)| at.elapsed() >= REFUSED_TOLD);
        if let Some(why) = why.as_ref().filter(|_| is_news) {
            tracing::warn!(schema = self.schema, "the database takes no new connections: {why}");
        }
        seen.refused = why.map(|why| (Instant::now(), why));
    }
}

async fn ask(schema: &'static str, session: tokio_postgres::Config, connector: Connector, seen: Arc<Mutex<Seen>>) {
    loop {
        let check = match timeout(connect::time_limit(&session), session.connect(connector.clone())).await {
            Err(_) => Check::fail(silent().to_string()),
            // The server is there; those who have a connection go on.
            Ok(Err(error)) if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => refused(&told(&error)),
            Ok(Err(error)) => Check::fail(Error::from(error).to_string()),
            Ok(Ok((client, connection))) => {
                let _connection = AbortOnDropHandle::new(tokio::spawn(connection.map(drop)));
                locked(&seen).refused = None;
                match listen(schema, &client, &seen).await {
                    // Only this connection is of no more use, as far as one can see: a new one will tell.
                    None => continue,
                    Some(why) => Check::fail(why.to_string()),
                }
            }
        };
        note(schema, &seen, check);
        sleep(EVERY).await;
    }
}

/// Asks until there is no answer; why, unless it was a connection that had been good, or that is to be replaced.
async fn listen(schema: &'static str, client: &Client, seen: &Mutex<Seen>) -> Option<Error> {
    let since = Instant::now();
    let mut has_answered = false;
    loop {
        match timeout(PATIENCE, client.query_one(queries::check_server.postgres.text, &[])).await {
            Ok(Ok(server)) if server.get("is_read_only") => {
                note(schema, seen, Check::warn("cannot write: the server is read-only"));
                if since.elapsed() >= RENEW {
                    return None;
                }
            }
            Ok(Ok(_)) => note(schema, seen, Check::pass()),
            Ok(Err(_)) if has_answered => return None,
            Ok(Err(error)) => return Some(error.into()),
            Err(_) => return Some(silent()),
        }
        has_answered = true;
        sleep(EVERY).await;
    }
}

fn refused(why: &str) -> Check {
    Check::warn(format!("no new connections: {why}"))
}

fn silent() -> Error {
    Error::Unavailable("the server does not answer".to_owned())
}

/// Keeps what was seen; a change goes to the log.
fn note(schema: &'static str, seen: &Mutex<Seen>, now: Check) {
    let before = std::mem::replace(&mut locked(seen).check, now.clone());
    if before.status == now.status {
        return;
    }
    let why = now.detail.unwrap_or_default();
    match now.status {
        Status::Pass => tracing::info!(schema, "the database is back"),
        Status::Warn => tracing::warn!(schema, "the database serves with less: {why}"),
        Status::Fail => tracing::warn!(schema, "the database is away: {why}"),
    }
}

async fn watch(schema: &'static str, pool: Pool, idle_max: Duration) {
    let gauge = |state: &'static str| metrics::gauge!("database_connections", "database" => schema, "state" => state);
    let (idle, used, waiting) = (gauge("idle"), gauge("used"), metrics::gauge!("database_callers_waiting", "database" => schema));
    loop {
        pool.retain(|_, metrics| metrics.last_used() < idle_max);
        let status = pool.status();
        idle.set(status.available as f64);
        used.set(status.size.saturating_sub(status.available) as f64);
        waiting.set(status.waiting as f64);
        sleep(EVERY).await;
    }
}
