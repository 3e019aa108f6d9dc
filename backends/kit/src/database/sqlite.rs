//! SQLite: one file, one writer that groups commits, several readers.
//!
//! The file is in WAL mode with `synchronous=full`: what was answered survives `kill -9` and power loss. One process at a
//! time owns the file; a lock file beside it says so to the second one.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::Error;
use super::writer::Writer;
use crate::health::Check;

/// Connections that read at the same time.
const READERS: usize = 4;
/// Prepared statements each connection keeps.
const STATEMENTS: usize = 64;
/// How long the look at an old file may take at start; what is not seen by then is trusted.
const QUICK_CHECK_STEPS: i32 = 2_000_000;

/// An open SQLite database; clones share it.
#[derive(Clone)]
pub struct Sqlite {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    reading: Semaphore,
    /// Held until the last clone is gone.
    _lock: File,
}

impl Sqlite {
    /// Opens `folder/name.db` (both are made when missing), locks it, looks it over and migrates it. Blocks.
    ///
    /// # Errors
    ///
    /// `InUse` when another process has it, `Unavailable` when the folder cannot be written, `Damaged` when the file is no
    /// sound database, `Internal` when a migration fails; the old state is kept then.
    pub fn open(folder: &Path, name: &str, migrations: &refinery::Runner) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|error| Error::Unavailable(format!("create {}: {error}", folder.display())))?;
        let lock = lock(folder, name)?;
        let path = folder.join(format!("{name}.db"));
        let open = || -> Result<(Connection, Vec<Connection>), Error> {
            let mut connection = connect(&path)?;
            quick_check(&mut connection)?;
            // Grouped: all missing migrations are one transaction, so one that fails leaves the old state.
            let migrated = refinery::Runner::new(migrations.get_migrations()).set_grouped(true).run(&mut connection);
            migrated.map_err(|error| Error::Internal(format!("migrate: {error}")))?;
            let readers = (0..READERS)
                .map(|_| {
                    let reader = connect(&path)?;
                    reader.pragma_update(None, "query_only", true)?;
                    Ok(reader)
                })
                .collect::<Result<Vec<_>, Error>>()?;
            Ok((connection, readers))
        };
        let (connection, readers) = open().map_err(|error| at(&path, error))?;
        let shared = Shared {
            path,
            writer: Writer::start(name, connection)?,
            readers: Mutex::new(readers),
            reading: Semaphore::new(READERS),
            _lock: lock,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Runs `work` as one transaction of its own and answers after it is on disk.
    ///
    /// Works that arrive together share one commit; an error of one undoes that one alone.
    ///
    /// # Errors
    ///
    /// What `work` says, `Busy` when too much waits, `Unavailable` when the commit fails.
    pub async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.shared.writer.write(work).await
    }

    /// Runs `work` on a connection that can only read.
    ///
    /// # Errors
    ///
    /// What `work` says.
    pub async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let shared = self.shared.clone();
        let _permit = self.shared.reading.acquire().await.map_err(|_| Error::Internal("readers are closed".to_owned()))?;
        let read = tokio::task::spawn_blocking(move || {
            let connection = shared.reader()?;
            let result = work(&connection);
            shared.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            result
        });
        read.await.map_err(|error| Error::Internal(format!("read: {error}")))?
    }

    /// How the database is doing: `fail` when it cannot be read, `warn` when it can be read but not written.
    pub async fn check(&self) -> Check {
        if let Err(error) = self.read(schema_version).await {
            return Check::fail(error.to_string());
        }
        if self.shared.writer.trouble().is_none() {
            return Check::pass();
        }
        // The last commit failed. Whether that is over shows only by writing: the same number once more.
        let again = self.write(|connection| {
            let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok(connection.pragma_update(None, "user_version", version)?)
        });
        match again.await {
            Ok(()) => Check::pass(),
            Err(error) => Check::warn(format!("cannot write: {error}")),
        }
    }
}

fn schema_version(connection: &Connection) -> Result<i64, Error> {
    Ok(connection.pragma_query_value(None, "schema_version", |row| row.get(0))?)
}

impl Shared {
    /// A reader from the pool, or a new one in place of one that was lost to a panic.
    fn reader(&self) -> Result<Connection, Error> {
        let pooled = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.map_or_else(|| connect(&self.path), Ok)
    }
}

fn lock(folder: &Path, name: &str) -> Result<File, Error> {
    let path = folder.join(format!("{name}.lock"));
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| Error::Unavailable(format!("write {}: {error}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(format!(
            "another process already runs {name} on {}: stop it, or give this one another folder with --set data_dir=PATH",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(Error::Unavailable(format!("lock {}: {error}", path.display()))),
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Looks the file over, within a bound, so that damage is told at start and not by the first unlucky request.
fn quick_check(connection: &mut Connection) -> Result<(), Error> {
    connection.progress_handler(QUICK_CHECK_STEPS, Some(|| true))?;
    let verdict = connection.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(finding) => Err(Error::Damaged(finding)),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Adds the file to what is said of an error at start.
fn at(path: &Path, error: Error) -> Error {
    let path = path.display();
    match error {
        Error::Damaged(what) => Error::Damaged(format!("{path}: {what}; move the file away to start anew, or put a backup in its place")),
        Error::Unavailable(what) => Error::Unavailable(format!("{path}: {what}")),
        Error::Internal(what) => Error::Internal(format!("{path}: {what}")),
        other => other,
    }
}

#[cfg(test)]
mod tests;
