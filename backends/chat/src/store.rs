//! What can be asked of the rooms' logs. `sqlite` keeps them in a file, `postgres` on a server; `contract` tests each
//! store.

#[cfg(test)]
pub(crate) mod contract;
pub mod postgres;
pub mod sqlite;

use async_trait::async_trait;
use kit::clock::Timestamp;
use kit::database::Error;
use kit::health::Check;

use crate::model::{Draft, Event, Room, RoomName};

/// What became of a draft.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Appended {
    /// Its place in the room's log.
    pub seq: u64,
    /// When it was first sent.
    pub at: Timestamp,
    /// It was there already, under the same room, user and client id.
    pub duplicate: bool,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Rooms in which something was ever said.
    pub rooms: u64,
    /// Events in all of them.
    pub events: u64,
}

/// Where the logs are kept. Each method is one transaction.
#[async_trait]
pub trait Store: Send + Sync {
    /// How many calls of [`Store::append_events`] at the same time do it good, each of another room.
    fn appends_at_once(&self) -> usize;

    /// Writes drafts into the log of their room, in order, and gives each the next `seq`. All or none.
    ///
    /// The answers are in the order of the drafts and come after the commit. A draft that was sent before, in the log or earlier
    /// among these, has the place of the first.
    async fn append_events(&self, room: RoomName, drafts: Vec<Draft>) -> Result<Vec<Appended>, Error>;

    /// The first `limit` events of a room after `after`, ascending.
    async fn list_events_after(&self, room: RoomName, after: u64, limit: u32) -> Result<Vec<Event>, Error>;

    /// The last `limit` events of a room before `before` (or of all), ascending.
    async fn list_events_before(&self, room: RoomName, before: Option<u64>, limit: u32) -> Result<Vec<Event>, Error>;

    /// The seq of the newest event of each of these rooms, in their order; 0 where nothing was ever said.
    async fn list_heads(&self, rooms: Vec<RoomName>) -> Result<Vec<u64>, Error>;

    /// The `limit` rooms in which something was said last.
    async fn list_rooms(&self, limit: u32) -> Result<Vec<Room>, Error>;

    /// How much there is.
    async fn count_rooms(&self) -> Result<Counts, Error>;

    /// How the database is doing.
    async fn check(&self) -> Check;
}
