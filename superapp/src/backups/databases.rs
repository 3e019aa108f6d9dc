//! The backends' databases, whichever engine each is on.

use std::path::Path;

use anyhow::{Context, bail};
use kit::database::backup::Contents;
use kit::database::postgres::backup::{self as postgres, Versions};
use kit::database::postgres::{Address, Config};
use kit::database::sqlite::backup as sqlite;

use super::manifest::{Engine, Entry};
use super::refuse;
use crate::roles::Role;
use crate::settings::{Data, Place};

/// A backend's database.
pub(crate) struct Database {
    pub(crate) backend: &'static str,
    /// Who keeps it.
    pub(crate) role: Role,
    place: Place,
    /// The newest migration that this version knows.
    newest: i32,
    config: Config,
}

impl Database {
    /// Those of all backends.
    pub(crate) fn all(data: &Data) -> [Database; 3] {
        let database = |backend, role, place: &Place, newest| {
            let (place, config) = (place.clone(), data.database.clone());
            Database { backend, role, place, newest, config }
        };
        [
            database("users", Role::Users, &data.users, users::store::newest_migration()),
            database("chat", Role::Chat, &data.chat, chat::store::newest_migration()),
            database("analytics", Role::Analytics, &data.analytics, analytics::store::newest_migration()),
        ]
    }

    /// Copies it into `folder`, while others write to it.
    pub(crate) async fn copy_to(&self, folder: &Path) -> anyhow::Result<Entry> {
        self.copy(folder).await.with_context(|| format!("back up {}", self.backend))
    }

    async fn copy(&self, folder: &Path) -> anyhow::Result<Entry> {
        let (contents, engine) = match &self.place {
            Place::Folder(from) => {
                let (from, backend, to) = (from.clone(), self.backend, folder.join(Engine::Sqlite.file(self.backend)));
                (blocking(move || sqlite::copy(&from, backend, &to)).await?, Engine::Sqlite)
            }
            Place::Server(address) => {
                let to = folder.join(Engine::Postgresql { server: 0, pg_dump: 0 }.file(self.backend));
                let (contents, versions) = postgres::dump(address, self.backend, &self.config, &to).await?;
                (contents, versions.into())
            }
        };
        let (folder, backend) = (folder.to_owned(), self.backend);
        blocking(move || Entry::describe(&folder, backend, engine, contents)).await
    }

    /// What is in it now; it may be in use.
    pub(crate) async fn contents(&self) -> anyhow::Result<Contents> {
        Ok(match &self.place {
            Place::Folder(folder) => {
                let (folder, backend) = (folder.clone(), self.backend);
                blocking(move || sqlite::contents(&folder, backend)).await?
            }
            Place::Server(address) => postgres::contents(address, self.backend, &self.config).await?,
        })
    }

    /// Where it is, in a few words.
    pub(crate) fn place(&self) -> String {
        match &self.place {
            Place::Folder(folder) => folder.join(Engine::Sqlite.file(self.backend)).display().to_string(),
            Place::Server(address) => format!("schema {} of {address}", self.backend),
        }
    }

    /// The part of a backup that is this one's, if it can be put here.
    pub(crate) fn entry<'a>(&self, entries: &'a [Entry]) -> anyhow::Result<&'a Entry> {
        let backend = self.backend;
        let Some(entry) = entries.iter().find(|entry| entry.backend == backend) else {
            bail!("the backup has no {backend}");
        };
        let here = match self.place {
            Place::Folder(_) => "SQLite",
            Place::Server(_) => "PostgreSQL",
        };
        let there = entry.engine.name();
        if here != there {
            return Err(refuse(format!("{backend}: the backup is of {there}, and here {backend} are kept in {here}")));
        }
        self.must_know(entry)?;
        Ok(entry)
    }

    /// A newer version may have changed what this one does not know of.
    pub(crate) fn must_know(&self, entry: &Entry) -> anyhow::Result<()> {
        let (backend, newest) = (self.backend, self.newest);
        match &entry.migration {
            Some(migration) if migration.version > newest => {
                let (version, name) = (migration.version, &migration.name);
                Err(refuse(format!(
                    "{backend}: the backup has migration V{version}__{name}, this superapp knows none beyond {newest}: take a newer superapp"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Takes it out of use, to put another in its place.
    pub(crate) async fn begin_restore(&self) -> anyhow::Result<Restoring> {
        Ok(match &self.place {
            Place::Folder(folder) => {
                let (folder, backend) = (folder.clone(), self.backend);
                Restoring::Sqlite(blocking(move || sqlite::Restore::begin(&folder, backend)).await?)
            }
            Place::Server(address) => begin_on_server(address, self.backend, &self.config).await?,
        })
    }
}

async fn begin_on_server(address: &Address, backend: &'static str, config: &Config) -> anyhow::Result<Restoring> {
    Ok(Restoring::Postgres(Box::new(postgres::Restore::begin(address, backend, config).await?)))
}

/// A database that is being put back. Of each step, all databases are through it before the next.
pub(crate) enum Restoring {
    Sqlite(sqlite::Restore),
    Postgres(Box<postgres::Restore>),
}

impl Restoring {
    /// How many rows are there now, where that can still be told; none where there is nothing.
    pub(crate) async fn rows(&self) -> Option<u64> {
        let present = match self {
            Restoring::Sqlite(restore) => tokio::task::block_in_place(|| restore.present()),
            Restoring::Postgres(restore) => restore.present().await,
        };
        match present {
            Ok(contents) => Some(contents.map_or(0, |contents| contents.rows_in_all())),
            Err(_) => None,
        }
    }

    /// Does all that can be done without touching what is there.
    pub(crate) async fn prepare(&mut self, file: &Path, entry: &Entry) -> anyhow::Result<()> {
        match (self, entry.engine) {
            (Restoring::Sqlite(restore), _) => Ok(tokio::task::block_in_place(|| restore.prepare(file))?),
            (Restoring::Postgres(restore), Engine::Postgresql { server, pg_dump }) => {
                Ok(restore.prepare(file, Versions { server, tool: pg_dump }).await?)
            }
            (Restoring::Postgres(_), Engine::Sqlite) => bail!("a file of SQLite is nothing for PostgreSQL"),
        }
    }

    /// Moves what is there out of the way, and puts the backup in its place.
    pub(crate) async fn put(&mut self, file: &Path, entry: &Entry, aside: &str) -> anyhow::Result<()> {
        match self {
            Restoring::Sqlite(restore) => Ok(tokio::task::block_in_place(|| restore.put(aside))?),
            Restoring::Postgres(restore) => Ok(restore.put(file, &aside.replace('-', "_"), &entry.contents()).await?),
        }
    }

    /// Brings back what was there.
    pub(crate) async fn undo(&mut self) -> anyhow::Result<()> {
        match self {
            Restoring::Sqlite(restore) => Ok(tokio::task::block_in_place(|| restore.undo())?),
            Restoring::Postgres(restore) => Ok(restore.undo().await?),
        }
    }
}

/// What is in a file of SQLite.
pub(crate) async fn look_into_file(path: &Path) -> anyhow::Result<Contents> {
    let path = path.to_owned();
    blocking(move || sqlite::look_into(&path)).await
}

/// What is in a file of pg_dump, which is read to its end.
pub(crate) async fn look_into_dump(path: &Path, entry: &Entry) -> anyhow::Result<Contents> {
    let Engine::Postgresql { server, pg_dump } = entry.engine else { bail!("{} is no file of pg_dump", entry.file) };
    Ok(postgres::look_into(path, Versions { server, tool: pg_dump }).await?)
}

/// What blocks, beside what does not.
pub(crate) async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> anyhow::Result<T>
where
    T: Send + 'static,
    E: Into<anyhow::Error> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.context("a task ended")?.map_err(Into::into)
}
