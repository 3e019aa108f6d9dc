//! SQLite: one file, one writer that groups commits, several readers.
//!
//! The file is in WAL mode with `synchronous=full`: what was answered survives `kill -9` and power loss. One process at a
//! time owns the file; a lock file beside it says so to the second one.

pub mod backup;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tokio::sync::Semaphore;

use super::writer::Writer;
use super::{Error, locked, queries};
use crate::health::Check;

/// Connections that read at the same time.
const READERS: usize = 4;
/// Prepared statements each connection keeps.
const STATEMENTS: usize = 64;
/// Findings that are told at most.
const FINDINGS_MAX: u32 = 10;
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
    reading: Arc<Semaphore>,
    /// Reads for the health check alone.
    probe: Mutex<Connection>,
    /// What was found damaged while running.
    damage: Mutex<Option<String>>,
    /// Held until the last clone is gone; who only looks has none.
    _lock: Option<File>,
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
        Self::start(folder, name, Some(lock), |connection| {
            quick_check(connection)?;
            // Grouped: all missing migrations are one transaction, so one that fails leaves the old state.
            let migrated = refinery::Runner::new(migrations.get_migrations()).set_grouped(true).run(connection);
            migrated.map(drop).map_err(|error| Error::Internal(format!("migrate: {error}")))
        })
    }

    /// Opens `folder/name.db` for who only looks, also while another process has it: nothing is made, locked or migrated. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Sqlite::open`]; `Unavailable` when there is no such file, or it is not at head.
    pub fn open_as_is(folder: &Path, name: &str, migrations: &refinery::Runner) -> Result<Self, Error> {
        let path = folder.join(format!("{name}.db"));
        if !path.exists() {
            return Err(Error::Unavailable(format!("there is no {}", path.display())));
        }
        Self::start(folder, name, None, |connection| {
            let newest = |row: &rusqlite::Row<'_>| row.get::<_, i32>(0);
            let applied = connection.query_row(queries::find_newest_migration.sqlite.text, [], newest)?;
            let known = migrations.get_migrations().iter().map(refinery::Migration::version).max();
            match known {
                Some(known) if known == applied => Ok(()),
                _ => Err(Error::Unavailable("it is not at head: start the system, or run superapp migrate".to_owned())),
            }
        })
    }

    fn start(
        folder: &Path,
        name: &str,
        lock: Option<File>,
        prepare: impl FnOnce(&mut Connection) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let path = folder.join(format!("{name}.db"));
        let open = || -> Result<(Connection, Vec<Connection>), Error> {
            let mut connection = connect(&path)?;
            prepare(&mut connection)?;
            let readers = (0..READERS).map(|_| connect_to_read(&path)).collect::<Result<Vec<_>, Error>>()?;
            Ok((connection, readers))
        };
        let (connection, readers) = open().map_err(|error| at(&path, error))?;
        let shared = Shared {
            path: path.clone(),
            writer: Writer::start(name, connection)?,
            readers: Mutex::new(readers),
            reading: Arc::new(Semaphore::new(READERS)),
            probe: Mutex::new(connect_to_read(&path).map_err(|error| at(&path, error))?),
            damage: Mutex::default(),
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
        let result = self.shared.writer.write(work).await;
        self.shared.note(result)
    }

    /// Runs `work` on a connection that can only read. When the caller goes, the query under way is interrupted.
    ///
    /// # Errors
    ///
    /// What `work` says.
    pub async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        // Held by the work and not by the caller, who may go: the connection is busy until the work is done.
        let permit = self.shared.reading.clone().acquire_owned().await.map_err(|_| Error::Internal("readers are closed".to_owned()))?;
        let shared = self.shared.clone();
        let caller = Caller::default();
        let query = caller.query.clone();
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let connection = shared.reader()?;
            let result = query.run(&connection, work);
            locked(&shared.readers).push(connection);
            shared.note(result)
        });
        read.await.map_err(|error| Error::Internal(format!("read: {error}")))?
    }

    /// Reads every page and every index: what is wrong with them, and which rows refer to rows that are not there.
    ///
    /// # Errors
    ///
    /// When they cannot be read at all.
    pub async fn check_integrity(&self) -> Result<Vec<String>, Error> {
        let check = self.read(|connection| {
            let mut findings = Vec::new();
            connection.pragma(None, "integrity_check", FINDINGS_MAX, |row| {
                let finding: String = row.get(0)?;
                findings.extend((finding != "ok").then_some(finding));
                Ok(())
            })?;
            connection.pragma_query(None, "foreign_key_check", |row| {
                let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
                if findings.len() < FINDINGS_MAX as usize {
                    findings.push(format!("a row of {table} refers to one of {parent} that is not there"));
                }
                Ok(())
            })?;
            Ok(findings)
        });
        check.await
    }

    /// How the database is doing: `fail` when it cannot be read or is damaged, `warn` when it cannot be written.
    pub async fn check(&self) -> Check {
        // A connection of its own, so that a crowd of readers does not make the database look ill.
        let shared = self.shared.clone();
        let look = tokio::task::spawn_blocking(move || schema_version(&locked(&shared.probe)));
        match look.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Check::fail(error.to_string()),
            Err(error) => return Check::fail(error.to_string()),
        }
        if let Some(damage) = locked(&self.shared.damage).clone() {
            return Check::fail(damage);
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

/// Whoever waits for a read. When he goes, so does his query.
#[derive(Default)]
struct Caller {
    query: Arc<Running>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.query.is_unwanted.store(true, Ordering::Release);
        if let Some(handle) = &*locked(&self.query.handle) {
            handle.interrupt();
        }
    }
}

/// A query, from when it is asked for until it is done.
#[derive(Default)]
struct Running {
    is_unwanted: AtomicBool,
    /// Set while the query runs, so that never another one on the same connection is interrupted.
    handle: Mutex<Option<InterruptHandle>>,
}

impl Running {
    fn run<T>(&self, connection: &Connection, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        *locked(&self.handle) = Some(connection.get_interrupt_handle());
        let result = match self.is_unwanted.load(Ordering::Acquire) {
            true => Err(Error::Internal("nobody waits for this read any more".to_owned())),
            false => work(connection),
        };
        *locked(&self.handle) = None;
        result
    }
}

fn schema_version(connection: &Connection) -> Result<i64, Error> {
    Ok(connection.pragma_query_value(None, "schema_version", |row| row.get(0))?)
}

impl Shared {
    /// A reader from the pool, or a new one in place of one that was lost to a panic.
    fn reader(&self) -> Result<Connection, Error> {
        let pooled = locked(&self.readers).pop();
        pooled.map_or_else(|| connect_to_read(&self.path), Ok)
    }

    /// Remembers damage that a work has come upon: the health check looks at one page only.
    fn note<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Damaged(what)) = &result {
            *locked(&self.damage) = Some(format!("database is damaged: {what}"));
        }
        result
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

fn connect_to_read(path: &Path) -> Result<Connection, Error> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
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
