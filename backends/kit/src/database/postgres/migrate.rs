//! Brings a schema to head, one process at a time.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

use super::{Config, queries, told};
use crate::database::Error;

/// Where refinery notes what was applied.
const MIGRATIONS: &str = "refinery_schema_history";
/// How often a lock is asked for that another process has, and a server that is not there yet.
const POLL: Duration = Duration::from_millis(100);
/// How long another process may take to migrate.
const LOCK_LIMIT: Duration = Duration::from_secs(60);

/// Makes the schema and brings it to head. A role that may not make anything gets along where nothing is to be made.
pub(super) async fn migrate(
    session: &tokio_postgres::Config,
    connector: MakeRustlsConnect,
    schema: &'static str,
    migrations: &refinery::Runner,
    config: &Config,
) -> Result<(), Error> {
    let (mut client, _connection) = connect_patiently(session, connector, config).await?;
    if is_at_head(&mut client, schema, migrations).await? {
        return Ok(());
    }
    // Given back with the connection, however this ends.
    lock(&client, schema).await?;
    if !look(&client, schema).await?.has_schema {
        let row = client.query_one(queries::create_schema.postgres.text, &[&schema]).await?;
        client
            .batch_execute(row.get("statement"))
            .await
            .map_err(|error| Error::Unavailable(format!("create schema {schema}: {}", told(&error))))?;
    }
    // Grouped: all missing migrations are one transaction, so one that fails leaves the old state.
    let runner = refinery::Runner::new(migrations.get_migrations()).set_grouped(true);
    let report = runner.run_async(&mut client).await.map_err(|error| failed(schema, &error))?;
    for migration in report.applied_migrations() {
        tracing::info!(schema, %migration, "migrated");
    }
    Ok(())
}

/// Connects; waits for a server that is not there yet, but not for one that refuses us.
async fn connect_patiently(
    session: &tokio_postgres::Config,
    connector: MakeRustlsConnect,
    config: &Config,
) -> Result<(Client, AbortOnDropHandle<()>), Error> {
    let until = Instant::now() + Duration::from_secs(config.start_timeout_s);
    let mut is_told = false;
    loop {
        let error = match timeout(Duration::from_millis(config.connect_timeout_ms), session.connect(connector.clone())).await {
            Ok(Ok((client, connection))) => return Ok((client, AbortOnDropHandle::new(tokio::spawn(connection.map(drop))))),
            // It is starting up, shutting down, or has no connection to spare; anything else the server says stays so.
            Ok(Err(error)) if error.code().is_some_and(|state| !["57", "53"].contains(&&state.code()[..2])) => return Err(error.into()),
            Ok(Err(error)) => Error::from(error),
            Err(_) => Error::Unavailable("no answer in time".to_owned()),
        };
        if Instant::now() >= until || matches!(error, Error::Internal(_)) {
            return Err(error);
        }
        if !is_told {
            tracing::warn!(%error, "waiting for the database");
            is_told = true;
        }
        sleep(POLL).await;
    }
}

/// What is there.
struct Found {
    has_schema: bool,
    has_migrations: bool,
}

async fn look(client: &Client, schema: &str) -> Result<Found, Error> {
    let row = client.query_one(queries::find_server.postgres.text, &[&schema, &MIGRATIONS]).await?;
    let encoding: String = row.get("encoding");
    if encoding != "UTF8" {
        return Err(Error::Unavailable(format!("the database's encoding is {encoding}: create it with encoding 'UTF8'")));
    }
    Ok(Found { has_schema: row.get("has_schema"), has_migrations: row.get("has_migrations") })
}

async fn is_at_head(client: &mut Client, schema: &str, migrations: &refinery::Runner) -> Result<bool, Error> {
    if !look(client, schema).await?.has_migrations {
        return Ok(false);
    }
    let applied = migrations.get_applied_migrations_async(client).await.map_err(|error| failed(schema, &error))?;
    Ok(applied == *migrations.get_migrations())
}

async fn lock(client: &Client, schema: &str) -> Result<(), Error> {
    let until = Instant::now() + LOCK_LIMIT;
    loop {
        let row = client.query_one(queries::try_migration_lock.postgres.text, &[&schema]).await?;
        if row.get("is_taken") {
            return Ok(());
        }
        if Instant::now() >= until {
            let limit = LOCK_LIMIT.as_secs();
            return Err(Error::Unavailable(format!("another process has been migrating {schema} for more than {limit} s")));
        }
        sleep(POLL).await;
    }
}

/// What refinery says, in one sentence: it wraps the database's own words twice.
fn failed(schema: &str, error: &refinery::Error) -> Error {
    use refinery::error::Kind;
    let what = match error.kind() {
        Kind::Connection(doing, cause) => {
            let cause = cause.downcast_ref::<tokio_postgres::Error>().map_or_else(|| cause.to_string(), told);
            format!("{doing}: {cause}; nothing was changed")
        }
        Kind::MissingVersion(migration) => {
            format!("the database has migration {migration}, which this version does not know: start a newer superapp")
        }
        Kind::DivergentVersion(applied, known) => {
            format!("migration {applied} was applied with another text than {known} of this version")
        }
        other => other.to_string(),
    };
    Error::Internal(format!("migrate {schema}: {what}"))
}
