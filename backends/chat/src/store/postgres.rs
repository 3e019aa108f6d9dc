//! Rooms in PostgreSQL, schema `chat`.

use std::collections::HashMap;

use async_trait::async_trait;
use kit::clock::Timestamp;
use kit::database::Error;
use kit::database::postgres::{Address, Call, Config, Parameters, Postgres};
use kit::health::Check;
use kit::problem::FieldError;
use tokio_postgres::Row;

use super::{Appended, BrokenRoom, Counts, FINDINGS_MAX, Store, doubled_message};
use crate::model::{ClientId, Draft, Event, Room, RoomName};
use crate::queries;

mod embedded {
    refinery::embed_migrations!("../../sql/chat/migrations/postgres");
}

/// The migrations of this store.
pub(crate) fn migrations() -> refinery::Runner {
    embedded::migrations::runner()
}

/// A store on a server.
pub struct PostgresStore {
    pub(crate) database: Postgres,
    appends_at_once: usize,
}

impl PostgresStore {
    /// Connects, and brings the schema to head.
    ///
    /// # Errors
    ///
    /// As [`Postgres::open`].
    pub async fn open(address: &Address, config: &Config) -> Result<Self, Error> {
        let database = Postgres::open(address, "chat", &migrations(), config).await?;
        Ok(Self::of(database, config))
    }

    /// Connects for who only looks.
    ///
    /// # Errors
    ///
    /// As [`Postgres::open_as_is`].
    pub async fn open_as_is(address: &Address, config: &Config) -> Result<Self, Error> {
        let database = Postgres::open_as_is(address, "chat", &migrations(), config).await?;
        Ok(Self::of(database, config))
    }

    fn of(database: Postgres, config: &Config) -> Self {
        // Half of the connections: the others are for those who read.
        Self { database, appends_at_once: (config.connections_max / 2).max(1) }
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn appends_at_once(&self) -> usize {
        self.appends_at_once
    }

    async fn append_events(&self, room: RoomName, drafts: Vec<Draft>) -> Result<Vec<Appended>, Error> {
        let senders: Vec<&str> = drafts.iter().map(|draft| draft.user.as_str()).collect();
        let ids: Vec<Option<&str>> = drafts.iter().map(|draft| draft.id.as_ref().map(ClientId::as_str)).collect();
        let texts: Vec<&str> = drafts.iter().map(|draft| draft.text.as_str()).collect();
        let times: Vec<i64> = drafts.iter().map(|draft| draft.at.as_millis()).collect();
        let newest = times.last().copied().unwrap_or_default();
        let room = room.as_str();

        // Always made, since nothing may be written that is not under the room's lock: between a look for a room that is not there
        // and the next statement another may make it.
        let make: Call<'_> = (queries::make_room.postgres, &[&room, &newest]);
        let lock: Call<'_> = (queries::lock_room.postgres, &[&room]);
        let append: Call<'_> = (queries::append_events.postgres, &[&room, &senders, &ids, &texts, &times]);
        let mut answers = self.database.pipeline(&[make, lock, append]).await?;
        let appended = answers.pop().unwrap_or_default();
        Ok(appended.iter().map(appended_of).collect())
    }

    async fn list_events_after(&self, room: RoomName, after: u64, limit: u32) -> Result<Vec<Event>, Error> {
        let values: Parameters<'_> = &[&room.as_str(), &bounded(after), &i64::from(limit)];
        let rows = self.database.query(queries::list_events_after.postgres, values).await?;
        rows.iter().map(|row| event(&room, row)).collect()
    }

    async fn list_events_before(&self, room: RoomName, before: Option<u64>, limit: u32) -> Result<Vec<Event>, Error> {
        let values: Parameters<'_> = &[&room.as_str(), &before.map_or(i64::MAX, bounded), &i64::from(limit)];
        let rows = self.database.query(queries::list_events_before.postgres, values).await?;
        rows.iter().rev().map(|row| event(&room, row)).collect()
    }

    async fn list_heads(&self, rooms: Vec<RoomName>) -> Result<Vec<u64>, Error> {
        let names: Vec<&str> = rooms.iter().map(RoomName::as_str).collect();
        let rows = self.database.query(queries::list_heads.postgres, &[&names]).await?;
        let heads: HashMap<&str, u64> = rows.iter().map(|row| (row.get("room"), seq(row, "head"))).collect();
        Ok(names.iter().map(|name| heads.get(name).copied().unwrap_or(0)).collect())
    }

    async fn list_rooms(&self, limit: u32) -> Result<Vec<Room>, Error> {
        let rows = self.database.query(queries::list_rooms.postgres, &[&i64::from(limit)]).await?;
        let room = |row: &Row| {
            let last_at = Timestamp::from_millis(row.get("last_at"));
            Ok(Room { room: name(row, "room")?, head: seq(row, "head"), last_at })
        };
        rows.iter().map(room).collect()
    }

    async fn count_rooms(&self) -> Result<Counts, Error> {
        let row = self.database.query_one(queries::count_rooms.postgres, &[]).await?;
        Ok(Counts { rooms: seq(&row, "rooms"), events: seq(&row, "events") })
    }

    async fn check_invariants(&self) -> Result<Vec<String>, Error> {
        // Of one moment, so that rooms and events fit each other.
        let transaction = self.database.begin_snapshot().await?;
        let looked = async {
            let broken = transaction.query(queries::list_broken_rooms.postgres, &[&i64::from(FINDINGS_MAX)]).await?;
            let doubled = transaction.query(queries::list_doubled_messages.postgres, &[&i64::from(FINDINGS_MAX)]).await?;
            Ok::<_, Error>((broken, doubled))
        };
        let looked = looked.await;
        let (broken, doubled) = transaction.end(looked).await?;
        let doubled =
            doubled.iter().map(|row| doubled_message(row.get("room"), row.get("sender"), row.get("client_id"), row.get("copies")));
        Ok(broken.iter().map(|row| broken_room(row).to_string()).chain(doubled).collect())
    }

    async fn check(&self) -> Check {
        self.database.check()
    }
}

fn broken_room(row: &Row) -> BrokenRoom {
    BrokenRoom {
        room: row.get("room"),
        head: row.get("head"),
        seqs: row.get("seqs"),
        events: row.get("events"),
        first: row.get("first"),
        last: row.get("last"),
    }
}

fn appended_of(row: &Row) -> Appended {
    Appended { seq: seq(row, "seq"), at: Timestamp::from_millis(row.get("at")), duplicate: row.get("is_duplicate") }
}

fn event(room: &RoomName, row: &Row) -> Result<Event, Error> {
    let id = row.get::<_, Option<String>>("client_id").map(ClientId::try_from).transpose().map_err(stored)?;
    let at = Timestamp::from_millis(row.get("at"));
    Ok(Event { room: room.clone(), seq: seq(row, "seq"), user: name(row, "sender")?, id, text: row.get("text"), at })
}

fn seq(row: &Row, column: &str) -> u64 {
    row.get::<_, i64>(column).unsigned_abs()
}

/// A seq as PostgreSQL can hold it; no log is longer.
fn bounded(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn name<T: TryFrom<String, Error = FieldError>>(row: &Row, column: &str) -> Result<T, Error> {
    row.get::<_, String>(column).try_into().map_err(stored)
}

fn stored(error: FieldError) -> Error {
    Error::Internal(format!("a stored name is none: {error}"))
}

#[cfg(test)]
pub(crate) mod tests;
