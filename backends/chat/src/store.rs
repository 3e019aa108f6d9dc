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

/// Findings of each kind that a check of the invariants tells at most.
const FINDINGS_MAX: u32 = 10;

/// The newest migration that this version knows, the same on each engine.
pub fn newest_migration() -> i32 {
    sqlite::migrations().get_migrations().iter().map(refinery::Migration::version).max().unwrap_or_default()
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

    /// What is stored that must not be, a sentence each; looks at everything, and so takes its time.
    async fn check_invariants(&self) -> Result<Vec<String>, Error>;

    /// How the database is doing.
    async fn check(&self) -> Check;
}

/// A room whose log is not what is promised, as the queries tell it.
struct BrokenRoom {
    room: String,
    head: i64,
    seqs: i64,
    events: i64,
    first: i64,
    last: i64,
}

impl std::fmt::Display for BrokenRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { room, head, seqs, events, first, last } = self;
        write!(f, "room {room}: the head is {head}, the log has {events} events with {seqs} different seq from {first} to {last}")
    }
}

/// What is said of a message that is there more than once.
fn doubled_message(room: &str, sender: &str, client_id: &str, copies: i64) -> String {
    format!("room {room}: the message {client_id} of {sender} is there {copies} times")
}
