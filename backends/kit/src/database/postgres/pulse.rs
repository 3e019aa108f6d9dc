//! Whether the server is there: asked now and then on a connection of its own, so that a crowd of requests does not make it look
//! ill, and so that whoever wants to know is answered at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadpool_postgres::Pool;
use futures_util::FutureExt;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

use super::super::locked;
use super::connect;
use super::tls::Connector;
use crate::database::Error;
use crate::health::Check;

/// How long the server is left alone between two questions.
const EVERY: Duration = Duration::from_millis(500);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was seen last. The asking ends when this is dropped.
pub(super) struct Pulse {
    seen: Arc<Mutex<Check>>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Pulse {
    /// Begins to ask, and shows operators how busy `pool` is.
    pub(super) fn start(schema: &'static str, session: tokio_postgres::Config, connector: Connector, pool: Pool) -> Self {
        let seen = Arc::new(Mutex::new(Check::pass()));
        let tasks = [tokio::spawn(ask(schema, session, connector, seen.clone())), tokio::spawn(watch(schema, pool))];
        Self { seen, _tasks: tasks.map(AbortOnDropHandle::new) }
    }

    pub(super) fn check(&self) -> Check {
        locked(&self.seen).clone()
    }
}

async fn ask(schema: &'static str, session: tokio_postgres::Config, connector: Connector, seen: Arc<Mutex<Check>>) {
    loop {
        let why = match timeout(connect::time_limit(&session), session.connect(connector.clone())).await {
            Err(_) => silent(),
            Ok(Err(error)) => error.into(),
            Ok(Ok((client, connection))) => {
                let _connection = AbortOnDropHandle::new(tokio::spawn(connection.map(drop)));
                match listen(schema, &client, &seen).await {
                    // Only the connection is gone, as far as one can see: a new one will tell.
                    None => continue,
                    Some(why) => why,
                }
            }
        };
        note(schema, &seen, Check::fail(why.to_string()));
        sleep(EVERY).await;
    }
}

/// Asks until there is no answer; why, unless a connection that was good is closed.
async fn listen(schema: &'static str, client: &Client, seen: &Mutex<Check>) -> Option<Error> {
    let mut has_answered = false;
    loop {
        match timeout(PATIENCE, client.check_connection()).await {
            Ok(Ok(())) => note(schema, seen, Check::pass()),
            Ok(Err(error)) if has_answered && error.is_closed() => return None,
            Ok(Err(error)) => return Some(error.into()),
            Err(_) => return Some(silent()),
        }
        has_answered = true;
        sleep(EVERY).await;
    }
}

fn silent() -> Error {
    Error::Unavailable("the server does not answer".to_owned())
}

/// Keeps what was seen; a change goes to the log.
fn note(schema: &'static str, seen: &Mutex<Check>, now: Check) {
    let before = std::mem::replace(&mut *locked(seen), now.clone());
    match (before.detail, now.detail) {
        (None, Some(why)) => tracing::warn!(schema, "the database is away: {why}"),
        (Some(_), None) => tracing::info!(schema, "the database is back"),
        _ => {}
    }
}

async fn watch(schema: &'static str, pool: Pool) {
    let gauge = |state: &'static str| metrics::gauge!("database_connections", "database" => schema, "state" => state);
    let (idle, used, waiting) = (gauge("idle"), gauge("used"), metrics::gauge!("database_callers_waiting", "database" => schema));
    loop {
        let status = pool.status();
        idle.set(status.available as f64);
        used.set(status.size.saturating_sub(status.available) as f64);
        waiting.set(status.waiting as f64);
        sleep(EVERY).await;
    }
}
