//! Events in a SQLite file, `analytics.db`.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use kit::clock::Timestamp;
use kit::database;
use kit::database::sqlite::Sqlite;
use kit::health::Check;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{HOT_MAX, HOT_MINUTES, Inserted, MINUTES, NameCount, Store, Summary, TOTALS_MAX};
use crate::model::{Event, Properties, UserId, minute_of, minutes_before};
use crate::{Error, queries};

mod embedded {
    refinery::embed_migrations!("../../sql/analytics/migrations/sqlite");
}

/// The migrations of this store.
pub(crate) fn migrations() -> refinery::Runner {
    embedded::migrations::runner()
}

/// In the tables of counts, the name that stands for all of them together.
const ALL_NAMES: &str = "";

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

    async fn check(&self) -> Check {
        self.database.check().await
    }
}

fn count_events(connection: &Connection) -> Result<u64, database::Error> {
    let count = connection.prepare_cached(queries::count_events.sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(count.unwrap_or(0))
}

fn insert_events(connection: &Connection, events: &[Event], now: Timestamp) -> Result<Inserted, database::Error> {
    let mut insert = connection.prepare_cached(queries::insert_event.sql)?;
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
    counts.write(connection)?;
    Ok(inserted)
}

/// How the new events of a batch change the counts: one write for each row of them, however many events.
#[derive(Default)]
struct Counts<'a> {
    totals: BTreeMap<&'a str, u64>,
    minutes: BTreeMap<(i64, &'a str), u64>,
}

impl<'a> Counts<'a> {
    fn add(&mut self, event: &'a Event) {
        let minute = event.minute().as_millis();
        for name in [ALL_NAMES, event.name.as_str()] {
            *self.totals.entry(name).or_default() += 1;
            *self.minutes.entry((minute, name)).or_default() += 1;
        }
    }

    fn write(self, connection: &Connection) -> Result<(), database::Error> {
        let mut add_to_total = connection.prepare_cached(queries::add_to_total.sql)?;
        for (name, count) in self.totals {
            add_to_total.execute(params![name, count])?;
        }
        let mut add_to_minute = connection.prepare_cached(queries::add_to_minute.sql)?;
        for ((minute, name), count) in self.minutes {
            add_to_minute.execute(params![minute, name, count])?;
        }
        Ok(())
    }
}

fn summary(connection: &Connection, now: Timestamp) -> Result<Summary, database::Error> {
    // One transaction, so that all of it is of one moment.
    let transaction = connection.unchecked_transaction()?;
    let last = minute_of(now);
    let span = |minutes: u32| (minutes_before(last, minutes - 1).as_millis(), last.as_millis());

    let mut totals = transaction.prepare_cached(queries::list_totals.sql)?;
    let by_name = totals.query_map([TOTALS_MAX], name_count)?.collect::<Result<_, _>>()?;

    let (from, to) = span(MINUTES);
    let mut minutes = transaction.prepare_cached(queries::list_minutes.sql)?;
    let minutes = minutes.query_map([from, to], |row| Ok((Timestamp::from_millis(row.get(0)?), row.get(1)?)))?;
    let minutes = minutes.collect::<Result<_, _>>()?;

    let (from, to) = span(HOT_MINUTES);
    let mut hot = transaction.prepare_cached(queries::list_hot_names.sql)?;
    let hot = hot.query_map(params![from, to, HOT_MAX], name_count)?.collect::<Result<_, _>>()?;

    Ok(Summary { events: count_events(&transaction)?, by_name, minutes, hot })
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
}
