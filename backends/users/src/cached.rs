//! Users by id, through the cache: what it knows is not asked of the database again.
//!
//! The cache keeps the JSON as it is sent. It is filled on read and on every change, not for a new user, whom nobody may ask for; a deleted user leaves `Gone` behind, so
//! that a reader who looked before the deletion cannot bring him back. Who misses at the same time shares one read of the
//! database; a reader who comes after a change never joins a read from before it.

use std::sync::Arc;

use bytes::Bytes;
use kit::cache::{Cache, Entry};
use kit::health::Check;
use uuid::Uuid;

use crate::Error;
use crate::flights::Flights;
use crate::model::User;
use crate::store::Store;

/// Nobody knows whether a change was made. It is newer than any row, so that none from before is kept or served until it has
/// passed; a row has some text.
const IN_DOUBT: Entry = Entry::Row { version: u64::MAX, value: Bytes::new() };

/// The way to single users.
#[derive(Clone)]
pub(crate) struct CachedUsers {
    store: Arc<dyn Store>,
    cache: Arc<dyn Cache>,
    flights: Flights,
}

/// A user as sent: JSON with a newline at its end, and the version for the ETag.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    pub(crate) id: Uuid,
    pub(crate) version: u64,
    pub(crate) json: Bytes,
}

impl View {
    /// The user as sent.
    pub(crate) fn of(user: &User) -> Result<Self, Error> {
        let mut json = serde_json::to_vec(user).map_err(|error| kit::database::Error::Internal(format!("write user: {error}")))?;
        json.push(b'\n');
        Ok(View { id: user.id, version: user.version, json: Bytes::from(json) })
    }

    fn entry(&self) -> Entry {
        Entry::Row { version: self.version, value: self.json.clone() }
    }
}

impl CachedUsers {
    pub(crate) fn new(store: Arc<dyn Store>, cache: Arc<dyn Cache>) -> Self {
        Self { store, cache, flights: Flights::default() }
    }

    /// The user with this id, from the cache or else from the store.
    pub(crate) async fn get(&self, id: Uuid) -> Result<View, Error> {
        let kept = self.find(id).await;
        metrics::counter!("users_cache_lookups_total", "result" => if kept.is_some() { "hit" } else { "miss" }).increment(1);
        match kept {
            Some(kept) => kept,
            None => self.flights.join(id, self.clone().read(id)).await,
        }
    }

    /// What the cache knows of him.
    async fn find(&self, id: Uuid) -> Option<Result<View, Error>> {
        match self.cache.get(&key(id)).await? {
            entry if entry == IN_DOUBT => None,
            Entry::Row { version, value } => Some(Ok(View { id, version, json: value })),
            Entry::Gone => Some(Err(Error::NotFound)),
        }
    }

    async fn read(self, id: Uuid) -> Result<View, Error> {
        // Since this reader has looked, the read of another may have ended.
        if let Some(kept) = self.find(id).await {
            return kept;
        }
        let user = self.store.find_user(id).await?.ok_or(Error::NotFound)?;
        let view = View::of(&user)?;
        self.cache.fill(&key(id), view.entry()).await;
        Ok(view)
    }

    /// Keeps a user who was written, and returns how he is sent.
    pub(crate) async fn keep(&self, user: &User) -> Result<View, Error> {
        self.flights.detach(user.id);
        let view = View::of(user)?;
        self.cache.put(&key(user.id), view.entry()).await;
        Ok(view)
    }

    /// How the cache is doing.
    pub(crate) fn check(&self) -> Check {
        self.cache.check()
    }

    /// Notes what became of a change, and returns how he is sent then.
    pub(crate) async fn changed(&self, id: Uuid, outcome: Result<User, Error>) -> Result<View, Error> {
        match outcome {
            Ok(user) => self.keep(&user).await,
            Err(error) => Err(self.not_changed(id, error).await),
        }
    }

    /// Notes what became of a deletion.
    pub(crate) async fn deleted(&self, id: Uuid, outcome: Result<(), Error>) -> Result<(), Error> {
        match outcome {
            Ok(()) => {
                self.flights.detach(id);
                self.cache.put(&key(id), Entry::Gone).await;
                Ok(())
            }
            Err(error) => Err(self.not_changed(id, error).await),
        }
    }

    /// What failed may have been made all the same, when only the answer was lost.
    async fn not_changed(&self, id: Uuid, error: Error) -> Error {
        self.flights.detach(id);
        match &error {
            // Ids never come back. Only who is kept is marked, or strangers could fill the cache with ids that are nobody's.
            Error::NotFound if self.cache.get(&key(id)).await.is_some() => self.cache.put(&key(id), Entry::Gone).await,
            Error::Store(kit::database::Error::Busy) => {}
            Error::Store(_) => self.cache.put(&key(id), IN_DOUBT).await,
            _ => {}
        }
        error
    }
}

fn key(id: Uuid) -> String {
    format!("users:{id}")
}

#[cfg(test)]
mod tests;
