//! One connection while someone has it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::future::join_all;
use tokio::time::timeout;
use tokio_postgres::Row;

use super::{Call, Parameters};
use crate::database::Error;
use crate::sql::Statement;

/// A connection from the pool. It goes back when dropped, unless an answer is outstanding: then nobody knows what would come
/// next on it, and it is closed, which also ends what runs on the server.
pub(super) struct Session {
    connection: Option<Object>,
    patience: Duration,
    /// Calls whose answer has not come, or never will.
    outstanding: AtomicUsize,
}

impl Session {
    pub(super) fn new(connection: Object, patience: Duration) -> Self {
        Self { connection: Some(connection), patience, outstanding: AtomicUsize::new(0) }
    }

    /// Runs a statement; prepared once per connection.
    pub(super) async fn query(&self, statement: Statement, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
        self.answered(async {
            let prepared = self.connection()?.prepare_cached(statement.text).await?;
            Ok(self.connection()?.query(&prepared, parameters).await?)
        })
        .await
    }

    /// Runs statements one after the other, sent before the first has answered. One that fails in a transaction fails those after
    /// it, its commit too, which then undoes what came before.
    pub(super) async fn query_all(&self, calls: &[Call<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        self.answered(async {
            let connection = self.connection()?;
            let mut prepared = Vec::with_capacity(calls.len());
            for (statement, _) in calls {
                prepared.push(connection.prepare_cached(statement.text).await?);
            }
            let answers = prepared.iter().zip(calls).map(|(prepared, (_, parameters))| connection.query(prepared, parameters));
            // All of them, also after one has failed: what is not heard now would be heard by the next who has the connection.
            Ok(join_all(answers).await.into_iter().collect::<Result<_, _>>()?)
        })
        .await
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) async fn describe(&self, text: &str) -> Result<(usize, Vec<String>), Error> {
        let prepared = self.answered(async { Ok(self.connection()?.prepare(text).await?) }).await?;
        Ok((prepared.params().len(), prepared.columns().iter().map(|column| column.name().to_owned()).collect()))
    }

    /// Makes sure that the connection does not go back to the pool until [`Session::settle`].
    pub(super) fn unsettle(&self) {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes back one [`Session::unsettle`].
    pub(super) fn settle(&self) {
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
    }

    /// Waits for an answer, of whatever kind; none at all leaves the connection in doubt, and so does a caller who goes.
    async fn answered<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.unsettle();
        let answer = timeout(self.patience, call).await.map_err(|_| Error::Unavailable("the server does not answer".to_owned()))?;
        self.settle();
        answer
    }

    fn connection(&self) -> Result<&Object, Error> {
        self.connection.as_ref().ok_or_else(|| Error::Internal("the connection was given back".to_owned()))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if *self.outstanding.get_mut() > 0
            && let Some(connection) = self.connection.take()
        {
            drop(Object::take(connection));
        }
    }
}
