//! Brings a schema to head, one process at a time.
//!
//! The history is refinery's, kept by hand: refinery does not say which of several migrations has failed, and asks for rights to
//! make tables even where none is to be made.

use std::time::Duration;

use refinery::Migration;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Client;

use super::{queries, told};
use crate::database::Error;

/// Where it is noted what was applied.
pub(super) const HISTORY: &str = "refinery_schema_history";
/// The oldest that is promised to serve, and its name.
const VERSION_MIN: (i64, &str) = (150_000, "15");
/// How often a lock is asked for that another process has.
const POLL: Duration = Duration::from_millis(100);
/// How long another process may take to migrate.
const LOCK_LIMIT: Duration = Duration::from_secs(60);

/// Makes the schema and brings it to head. A role that may not make anything gets along where nothing is to be made. A migration
/// may take as long as it needs; everything else is given up after `patience`.
pub(super) async fn migrate(
    client: &Client,
    schema: &str,
    migrations: &refinery::Runner,
    patience: Duration,
    missing: Missing,
) -> Result<Durability, Error> {
    let known = migrations.get_migrations();
    let found = look(client, schema, known, patience).await?;
    let durability = found.durability;
    if found.missing.is_empty() {
        return Ok(durability);
    }
    if missing == Missing::Refuse {
        return Err(Error::Unavailable(format!("schema {schema} is not at head: start the system, or run superapp migrate")));
    }
    // Given back with the connection, however this ends.
    lock(client, schema, patience).await?;
    let found = look(client, schema, known, patience).await?;
    apply(client, schema, found).await?;
    Ok(durability)
}

/// What to do where migrations were not applied yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Apply,
    Refuse,
}

/// When the server answers a commit, if nobody tells it otherwise (`synchronous_commit`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// When it is on its disk at least.
    Durable,
    /// Before.
    Lazy,
}

/// What is there, and what is not.
struct Found<'a> {
    has_schema: bool,
    has_history: bool,
    missing: Vec<&'a Migration>,
    durability: Durability,
}

async fn look<'a>(client: &Client, schema: &str, known: &'a [Migration], patience: Duration) -> Result<Found<'a>, Error> {
    let look = async {
        let server = client.query_one(queries::find_server.postgres.text, &[&schema, &HISTORY]).await?;
        let (encoding, version): (String, i64) = (server.get("encoding"), server.get("version"));
        serves(&encoding, version).map_err(Error::Unavailable)?;
        let has_history = server.get("has_history");
        let applied = if has_history { client.query(queries::list_migrations.postgres.text, &[]).await? } else { Vec::new() };
        let applied: Vec<_> = applied.iter().map(|row| (row.get("version"), row.get("name"), row.get("checksum"))).collect();
        let missing = missing(&applied, known).map_err(|why| Error::Internal(format!("migrate {schema}: {why}")))?;
        let durability = if server.get("is_lazy") { Durability::Lazy } else { Durability::Durable };
        Ok(Found { has_schema: server.get("has_schema"), has_history, missing, durability })
    };
    timeout(patience, look).await.unwrap_or_else(|_| Err(silent()))
}

/// Why a server is of no use to us, if it is not.
fn serves(encoding: &str, version: i64) -> Result<(), String> {
    if version < VERSION_MIN.0 {
        return Err(format!("it is PostgreSQL {}: {} or newer is needed", version / 10_000, VERSION_MIN.1));
    }
    if encoding != "UTF8" {
        return Err(format!("the database's encoding is {encoding}: create it with encoding 'UTF8'"));
    }
    Ok(())
}

/// Those that were not applied (version, name, checksum), in their order; or why these are no histories of each other.
fn missing<'a>(applied: &[(i32, String, String)], known: &'a [Migration]) -> Result<Vec<&'a Migration>, String> {
    for (version, name, checksum) in applied {
        let there = format!("the database has migration V{version}__{name}");
        let Some(ours) = known.iter().find(|migration| migration.version() == *version) else {
            return Err(format!("{there}, which this version does not know: start a newer superapp"));
        };
        if (ours.name(), ours.checksum().to_string()) != (name, checksum.clone()) {
            return Err(format!("{there} with another text than {ours} of this version"));
        }
    }
    let is_applied = |migration: &&Migration| applied.iter().any(|(version, ..)| *version == migration.version());
    let mut missing: Vec<&Migration> = known.iter().filter(|migration| !is_applied(migration)).collect();
    missing.sort_by_key(|migration| migration.version());
    if let (Some(first), Some((version, name, _))) = (missing.first(), applied.last())
        && first.version() < *version
    {
        return Err(format!("migration {first} was left out when V{version}__{name} was applied"));
    }
    Ok(missing)
}

async fn lock(client: &Client, schema: &str, patience: Duration) -> Result<(), Error> {
    let until = Instant::now() + LOCK_LIMIT;
    loop {
        let try_lock = queries::try_migration_lock.postgres.text;
        let row = timeout(patience, client.query_one(try_lock, &[&schema])).await.map_err(|_| silent())??;
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

/// All of it is one transaction, so one that fails leaves the old state; it ends with the connection at the latest.
async fn apply(client: &Client, schema: &str, found: Found<'_>) -> Result<(), Error> {
    client.batch_execute(queries::begin.postgres.text).await?;
    let made = make(client, schema, &found).await;
    let how = if made.is_ok() { queries::commit.postgres } else { queries::rollback.postgres };
    let ended = client.batch_execute(how.text).await;
    made?;
    ended?;
    for migration in found.missing {
        tracing::info!(schema, %migration, "migrated");
    }
    Ok(())
}

async fn make(client: &Client, schema: &str, found: &Found<'_>) -> Result<(), Error> {
    let failed = |doing: &str, error| undone(&format!("migrate {schema}: {doing}"), error);
    client.batch_execute(queries::lift_statement_timeout.postgres.text).await?;
    if !found.has_schema {
        let row = client.query_one(queries::create_schema.postgres.text, &[&schema]).await?;
        client.batch_execute(row.get("statement")).await.map_err(|error| failed("create schema", error))?;
    }
    if !found.has_history {
        client.batch_execute(queries::create_history.postgres.text).await.map_err(|error| failed("create the history", error))?;
    }
    for migration in &found.missing {
        let failed = |error| failed(&migration.to_string(), error);
        client.batch_execute(migration.sql().unwrap_or_default()).await.map_err(failed)?;
        let (version, name, checksum) = (migration.version(), migration.name(), migration.checksum().to_string());
        client.execute(queries::insert_migration.postgres.text, &[&version, &name, &checksum]).await.map_err(failed)?;
    }
    Ok(())
}

/// What PostgreSQL says, and what we did.
fn undone(doing: &str, error: tokio_postgres::Error) -> Error {
    let text = format!("{doing}: {}; nothing was changed", told(&error));
    match Error::from(error) {
        Error::Unavailable(_) => Error::Unavailable(text),
        _ => Error::Internal(text),
    }
}

fn silent() -> Error {
    Error::Unavailable("the server does not answer".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_told() {
        assert_eq!(serves("UTF8", 140_018), Err("it is PostgreSQL 14: 15 or newer is needed".to_owned()));
        assert_eq!(serves("UTF8", 150_000), Ok(()));
    }
}
