//! The stores of the roles this process plays.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::roles::Role;

/// Open stores; a role that is not played has none.
pub(crate) struct Stores {
    pub(super) users: Option<Arc<users::store::sqlite::SqliteStore>>,
    pub(super) chat: Option<Arc<chat::store::sqlite::SqliteStore>>,
    pub(super) analytics: Option<Arc<analytics::store::sqlite::SqliteStore>>,
}

impl Stores {
    /// Opens and migrates them, all at the same time.
    ///
    /// # Errors
    ///
    /// What the first one that failed says: in use, damaged, not writable.
    pub(crate) async fn open(folder: &Path, role: Role) -> anyhow::Result<Self> {
        let (users, chat, analytics) = tokio::try_join!(
            open(folder, role.plays(Role::Users), users::store::sqlite::SqliteStore::open),
            open(folder, role.plays(Role::Chat), chat::store::sqlite::SqliteStore::open),
            open(folder, role.plays(Role::Analytics), analytics::store::sqlite::SqliteStore::open),
        )?;
        Ok(Self { users, chat, analytics })
    }

    /// What is in them, in a few words each, for the banner.
    pub(crate) async fn contents(&self) -> anyhow::Result<Vec<String>> {
        let mut contents = Vec::new();
        if let Some(store) = &self.users {
            let count = users::store::Store::count_users(store.as_ref()).await.context("count users")?;
            contents.push(counted(count, "user"));
        }
        if let Some(store) = &self.chat {
            let counts = chat::store::Store::count_rooms(store.as_ref()).await.context("count rooms")?;
            contents.push(format!("{} in {}", counted(counts.events, "message"), counted(counts.rooms, "room")));
        }
        if let Some(store) = &self.analytics {
            let count = analytics::store::Store::count_events(store.as_ref()).await.context("count events")?;
            contents.push(counted(count, "event"));
        }
        Ok(contents)
    }
}

async fn open<S: Send + 'static>(
    folder: &Path,
    is_played: bool,
    open: fn(&Path) -> Result<S, kit::database::Error>,
) -> anyhow::Result<Option<Arc<S>>> {
    if !is_played {
        return Ok(None);
    }
    let folder = folder.to_owned();
    let store = tokio::task::spawn_blocking(move || open(&folder)).await.context("open a store")??;
    Ok(Some(Arc::new(store)))
}

fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
