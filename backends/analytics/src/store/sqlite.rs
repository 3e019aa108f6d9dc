//! Events in a SQLite file, `analytics.db`.

use std::path::Path;

use async_trait::async_trait;
use kit::clock::Timestamp;
use kit::database;
use kit::database::sqlite::Sqlite;
use kit::health::Check;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Counts, FINDINGS_MAX, HOT_MAX, HOT_MINUTES, Inserted, MINUTES, NameCount, Store, Summary, TOTALS_MAX};
use super::{miscounted_minute, miscounted_name, span};
use crate::model::{Event, Properties, UserId};
use crate::{Error, queries};

mod embedded {
    refinery::embed_migrations!("../../sql/analytics/migrations/sqlite");
}

/// The migrations of this store.
pub(crate) fn migrations() -> refinery::Runner {
    embedded::migrations::runner()
}

/// A store in a file.
pub struct SqliteStore {
    database: Sqlite,
}

impl SqliteStore {
    /// Opens `analytics.db` in `folder`, made and migrated where needed. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Sqlite::open`].
    pub fn open(folder: &Path) -> Result<Self, database::Error> {
        Ok(Self { database: Sqlite::open(folder, "analytics", &migrations())? })
    }

    /// Opens it for who only looks, also while another process has it. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Sqlite::open_as_is`].
    pub fn open_as_is(folder: &Path) -> Result<Self, database::Error> {
        Ok(Self { database: Sqlite::open_as_is(folder, "analytics", &migrations())? })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn count_events(&self) -> Result<u64, Error> {
        Ok(self.database.read(count_events).await?)
    }

    async fn insert_events(&self, events: Vec<Event>, now: Timestamp) -> Result<Inserted, Error> {
        Ok(self.database.write(move |connection| insert_events(connection, &events, now)).await?)
    }

    async fn summary(&self, now: Timestamp) -> Result<Summary, Error> {
        Ok(self.database.read(move |connection| summary(connection, now)).await?)
    }

    async fn check_invariants(&self) -> Result<Vec<String>, Error> {
        let mut findings = self.database.check_integrity().await?;
        findings.extend(self.database.read(miscounted).await?);
        Ok(findings)
    }

    async fn check(&self) -> Check {
        self.database.check().await
    }
}

fn count_events(connection: &Connection) -> Result<u64, database::Error> {
    let count = connection.prepare_cached(queries::count_events.sqlite.text)?.query_row([], |row| row.get(0)).optional()?;
    Ok(count.unwrap_or(0))
}

fn insert_events(connection: &Connection, events: &[Event], now: Timestamp) -> Result<Inserted, database::Error> {
    let mut insert = connection.prepare_cached(queries::insert_event.sqlite.text)?;
    let mut inserted = Inserted::default();
    let mut counts = Counts::default();
    for event in events {
        let values = params![
            event.id.as_str(),
            event.name.as_str(),
            event.at.as_millis(),
            event.user_id.as_ref().map(UserId::as_str),
            event.properties.as_ref().map(Properties::as_str),
            now.as_millis()
        ];
        let is_new = insert.execute(values)? > 0;
        if is_new {
            inserted.accepted += 1;
            counts.add(event);
        } else {
            inserted.duplicates += 1;
        }
    }
    write_counts(connection, &counts)?;
    Ok(inserted)
}

fn write_counts(connection: &Connection, counts: &Counts<'_>) -> Result<(), database::Error> {
    let mut add_to_total = connection.prepare_cached(queries::add_to_total.sqlite.text)?;
    for (name, count) in counts.totals() {
        add_to_total.execute(params![name, count])?;
    }
    let mut add_to_minute = connection.prepare_cached(queries::add_to_minute.sqlite.text)?;
    for (minute, name, count) in counts.minutes() {
        add_to_minute.execute(params![minute, name, count])?;
    }
    Ok(())
}

fn summary(connection: &Connection, now: Timestamp) -> Result<Summary, database::Error> {
    // One transaction, so that all of it is of one moment.
    let transaction = connection.unchecked_transaction()?;

    let mut totals = transaction.prepare_cached(queries::list_totals.sqlite.text)?;
    let by_name = totals.query_map([TOTALS_MAX], name_count)?.collect::<Result<_, _>>()?;

    let (from, to) = span(now, MINUTES);
    let mut minutes = transaction.prepare_cached(queries::list_minutes.sqlite.text)?;
    let minutes = minutes.query_map([from, to], |row| Ok((Timestamp::from_millis(row.get(0)?), row.get(1)?)))?;
    let minutes = minutes.collect::<Result<_, _>>()?;

    let (from, to) = span(now, HOT_MINUTES);
    let mut hot = transaction.prepare_cached(queries::list_hot_names.sqlite.text)?;
    let hot = hot.query_map(params![from, to, HOT_MAX], name_count)?.collect::<Result<_, _>>()?;

    Ok(Summary { events: count_events(&transaction)?, by_name, minutes, hot })
}

/// Of one moment, so that events and counts fit each other.
fn miscounted(connection: &Connection) -> Result<Vec<String>, database::Error> {
    let transaction = connection.unchecked_transaction()?;
    let mut names = transaction.prepare_cached(queries::list_miscounted_names.sqlite.text)?;
    let name = |row: &Row<'_>| Ok(miscounted_name(&row.get::<_, String>(0)?, row.get(1)?, row.get(2)?));
    let names = names.query_map([FINDINGS_MAX], name)?.collect::<Result<Vec<_>, _>>()?;
    let mut minutes = transaction.prepare_cached(queries::list_miscounted_minutes.sqlite.text)?;
    let minute = |row: &Row<'_>| Ok(miscounted_minute(row.get(0)?, &row.get::<_, String>(1)?, row.get(2)?, row.get(3)?));
    let minutes = minutes.query_map([FINDINGS_MAX], minute)?.collect::<Result<Vec<_>, _>>()?;
    Ok([names, minutes].concat())
}

fn name_count(row: &Row<'_>) -> rusqlite::Result<NameCount> {
    Ok(NameCount { name: row.get(0)?, count: row.get(1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, SqliteStore) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path()).expect("a store");
        (folder, store)
    }

    crate::store::contract::store_contract!(store());

    #[tokio::test]
    async fn counts_that_are_not_those_of_the_events_are_told() {
        let (_folder, store) = store();
        let database = store.database.clone();
        let spoil = async |statements: &str| {
            let statements = statements.to_owned();
            database.write(move |connection| Ok(connection.execute_batch(&statements)?)).await.expect("spoilt");
        };
        crate::store::contract::counts_that_are_not_those_of_the_events_are_told(&store, spoil).await;
    }
}
