//! Users in PostgreSQL, schema `users`.

use async_trait::async_trait;
use kit::clock::Timestamp;
use kit::database;
use kit::database::postgres::{Address, Config, Parameters, Postgres, Transaction};
use kit::health::Check;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Conditions, FINDINGS_MAX, Page, Store, doubled_address};
use crate::model::{Change, Email, Name, User};
use crate::{Error, queries};

mod embedded {
    refinery::embed_migrations!("../../sql/users/migrations/postgres");
}

/// The migrations of this store.
pub(crate) fn migrations() -> refinery::Runner {
    embedded::migrations::runner()
}

/// A store on a server.
pub struct PostgresStore {
    pub(crate) database: Postgres,
}

impl PostgresStore {
    /// Connects, and brings the schema to head.
    ///
    /// # Errors
    ///
    /// As [`Postgres::open`].
    pub async fn open(address: &Address, config: &Config) -> Result<Self, database::Error> {
        Ok(Self { database: Postgres::open(address, "users", &migrations(), config).await? })
    }

    /// Connects for who only looks.
    ///
    /// # Errors
    ///
    /// As [`Postgres::open_as_is`].
    pub async fn open_as_is(address: &Address, config: &Config) -> Result<Self, database::Error> {
        Ok(Self { database: Postgres::open_as_is(address, "users", &migrations(), config).await? })
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn count_users(&self) -> Result<u64, Error> {
        let row = self.database.query_one(queries::count_users.postgres, &[]).await?;
        Ok(row.get::<_, i64>("users").unsigned_abs())
    }

    async fn find_user(&self, id: Uuid) -> Result<Option<User>, Error> {
        Ok(self.database.query_opt(queries::find_user.postgres, &[&id]).await?.map(user))
    }

    async fn list_users(&self, page: Page) -> Result<Vec<User>, Error> {
        let (before, limit) = (page.before.unwrap_or(Uuid::max()), i64::from(page.limit));
        let rows = match page.search {
            None => self.database.query(queries::list_users.postgres, &[&before, &limit]).await?,
            Some(text) => self.database.query(queries::search_users.postgres, &[&before, &text.to_lowercase(), &limit]).await?,
        };
        Ok(rows.into_iter().map(user).collect())
    }

    async fn insert_user(&self, new: User) -> Result<(), Error> {
        let (name, email, key, search) = (new.name.as_str(), new.email.as_str(), new.email.key(), new.search_text());
        let values: Parameters<'_> = &[&new.id, &name, &email, &key, &search, &new.created_at.as_millis()];
        let inserted = self.database.query_opt(queries::insert_user.postgres, values).await?;
        inserted.map(drop).ok_or(Error::EmailTaken)
    }

    async fn update_user(&self, id: Uuid, change: Change, conditions: Conditions, now: Timestamp) -> Result<User, Error> {
        let transaction = self.database.begin().await?;
        let updated = update_user(&transaction, id, change, &conditions, now).await;
        transaction.end(updated).await
    }

    async fn delete_user(&self, id: Uuid, conditions: Conditions) -> Result<(), Error> {
        let transaction = self.database.begin().await?;
        let deleted = delete_user(&transaction, id, &conditions).await;
        transaction.end(deleted).await
    }

    async fn check_invariants(&self) -> Result<Vec<String>, Error> {
        let doubled = self.database.query(queries::list_doubled_addresses.postgres, &[&i64::from(FINDINGS_MAX)]).await?;
        Ok(doubled.iter().map(|row| doubled_address(row.get("email_key"), row.get("users"))).collect())
    }

    async fn check(&self) -> Check {
        self.database.check()
    }
}

/// The user as he may be changed: nobody else changes him until the transaction ends.
async fn lock_user(transaction: &Transaction, id: Uuid, conditions: &Conditions) -> Result<User, Error> {
    let present = transaction.query_opt(queries::lock_user.postgres, &[&id]).await?.map(user).ok_or(Error::NotFound)?;
    if conditions.allow_change(present.version) { Ok(present) } else { Err(Error::PreconditionFailed) }
}

async fn update_user(transaction: &Transaction, id: Uuid, change: Change, conditions: &Conditions, now: Timestamp) -> Result<User, Error> {
    let present = lock_user(transaction, id, conditions).await?;
    let Some(changed) = present.clone().changed(change, now) else { return Ok(present) };
    let (name, email, key, search) = (changed.name.as_str(), changed.email.as_str(), changed.email.key(), changed.search_text());
    let version = i64::try_from(changed.version).map_err(|_| database::Error::Internal("a version beyond measure".to_owned()))?;
    let values: Parameters<'_> = &[&name, &email, &key, &search, &version, &now.as_millis(), &id];
    transaction.query(queries::update_user.postgres, values).await?;
    Ok(changed)
}

async fn delete_user(transaction: &Transaction, id: Uuid, conditions: &Conditions) -> Result<(), Error> {
    lock_user(transaction, id, conditions).await?;
    transaction.query(queries::delete_user.postgres, &[&id]).await?;
    Ok(())
}

fn user(row: Row) -> User {
    User {
        id: row.get("id"),
        name: Name::from_stored(row.get("name")),
        email: Email::from_stored(row.get("email")),
        version: row.get::<_, i64>("version").unsigned_abs(),
        created_at: Timestamp::from_millis(row.get("created_at")),
        updated_at: Timestamp::from_millis(row.get("updated_at")),
    }
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
    async fn an_address_that_is_there_twice_is_told() {
        let (database, store) = store().await;
        let spoil = async |statement: &str| {
            let unbound = "set search_path = users; alter table users drop constraint users_email_key_key";
            database.run(&format!("{unbound}; {statement}"));
        };
        crate::store::contract::an_address_that_is_there_twice_is_told(&store, spoil).await;
    }
}
