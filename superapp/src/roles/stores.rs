//! The stores of the roles this process plays.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use futures_util::future::OptionFuture;
use kit::database::Error;
use kit::database::postgres::Config;

use crate::roles::Role;
use crate::settings::{Data, Place};

/// How long a look at everything may take.
const LOOKING_MS: u64 = 6 * 60 * 60 * 1000;

/// Open stores; a role that is not played has none.
pub(crate) struct Stores {
    pub(super) users: Option<Arc<dyn users::store::Store>>,
    pub(super) chat: Option<Arc<dyn chat::store::Store>>,
    pub(super) analytics: Option<Arc<dyn analytics::store::Store>>,
}

/// Opens a backend's store where its data is. The backends know nothing of each other, so their stores have no common type.
macro_rules! open {
    ($backend:ident, $how:ident, $place:expr, $config:expr, $is_played:expr) => {
        async {
            if !$is_played {
                return Ok::<Option<Arc<dyn $backend::store::Store>>, anyhow::Error>(None);
            }
            Ok(Some(match &$place {
                Place::Folder(folder) => Arc::new(in_folder(folder, $backend::store::sqlite::SqliteStore::$how).await?),
                Place::Server(address) => Arc::new($backend::store::postgres::PostgresStore::$how(address, $config).await?),
            }))
        }
    };
}

impl Stores {
    /// Opens and migrates them, all at the same time.
    ///
    /// # Errors
    ///
    /// What the first one that failed says: in use, damaged, not writable, not reachable.
    pub(crate) async fn open(data: &Data, role: Role) -> anyhow::Result<Self> {
        let (users, chat, analytics) = tokio::try_join!(
            open!(users, open, data.users, &data.database, role.plays(Role::Users)),
            open!(chat, open, data.chat, &data.database, role.plays(Role::Chat)),
            open!(analytics, open, data.analytics, &data.database, role.plays(Role::Analytics)),
        )?;
        Ok(Self { users, chat, analytics })
    }

    /// Opens them for who only looks, also while others use them; nothing is made or migrated.
    ///
    /// # Errors
    ///
    /// As [`Stores::open`], and what is not at head.
    pub(crate) async fn look(data: &Data, role: Role) -> anyhow::Result<Self> {
        // Whoever looks at everything takes his time.
        let patient = Config { statement_timeout_ms: LOOKING_MS, idle_in_transaction_timeout_ms: LOOKING_MS, ..data.database.clone() };
        let (users, chat, analytics) = tokio::try_join!(
            open!(users, open_as_is, data.users, &patient, role.plays(Role::Users)),
            open!(chat, open_as_is, data.chat, &patient, role.plays(Role::Chat)),
            open!(analytics, open_as_is, data.analytics, &patient, role.plays(Role::Analytics)),
        )?;
        Ok(Self { users, chat, analytics })
    }

    /// What is stored in them that must not be, a sentence each.
    pub(crate) async fn check_invariants(&self) -> anyhow::Result<Vec<String>> {
        let mut findings = Vec::new();
        if let Some(store) = &self.users {
            findings.extend(store.check_invariants().await?);
        }
        if let Some(store) = &self.chat {
            findings.extend(store.check_invariants().await?);
        }
        if let Some(store) = &self.analytics {
            findings.extend(store.check_invariants().await?);
        }
        Ok(findings)
    }

    /// What is in them, in a few words each, for the banner; nothing of one that cannot say so now.
    pub(crate) async fn contents(&self) -> Vec<String> {
        let mut contents = Vec::new();
        if let Some(Ok(count)) = OptionFuture::from(self.users.as_ref().map(|store| store.count_users())).await {
            contents.push(counted(count, "user"));
        }
        if let Some(Ok(counts)) = OptionFuture::from(self.chat.as_ref().map(|store| store.count_rooms())).await {
            contents.push(format!("{} in {}", counted(counts.events, "message"), counted(counts.rooms, "room")));
        }
        if let Some(Ok(count)) = OptionFuture::from(self.analytics.as_ref().map(|store| store.count_events())).await {
            contents.push(counted(count, "event"));
        }
        contents
    }
}

/// Where the backends that `role` plays keep their data, in a few words; nothing where it plays none.
pub(crate) fn places(data: &Data, role: Role) -> String {
    let all = [(Role::Users, &data.users), (Role::Chat, &data.chat), (Role::Analytics, &data.analytics)];
    let mut places: Vec<String> = all.iter().filter(|(played, _)| role.plays(*played)).map(|(_, place)| place.to_string()).collect();
    places.dedup();
    places.join(", ")
}

/// Opening a file blocks.
async fn in_folder<S: Send + 'static>(folder: &Path, open: fn(&Path) -> Result<S, Error>) -> anyhow::Result<S> {
    let folder = folder.to_owned();
    Ok(tokio::task::spawn_blocking(move || open(&folder)).await.context("open a store")??)
}

fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
