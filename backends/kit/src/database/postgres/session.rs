//! One connection while someone has it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::tls::Connector;
use super::{Call, Parameters, queries};
use crate::database::Error;
use crate::sql::Statement;

/// How long a caller who has gone is waited for, and then the server that is asked to stop.
const PARTING: Duration = Duration::from_millis(500);

/// A connection from the pool. It goes back when dropped: at once, or after what a caller who has gone left on it is over. One
/// whose answer did not come in time is closed, which also ends what runs on the server.
pub(super) struct Session {
    connection: Option<Object>,
    connector: Connector,
    patience: Duration,
    /// Calls whose answer has not come.
    outstanding: AtomicUsize,
    /// A transaction has begun, or may have.
    in_transaction: AtomicBool,
    /// The server owes an answer, and the time for it is over.
    is_silent: AtomicBool,
    /// The server has become a standby; another connection may lead to the one that writes now.
    is_read_only: AtomicBool,
}

impl Session {
    pub(super) fn new(connection: Object, connector: Connector, patience: Duration) -> Self {
        Self {
            connection: Some(connection),
            connector,
            patience,
            outstanding: AtomicUsize::new(0),
            in_transaction: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            is_read_only: AtomicBool::new(false),
        }
    }

    /// Runs a statement; prepared once per connection.
    pub(super) async fn query(&self, statement: Statement, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
        self.answered(async |connection| {
            let prepared = connection.prepare_cached(statement.text).await?;
            connection.query(&prepared, parameters).await
        })
        .await
    }

    /// Runs statements one after the other, sent before the first has answered. One that fails in a transaction fails those after
    /// it, its commit too, which then undoes what came before.
    pub(super) async fn query_all(&self, calls: &[Call<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        self.answered(async |connection| {
            let mut prepared = Vec::with_capacity(calls.len());
            for (statement, _) in calls {
                prepared.push(connection.prepare_cached(statement.text).await?);
            }
            let answers = prepared.iter().zip(calls).map(|(prepared, (_, parameters))| connection.query(prepared, parameters));
            // All of them, also after one has failed: what is not heard now would be heard by the next who has the connection.
            join_all(answers).await.into_iter().collect()
        })
        .await
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) async fn describe(&self, text: &str) -> Result<(usize, Vec<String>), Error> {
        let prepared = self.answered(async |connection| connection.prepare(text).await).await?;
        Ok((prepared.params().len(), prepared.columns().iter().map(|column| column.name().to_owned()).collect()))
    }

    /// Says whether there is something to undo, should the session be dropped.
    pub(super) fn set_in_transaction(&self, in_transaction: bool) {
        self.in_transaction.store(in_transaction, Relaxed);
    }

    /// Whether an answer did not come in time; it makes no sense to ask for another one then.
    pub(super) fn is_silent(&self) -> bool {
        self.is_silent.load(Relaxed)
    }

    /// Waits for an answer, of whatever kind.
    async fn answered<T>(&self, call: impl AsyncFnOnce(&Object) -> Result<T, tokio_postgres::Error>) -> Result<T, Error> {
        let connection = self.connection.as_ref().expect("it is taken by drop only");
        // Stays counted when the caller goes while waiting.
        self.outstanding.fetch_add(1, Relaxed);
        let answer = timeout(self.patience, call(connection)).await;
        self.outstanding.fetch_sub(1, Relaxed);
        let answer = answer.map_err(|_| {
            self.is_silent.store(true, Relaxed);
            Error::Unavailable("the server does not answer".to_owned())
        })?;
        answer.map_err(|error| {
            // What was prepared no longer fits the schema, or is gone: it is prepared anew next time.
            if [SqlState::FEATURE_NOT_SUPPORTED, SqlState::INVALID_SQL_STATEMENT_NAME].iter().any(|state| error.code() == Some(state)) {
                connection.statement_cache.clear();
            }
            if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) {
                self.is_read_only.store(true, Relaxed);
            }
            error.into()
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let in_transaction = *self.in_transaction.get_mut();
        let is_clean = *self.outstanding.get_mut() == 0 && !in_transaction;
        match Handle::try_current() {
            _ if *self.is_silent.get_mut() || *self.is_read_only.get_mut() => drop(Object::take(connection)),
            _ if is_clean => drop(connection),
            Ok(runtime) => drop(runtime.spawn(part(connection, self.connector.clone(), in_transaction))),
            Err(_) => drop(Object::take(connection)),
        }
    }
}

/// Ends what a caller who has gone left on a connection. Most often the answer is about to come, and the connection is good again.
/// Where it does not come the server is asked to stop; the connection is closed then, as that request may be late and meet the next
/// statement. Its place in the pool is kept all the while, so that the server has no more connections than agreed.
async fn part(connection: Object, connector: Connector, in_transaction: bool) {
    let answered = async {
        let undo = queries::rollback.postgres.text;
        if in_transaction { connection.batch_execute(undo).await } else { connection.check_connection().await }
    };
    if matches!(timeout(PARTING, answered).await, Ok(Ok(()))) {
        return;
    }
    let stopped = async {
        connection.cancel_token().cancel_query(connector).await?;
        connection.check_connection().await
    };
    // However that went: the server looks by itself, too, whether someone still waits.
    let _ = timeout(PARTING, stopped).await;
    drop(Object::take(connection));
}
