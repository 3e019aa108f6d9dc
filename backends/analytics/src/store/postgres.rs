//! Events in PostgreSQL, schema `analytics`.

use std::collections::HashSet;

use async_trait::async_trait;
use kit::clock::Timestamp;
use kit::database;
use kit::database::postgres::{Address, Call, Config, Parameters, Postgres, Transaction};
use kit::health::Check;
use tokio_postgres::Row;
use tokio_util::task::AbortOnDropHandle;

use super::group::{self, Batch, Batches, Waiting};
use super::{Counts, FINDINGS_MAX, HOT_MAX, HOT_MINUTES, Inserted, MINUTES, NameCount, Store, Summary, TOTALS_MAX};
use super::{miscounted_minute, miscounted_name, span};
use crate::model::{Event, Properties, UserId};
use crate::{Error, queries};

mod embedded {
    refinery::embed_migrations!("../../sql/analytics/migrations/postgres");
}

/// The migrations of this store.
pub(crate) fn migrations() -> refinery::Runner {
    embedded::migrations::runner()
}

/// A store on a server.
pub struct PostgresStore {
    pub(crate) database: Postgres,
    batches: Batches,
    _writing: AbortOnDropHandle<()>,
}

impl PostgresStore {
    /// Connects, and brings the schema to head.
    ///
    /// # Errors
    ///
    /// As [`Postgres::open`].
    pub async fn open(address: &Address, config: &Config) -> Result<Self, database::Error> {
        Ok(Self::of(Postgres::open(address, "analytics", &migrations(), config).await?))
    }

    /// Connects for who only looks.
    ///
    /// # Errors
    ///
    /// As [`Postgres::open_as_is`].
    pub async fn open_as_is(address: &Address, config: &Config) -> Result<Self, database::Error> {
        Ok(Self::of(Postgres::open_as_is(address, "analytics", &migrations(), config).await?))
    }

    fn of(database: Postgres) -> Self {
        let (batches, waiting) = group::channel();
        let writing = tokio::spawn(write(database.clone(), waiting));
        Self { database, batches, _writing: AbortOnDropHandle::new(writing) }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn count_events(&self) -> Result<u64, Error> {
        let row = self.database.query_opt(queries::count_events.postgres, &[]).await?;
        Ok(row.map_or(0, |row| count(&row, "count")))
    }

    async fn insert_events(&self, events: Vec<Event>, now: Timestamp) -> Result<Inserted, Error> {
        Ok(self.batches.write(events, now).await?)
    }

    async fn summary(&self, now: Timestamp) -> Result<Summary, Error> {
        // One transaction, so that all of it is of one moment.
        let transaction = self.database.begin_snapshot().await?;
        let summary = summary(&transaction, now).await;
        Ok(transaction.end(summary).await?)
    }

    async fn check_invariants(&self) -> Result<Vec<String>, Error> {
        // Of one moment, so that events and counts fit each other.
        let transaction = self.database.begin_snapshot().await?;
        let looked = async {
            let names = transaction.query(queries::list_miscounted_names.postgres, &[&i64::from(FINDINGS_MAX)]).await?;
            let minutes = transaction.query(queries::list_miscounted_minutes.postgres, &[&i64::from(FINDINGS_MAX)]).await?;
            Ok::<_, database::Error>((names, minutes))
        };
        let looked = looked.await;
        let (names, minutes) = transaction.end(looked).await?;
        let names = names.iter().map(|row| miscounted_name(row.get("name"), row.get("events"), row.get("total")));
        let minutes = minutes.iter().map(|row| miscounted_minute(row.get("minute"), row.get("name"), row.get("events"), row.get("count")));
        Ok(names.chain(minutes).collect())
    }

    async fn check(&self) -> Check {
        self.database.check()
    }
}

/// Writes what waits, group by group, for ever.
async fn write(database: Postgres, mut waiting: Waiting) {
    while let Some(group) = waiting.group().await {
        let outcome = async {
            let transaction = database.begin().await?;
            let inserted = insert_batches(&transaction, &group).await;
            transaction.end(inserted).await
        };
        let outcome = outcome.await;
        group::answer(group, outcome);
    }
}

/// What became of each batch.
async fn insert_batches(transaction: &Transaction, batches: &[Batch]) -> Result<Vec<Inserted>, database::Error> {
    let events: Vec<&Event> = batches.iter().flat_map(|batch| &batch.events).collect();
    let received: Vec<i64> = batches.iter().flat_map(|batch| batch.events.iter().map(|_| batch.now.as_millis())).collect();
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    let times: Vec<i64> = events.iter().map(|event| event.at.as_millis()).collect();
    let users: Vec<Option<&str>> = events.iter().map(|event| event.user_id.as_ref().map(UserId::as_str)).collect();
    let properties: Vec<Option<&str>> = events.iter().map(|event| event.properties.as_ref().map(Properties::as_str)).collect();
    let values: Parameters<'_> = &[&ids, &names, &times, &users, &properties, &received];
    let new = transaction.query(queries::insert_events.postgres, values).await?;
    let mut new: HashSet<&str> = new.iter().map(|row| row.get("id")).collect();

    let mut counts = Counts::default();
    let mut inserted = Vec::with_capacity(batches.len());
    for batch in batches {
        let before = counts.events();
        // The first of each id; what comes again among these is no longer new.
        for event in batch.events.iter().filter(|event| new.remove(event.id.as_str())) {
            counts.add(event);
        }
        let accepted = counts.events() - before;
        inserted.push(Inserted { accepted, duplicates: batch.events.len() as u64 - accepted });
    }
    write_counts(transaction, counts).await?;
    Ok(inserted)
}

async fn write_counts(transaction: &Transaction, counts: Counts<'_>) -> Result<(), database::Error> {
    let (names, added): (Vec<&str>, Vec<i64>) = counts.totals().unzip();
    if names.is_empty() {
        return Ok(());
    }
    let (minutes, (minute_names, minute_added)): (Vec<i64>, (Vec<&str>, Vec<i64>)) =
        counts.minutes().map(|(minute, name, count)| (minute, (name, count))).unzip();
    let add_to_totals: Call<'_> = (queries::add_to_totals.postgres, &[&names, &added]);
    let add_to_minutes: Call<'_> = (queries::add_to_minutes.postgres, &[&minutes, &minute_names, &minute_added]);
    transaction.query_all(&[add_to_totals, add_to_minutes]).await?;
    Ok(())
}

async fn summary(transaction: &Transaction, now: Timestamp) -> Result<Summary, database::Error> {
    let (from, to) = span(now, MINUTES);
    let (hot_from, _) = span(now, HOT_MINUTES);
    let (totals_max, hot_max) = (i64::from(TOTALS_MAX), i64::from(HOT_MAX));
    let count_events: Call<'_> = (queries::count_events.postgres, &[]);
    let list_totals: Call<'_> = (queries::list_totals.postgres, &[&totals_max]);
    let list_minutes: Call<'_> = (queries::list_minutes.postgres, &[&from, &to]);
    let list_hot_names: Call<'_> = (queries::list_hot_names.postgres, &[&hot_from, &to, &hot_max]);
    let answers = transaction.query_all(&[count_events, list_totals, list_minutes, list_hot_names]).await?;
    let [events, totals, minutes, hot] = answers.as_slice() else {
        return Err(database::Error::Internal("four statements, and not four answers".to_owned()));
    };
    Ok(Summary {
        events: events.first().map_or(0, |row| count(row, "count")),
        by_name: totals.iter().map(|row| name_count(row, "count")).collect(),
        minutes: minutes.iter().map(|row| (Timestamp::from_millis(row.get("minute")), count(row, "events"))).collect(),
        hot: hot.iter().map(|row| name_count(row, "events")).collect(),
    })
}

fn name_count(row: &Row, column: &str) -> NameCount {
    NameCount { name: row.get("name"), count: count(row, column) }
}

fn count(row: &Row, column: &str) -> u64 {
    row.get::<_, i64>(column).unsigned_abs()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The store in a database of its own.
    pub(crate) async fn open(database: &servers::Database) -> PostgresStore {
        let address = database.url().parse().expect("an address");
        PostgresStore::open(&address, &Config::for_tests()).await.expect("a store")
    }

    async fn store() -> (servers::Database, PostgresStore) {
        let database = servers::Database::create();
        let store = open(&database).await;
        (database, store)
    }

    crate::store::contract::store_contract!(store().await);

    #[tokio::test]
    async fn counts_that_are_not_those_of_the_events_are_told() {
        let (database, store) = store().await;
        let spoil = async |statements: &str| drop(database.run(&format!("set search_path = analytics; {statements}")));
        crate::store::contract::counts_that_are_not_those_of_the_events_are_told(&store, spoil).await;
    }
}
