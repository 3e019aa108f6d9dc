//! Users in a SQLite file, `users.db`.

use std::path::Path;

use async_trait::async_trait;
use kit::clock::Timestamp;
use kit::database;
use kit::database::sqlite::Sqlite;
use kit::health::Check;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{Conditions, FINDINGS_MAX, Page, Store, doubled_address};
use crate::model::{Change, Email, Name, User};
use crate::{Error, queries};

mod embedded {
    refinery::embed_migrations!("../../sql/users/migrations/sqlite");
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
    /// Opens `users.db` in `folder`, made and migrated where needed. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Sqlite::open`].
    pub fn open(folder: &Path) -> Result<Self, database::Error> {
        Ok(Self { database: Sqlite::open(folder, "users", &migrations())? })
    }

    /// Opens it for who only looks, also while another process has it. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Sqlite::open_as_is`].
    pub fn open_as_is(folder: &Path) -> Result<Self, database::Error> {
        Ok(Self { database: Sqlite::open_as_is(folder, "users", &migrations())? })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn count_users(&self) -> Result<u64, Error> {
        let count = self.database.read(|connection| Ok(connection.query_row(queries::count_users.sqlite.text, [], |row| row.get(0))?));
        Ok(count.await?)
    }

    async fn find_user(&self, id: Uuid) -> Result<Option<User>, Error> {
        Ok(self.database.read(move |connection| find_user(connection, id)).await?)
    }

    async fn list_users(&self, page: Page) -> Result<Vec<User>, Error> {
        let before = page.before.unwrap_or(Uuid::max()).to_string();
        let list = self.database.read(move |connection| match page.search {
            None => {
                let mut statement = connection.prepare_cached(queries::list_users.sqlite.text)?;
                let rows = statement.query_map(params![before, page.limit], user)?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Some(text) => {
                let mut statement = connection.prepare_cached(queries::search_users.sqlite.text)?;
                let rows = statement.query_map(params![before, text.to_lowercase(), page.limit], user)?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
        });
        Ok(list.await?)
    }

    async fn insert_user(&self, new: User) -> Result<(), Error> {
        let inserted = self.database.write(move |connection| {
            let mut statement = connection.prepare_cached(queries::insert_user.sqlite.text)?;
            let values = params![
                new.id.to_string(),
                new.name.as_str(),
                new.email.as_str(),
                new.email.key(),
                new.search_text(),
                new.created_at.as_millis()
            ];
            Ok(statement.exists(values)?)
        });
        if inserted.await? { Ok(()) } else { Err(Error::EmailTaken) }
    }

    async fn update_user(&self, id: Uuid, change: Change, conditions: Conditions, now: Timestamp) -> Result<User, Error> {
        self.database.write(move |connection| update_user(connection, id, change, &conditions, now)).await?
    }

    async fn delete_user(&self, id: Uuid, conditions: Conditions) -> Result<(), Error> {
        let delete = self.database.write(move |connection| {
            let Some(present) = find_user(connection, id)? else { return Ok(Err(Error::NotFound)) };
            if !conditions.allow_change(present.version) {
                return Ok(Err(Error::PreconditionFailed));
            }
            connection.prepare_cached(queries::delete_user.sqlite.text)?.execute([id.to_string()])?;
            Ok(Ok(()))
        });
        delete.await?
    }

    async fn check_invariants(&self) -> Result<Vec<String>, Error> {
        let mut findings = self.database.check_integrity().await?;
        let doubled = self.database.read(|connection| {
            let mut statement = connection.prepare_cached(queries::list_doubled_addresses.sqlite.text)?;
            let rows = statement.query_map([FINDINGS_MAX], |row| Ok(doubled_address(row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        });
        findings.extend(doubled.await?);
        Ok(findings)
    }

    async fn check(&self) -> Check {
        self.database.check().await
    }
}

fn find_user(connection: &Connection, id: Uuid) -> Result<Option<User>, database::Error> {
    Ok(connection.prepare_cached(queries::find_user.sqlite.text)?.query_row([id.to_string()], user).optional()?)
}

fn update_user(
    connection: &Connection,
    id: Uuid,
    change: Change,
    conditions: &Conditions,
    now: Timestamp,
) -> Result<Result<User, Error>, database::Error> {
    let Some(present) = find_user(connection, id)? else { return Ok(Err(Error::NotFound)) };
    if !conditions.allow_change(present.version) {
        return Ok(Err(Error::PreconditionFailed));
    }
    let Some(changed) = present.clone().changed(change, now) else { return Ok(Ok(present)) };
    let values = params![
        changed.name.as_str(),
        changed.email.as_str(),
        changed.email.key(),
        changed.search_text(),
        changed.version,
        now.as_millis(),
        id.to_string()
    ];
    connection.prepare_cached(queries::update_user.sqlite.text)?.execute(values)?;
    Ok(Ok(changed))
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    let id: String = row.get(0)?;
    let id =
        Uuid::parse_str(&id).map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))?;
    Ok(User {
        id,
        name: Name::from_stored(row.get(1)?),
        email: Email::from_stored(row.get(2)?),
        version: row.get(3)?,
        created_at: Timestamp::from_millis(row.get(4)?),
        updated_at: Timestamp::from_millis(row.get(5)?),
    })
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
    async fn an_address_that_is_there_twice_is_told() {
        let (_folder, store) = store();
        let database = store.database.clone();
        let spoil = async |statement: &str| {
            let unbound = "create table copy as select * from users; drop table users; alter table copy rename to users";
            let statements = format!("{unbound}; {statement}");
            database.write(move |connection| Ok(connection.execute_batch(&statements)?)).await.expect("spoilt");
        };
        crate::store::contract::an_address_that_is_there_twice_is_told(&store, spoil).await;
    }
}
