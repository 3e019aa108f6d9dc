//! What can be asked of the events that are stored. `sqlite` keeps them in a file, `postgres` on a server; `contract` tests each
//! store.

#[cfg(test)]
mod contract;
mod counts;
mod group;
pub mod postgres;
pub mod sqlite;

use async_trait::async_trait;
use kit::clock::Timestamp;
use kit::health::Check;
use serde::Serialize;

use crate::Error;
use crate::model::{Event, minute_of, minutes_before};

use counts::Counts;

/// Names in a summary's totals at most.
pub const TOTALS_MAX: u32 = 100;
/// Minutes in a summary, the present one included.
pub const MINUTES: u32 = 15;
/// Minutes that make a name hot, the present one included.
pub const HOT_MINUTES: u32 = 5;
/// Hot names in a summary at most.
pub const HOT_MAX: u32 = 10;

/// What became of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inserted {
    /// Events that are new.
    pub accepted: u64,
    /// Events whose id was stored before, or came earlier in the same batch.
    pub duplicates: u64,
}

impl Inserted {
    /// Tells the metrics what became of a body or of a batch from the bus.
    pub(crate) fn count(self, rejected: usize) {
        metrics::counter!("analytics_events_accepted_total").increment(self.accepted);
        metrics::counter!("analytics_events_duplicate_total").increment(self.duplicates);
        metrics::counter!("analytics_events_rejected_total").increment(rejected as u64);
    }
}

/// How many events there are of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NameCount {
    /// The name.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// How much there is, and what happens right now; of one moment, so that the numbers fit each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// All events.
    pub events: u64,
    /// The [`TOTALS_MAX`] names with the most events, the most first.
    pub by_name: Vec<NameCount>,
    /// How many events happened in each of the last [`MINUTES`] minutes, oldest first.
    pub minutes: Vec<(Timestamp, u64)>,
    /// The [`HOT_MAX`] names with the most events in the last [`HOT_MINUTES`] minutes, the most first.
    pub hot: Vec<NameCount>,
}

/// The beginnings of the first and the last of so many minutes, of which the last is that of `now`.
fn span(now: Timestamp, minutes: u32) -> (i64, i64) {
    let last = minute_of(now);
    (minutes_before(last, minutes - 1).as_millis(), last.as_millis())
}

/// Findings of each kind that a check of the invariants tells at most.
const FINDINGS_MAX: u32 = 10;

/// The newest migration that this version knows, the same on each engine.
pub fn newest_migration() -> i32 {
    sqlite::migrations().get_migrations().iter().map(refinery::Migration::version).max().unwrap_or_default()
}

/// Where events are kept. Each method is one transaction.
#[async_trait]
pub trait Store: Send + Sync {
    /// How many there are.
    async fn count_events(&self) -> Result<u64, Error>;

    /// Keeps those that are new, and counts them; all of them or, when it fails, none.
    async fn insert_events(&self, events: Vec<Event>, now: Timestamp) -> Result<Inserted, Error>;

    /// How much there is, and what happens at `now`. Reads counts, never events.
    async fn summary(&self, now: Timestamp) -> Result<Summary, Error>;

    /// What is stored that must not be, a sentence each; looks at everything, and so takes its time.
    async fn check_invariants(&self) -> Result<Vec<String>, Error>;

    /// How the database is doing.
    async fn check(&self) -> Check;
}

/// What is said of a total that is not what is there; the name '' stands for all of them.
fn miscounted_name(name: &str, events: i64, total: i64) -> String {
    format!("{}: there are {events}, and {total} are counted", events_called(name))
}

/// The same of a minute.
fn miscounted_minute(minute: i64, name: &str, events: i64, count: i64) -> String {
    let minute = Timestamp::from_millis(minute);
    format!("{} in the minute of {minute}: there are {events}, and {count} are counted", events_called(name))
}

fn events_called(name: &str) -> String {
    if name.is_empty() { "all events".to_owned() } else { format!("events {name}") }
}
