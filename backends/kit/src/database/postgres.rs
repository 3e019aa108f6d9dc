//! PostgreSQL: a pool of connections, each of them bounded in time.
//!
//! A backend has a schema of its own, which is the whole search path of its connections. Every wait has an end: for a free
//! connection, for a new one, for a statement on the server, and for an answer should the server be silent. What was under way
//! then is in doubt, so its connection is thrown away with it; what a caller has left who is gone is ended first.
//!
//! - `address`, `tls`, `connect`: where the server is, how it is believed, and what a connection to it is asked for;
//! - `migrate`: the schema, brought to head by one process at a time;
//! - `session`: what a connection is asked; `transaction`: several statements as one;
//! - `pulse`: whether the server is there and writes, asked now and then on a connection of its own;
//! - `backup`: a schema as a file and back, by `tools`: pg_dump and pg_restore.

mod address;
pub mod backup;
mod connect;
mod migrate;
mod pulse;
mod session;
mod tls;
mod tools;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, PoolError, QueueMode, RecyclingMethod, Runtime, TimeoutType, Timeouts};
use serde::Deserialize;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{Error, queries};
use crate::health::Check;
use crate::sql::Statement;

pub use address::Address;
pub use transaction::Transaction;

use migrate::Missing;
use pulse::Pulse;
use session::Session;
use tls::Connector;

/// What a server may take beyond `statement_timeout` to say that it has given up.
const GRACE: Duration = Duration::from_millis(500);
/// Parameters of a statement, in the order of `$1, $2, …`.
pub type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];
/// A statement with its parameters.
pub type Call<'a> = (Statement, Parameters<'a>);

/// Settings of the connections of one backend.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Connections open at the same time.
    pub connections_max: usize,
    /// How long a connection that nobody needs is kept open, in seconds.
    pub connection_idle_s: u64,
    /// How long a request waits for a free connection, in milliseconds.
    pub wait_timeout_ms: u64,
    /// How long making a connection may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long a statement may run, waiting for locks included, in milliseconds.
    pub statement_timeout_ms: u64,
    /// How long a transaction may wait for its next statement, in milliseconds.
    pub idle_in_transaction_timeout_ms: u64,
    /// How long to wait at start for a server that is not there yet, in seconds.
    pub start_timeout_s: u64,
}

#[cfg(any(test, feature = "testing"))]
impl Config {
    /// Few connections and little patience.
    pub fn for_tests() -> Self {
        Self {
            connections_max: 4,
            connection_idle_s: 60,
            wait_timeout_ms: 5000,
            connect_timeout_ms: 2000,
            statement_timeout_ms: 2000,
            idle_in_transaction_timeout_ms: 5000,
            start_timeout_s: 5,
        }
    }
}

/// A pool of connections to one backend's schema; clones share it.
#[derive(Clone)]
pub struct Postgres {
    pool: deadpool_postgres::Pool,
    connector: Connector,
    /// After so long without an answer, the server is taken for gone.
    patience: Duration,
    pulse: Arc<Pulse>,
}

impl Postgres {
    /// Connects, waits a while for a server that is not there yet, and brings `schema` to head. Several processes may do so at the
    /// same time.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the server cannot be reached or refuses us, `Internal` when a migration fails; the old state is kept
    /// then. The text names the server, never the password.
    pub async fn open(address: &Address, schema: &'static str, migrations: &refinery::Runner, config: &Config) -> Result<Self, Error> {
        Self::open_or(address, schema, migrations, config, Missing::Apply).await
    }

    /// The same for who only looks: a schema that is not at head is refused, and stays as it is.
    ///
    /// # Errors
    ///
    /// As [`Postgres::open`].
    pub async fn open_as_is(
        address: &Address,
        schema: &'static str,
        migrations: &refinery::Runner,
        config: &Config,
    ) -> Result<Self, Error> {
        Self::open_or(address, schema, migrations, config, Missing::Refuse).await
    }

    async fn open_or(
        address: &Address,
        schema: &'static str,
        migrations: &refinery::Runner,
        config: &Config,
        missing: Missing,
    ) -> Result<Self, Error> {
        let open = async {
            let connector = tls::connector(&address.trust).map_err(Error::Unavailable)?;
            let mut session = connect::session(address, schema, config);
            let patience = Duration::from_millis(config.statement_timeout_ms) + GRACE;
            let (client, connection) = connect::patiently(&session, &connector, config).await?;
            let durability = migrate::migrate(&client, schema, migrations, patience, missing).await?;
            connect::make_durable(&mut session, durability);
            drop((client, connection));
            let recycling_method = RecyclingMethod::Fast;
            let manager = Manager::from_config(session.clone(), connector.clone(), ManagerConfig { recycling_method });
            let wait = Some(Duration::from_millis(config.wait_timeout_ms));
            let create = Some(connect::time_limit(&session));
            let timeouts = Timeouts { wait, create, recycle: create };
            let pool = deadpool_postgres::Pool::builder(manager).max_size(config.connections_max).timeouts(timeouts);
            // The one used last is used again, so that those that a rush needed are left alone and go.
            let pool = pool.queue_mode(QueueMode::Lifo);
            let pool = pool.runtime(Runtime::Tokio1).build().map_err(|error| Error::Internal(format!("make a pool: {error}")))?;
            let pulse =
                Arc::new(Pulse::start(schema, session, connector.clone(), pool.clone(), Duration::from_secs(config.connection_idle_s)));
            Ok(Self { pool, connector, patience, pulse })
        };
        open.await.map_err(|error| at(address, error))
    }

    /// Runs one statement, which is a transaction of its own; its rows.
    ///
    /// # Errors
    ///
    /// `Busy` when no connection becomes free in time, `Unavailable` when the server is away or takes too long: the statement
    /// may have been carried out then. `Taken` when a value that must be unique is there already.
    pub async fn query(&self, statement: Statement, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
        self.session().await?.query(statement, parameters).await
    }

    /// The same, for a statement that gives one row or none.
    ///
    /// # Errors
    ///
    /// As [`Postgres::query`].
    pub async fn query_opt(&self, statement: Statement, parameters: Parameters<'_>) -> Result<Option<Row>, Error> {
        Ok(self.query(statement, parameters).await?.into_iter().next())
    }

    /// The same, for a statement that always gives one row.
    ///
    /// # Errors
    ///
    /// As [`Postgres::query`].
    pub async fn query_one(&self, statement: Statement, parameters: Parameters<'_>) -> Result<Row, Error> {
        self.query_opt(statement, parameters).await?.ok_or_else(|| Error::Internal(format!("{} gave no row", statement.name)))
    }

    /// Begins a transaction in which each statement sees what is committed by then.
    ///
    /// # Errors
    ///
    /// As [`Postgres::query`].
    pub async fn begin(&self) -> Result<Transaction, Error> {
        Transaction::begin(self.session().await?, queries::begin.postgres).await
    }

    /// Begins a transaction that reads, and sees one moment.
    ///
    /// # Errors
    ///
    /// As [`Postgres::query`].
    pub async fn begin_snapshot(&self) -> Result<Transaction, Error> {
        Transaction::begin(self.session().await?, queries::begin_snapshot.postgres).await
    }

    /// Runs statements as one transaction in one round trip: all are sent before the first has answered. The rows of each.
    ///
    /// # Errors
    ///
    /// As [`Postgres::query`]; nothing is changed then, unless it is `Unavailable`.
    pub async fn pipeline(&self, statements: &[Call<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        transaction::pipeline(self.session().await?, statements).await
    }

    /// How the server is doing; answers at once.
    pub fn check(&self) -> Check {
        self.pulse.check()
    }

    /// How many parameters a statement has, and the names of its columns.
    ///
    /// # Errors
    ///
    /// Where it does not fit the schema.
    #[cfg(any(test, feature = "testing"))]
    pub async fn describe(&self, text: &str) -> Result<(usize, Vec<String>), Error> {
        self.session().await?.describe(text).await
    }

    async fn session(&self) -> Result<Session, Error> {
        let connection = self.pool.get().await;
        self.pulse.note_connection(&connection);
        Ok(Session::new(connection?, self.connector.clone(), self.patience))
    }
}

/// Adds the server to what is said of an error at start.
fn at(address: &Address, error: Error) -> Error {
    match error {
        Error::Unavailable(what) => Error::Unavailable(format!("{address}: {what}")),
        Error::Internal(what) => Error::Internal(format!("{address}: {what}")),
        other => other,
    }
}

/// An error of the driver with its causes, in one line; the driver's own word for what the server says is only "db error".
fn told(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        // Where a constraint is broken, the detail is the row: people's data, which is not for the log.
        let detail = said.detail().filter(|_| !said.code().code().starts_with("23"));
        let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
        return format!("{}{detail}", said.message());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if !text.contains(&error.to_string()) {
            text = format!("{text}: {error}");
        }
        cause = error.source();
    }
    text
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let text = told(&error);
        let Some(code) = error.code().map(|state| state.code().to_owned()) else {
            let is_ours = ["error serializing", "error deserializing", "invalid column", "query returned", "expected "];
            return if is_ours.iter().any(|start| text.starts_with(start)) { Error::Internal(text) } else { Error::Unavailable(text) };
        };
        // PostgreSQL's manual, appendix A; a class is the first two letters.
        match (code.as_str(), &code[..2]) {
            ("23505", _) => Error::Taken,
            ("XX001" | "XX002", _) => Error::Damaged(text),
            // A server that became a standby, a transaction that waited too long, a right that was not granted, a lock that was not to
            // be had, a deadlock.
            ("25006" | "25P03" | "25P04" | "42501" | "55P03" | "40001" | "40P01", _) => Error::Unavailable(text),
            // Connections, who we are, resources, an operator's hand, the system under it.
            (_, "08" | "28" | "3D" | "53" | "57" | "58") => Error::Unavailable(text),
            _ => Error::Internal(text),
        }
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Error::Busy,
            PoolError::Backend(error) => error.into(),
            other => Error::Unavailable(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
