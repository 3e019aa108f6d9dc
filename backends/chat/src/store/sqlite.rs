//! Rooms in a SQLite file, `chat.db`.

use std::collections::HashMap;
use std::path::Path;

use async_trait::async_trait;
use kit::clock::Timestamp;
use kit::database::Error;
use kit::database::sqlite::Sqlite;
use kit::health::Check;
use kit::problem::FieldError;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Appended, BrokenRoom, Counts, FINDINGS_MAX, Store, doubled_message};
use crate::model::{Draft, Event, Room, RoomName};
use crate::queries;

mod embedded {
    refinery::embed_migrations!("../../sql/chat/migrations/sqlite");
}

/// The migrations of this store.
pub(crate) fn migrations() -> refinery::Runner {
    embedded::migrations::runner()
}

/// Appends that arrive together share a commit.
const APPENDS_AT_ONCE: usize = 256;

/// A store in a file.
pub struct SqliteStore {
    database: Sqlite,
}

impl SqliteStore {
    /// Opens `chat.db` in `folder`, made and migrated where needed. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Sqlite::open`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Ok(Self { database: Sqlite::open(folder, "chat", &migrations())? })
    }

    /// Opens it for who only looks, also while another process has it. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Sqlite::open_as_is`].
    pub fn open_as_is(folder: &Path) -> Result<Self, Error> {
        Ok(Self { database: Sqlite::open_as_is(folder, "chat", &migrations())? })
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn appends_at_once(&self) -> usize {
        APPENDS_AT_ONCE
    }

    async fn append_events(&self, _room: RoomName, drafts: Vec<Draft>) -> Result<Vec<Appended>, Error> {
        self.database.write(move |connection| drafts.iter().map(|draft| append_event(connection, draft)).collect()).await
    }

    async fn list_events_after(&self, room: RoomName, after: u64, limit: u32) -> Result<Vec<Event>, Error> {
        let list = self.database.read(move |connection| {
            let mut statement = connection.prepare_cached(queries::list_events_after.sqlite.text)?;
            let rows = statement.query_map(params![room.as_str(), bounded(after), limit], |row| event(&room, row))?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        list.await
    }

    async fn list_events_before(&self, room: RoomName, before: Option<u64>, limit: u32) -> Result<Vec<Event>, Error> {
        let list = self.database.read(move |connection| {
            let mut statement = connection.prepare_cached(queries::list_events_before.sqlite.text)?;
            let before = before.map_or(i64::MAX, bounded);
            let rows = statement.query_map(params![room.as_str(), before, limit], |row| event(&room, row))?;
            let mut events = rows.collect::<Result<Vec<_>, _>>()?;
            events.reverse();
            Ok(events)
        });
        list.await
    }

    async fn list_heads(&self, rooms: Vec<RoomName>) -> Result<Vec<u64>, Error> {
        let list = self.database.read(move |connection| {
            let mut statement = connection.prepare_cached(queries::list_heads.sqlite.text)?;
            let names = serde_json::to_string(&rooms).expect("names always serialize");
            let heads = statement.query_map([names], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let heads: HashMap<String, u64> = heads.collect::<Result<_, _>>()?;
            Ok(rooms.iter().map(|room| heads.get(room.as_str()).copied().unwrap_or(0)).collect())
        });
        list.await
    }

    async fn list_rooms(&self, limit: u32) -> Result<Vec<Room>, Error> {
        let list = self.database.read(move |connection| {
            let mut statement = connection.prepare_cached(queries::list_rooms.sqlite.text)?;
            let rows = statement.query_map([limit], |row| {
                Ok(Room { room: name(row, 0)?, head: row.get(1)?, last_at: Timestamp::from_millis(row.get(2)?) })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        list.await
    }

    async fn count_rooms(&self) -> Result<Counts, Error> {
        let count = |row: &Row<'_>| Ok(Counts { rooms: row.get(0)?, events: row.get(1)? });
        self.database.read(move |connection| Ok(connection.query_row(queries::count_rooms.sqlite.text, [], count)?)).await
    }

    async fn check_invariants(&self) -> Result<Vec<String>, Error> {
        let mut findings = self.database.check_integrity().await?;
        findings.extend(self.database.read(broken_promises).await?);
        Ok(findings)
    }

    async fn check(&self) -> Check {
        self.database.check().await
    }
}

/// Of one moment, so that rooms and events fit each other.
fn broken_promises(connection: &Connection) -> Result<Vec<String>, Error> {
    let transaction = connection.unchecked_transaction()?;
    let mut broken = transaction.prepare_cached(queries::list_broken_rooms.sqlite.text)?;
    let room = |row: &Row<'_>| {
        let (room, head, seqs) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(BrokenRoom { room, head, seqs, events: row.get(3)?, first: row.get(4)?, last: row.get(5)? }.to_string())
    };
    let broken = broken.query_map([FINDINGS_MAX], room)?.collect::<Result<Vec<_>, _>>()?;
    let mut doubled = transaction.prepare_cached(queries::list_doubled_messages.sqlite.text)?;
    let message = |row: &Row<'_>| {
        let (room, sender, client_id): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(doubled_message(&room, &sender, &client_id, row.get(3)?))
    };
    let doubled = doubled.query_map([FINDINGS_MAX], message)?.collect::<Result<Vec<_>, _>>()?;
    Ok([broken, doubled].concat())
}

/// Gives a draft its `seq`, unless it has one. Under the single writer, so nothing comes between the statements.
fn append_event(connection: &Connection, draft: &Draft) -> Result<Appended, Error> {
    let (room, user, id) = (draft.room.as_str(), draft.user.as_str(), draft.id.as_ref().map(|id| id.as_str()));
    if id.is_some() {
        let mut find = connection.prepare_cached(queries::find_sent.sqlite.text)?;
        let sent = |row: &Row<'_>| Ok(Appended { seq: row.get(0)?, at: Timestamp::from_millis(row.get(1)?), duplicate: true });
        if let Some(sent) = find.query_row(params![room, user, id], sent).optional()? {
            return Ok(sent);
        }
    }
    let at = draft.at.as_millis();
    let mut advance = connection.prepare_cached(queries::advance_room.sqlite.text)?;
    let seq: u64 = advance.query_row(params![room, at], |row| row.get(0))?;
    let mut insert = connection.prepare_cached(queries::insert_event.sqlite.text)?;
    insert.execute(params![room, seq, "message", user, id, draft.text, at])?;
    Ok(Appended { seq, at: draft.at, duplicate: false })
}

/// A seq as SQLite can hold it; no log is longer.
fn bounded(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn event(room: &RoomName, row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        room: room.clone(),
        seq: row.get(0)?,
        user: name(row, 1)?,
        id: row.get::<_, Option<String>>(2)?.map(|id| id.try_into().map_err(|error| stored(2, error))).transpose()?,
        text: row.get(3)?,
        at: Timestamp::from_millis(row.get(4)?),
    })
}

fn name<T: TryFrom<String, Error = FieldError>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get::<_, String>(column)?.try_into().map_err(|error| stored(column, error))
}

fn stored(column: usize, error: FieldError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.detail.into())
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
    async fn a_log_that_is_not_what_is_promised_is_told() {
        let (_folder, store) = store();
        let database = store.database.clone();
        let spoil = async |statements: &str| {
            let statements = format!("drop index events_by_client_id; {statements}");
            database.write(move |connection| Ok(connection.execute_batch(&statements)?)).await.expect("spoilt");
        };
        crate::store::contract::a_log_that_is_not_what_is_promised_is_told(std::sync::Arc::new(store), spoil).await;
    }
}
