//! Databases: how a store reads and writes, whatever the backend.
//!
//! `sqlite` is one file with one writer and several readers; `postgres` a pool of connections. A store holds one of them; no
//! driver type goes further than a store.

pub mod backup;
pub mod postgres;
mod queries;
pub mod sqlite;
mod writer;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why a database did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Too much is waiting already; nothing was done.
    #[error("too much is waiting already")]
    Busy,
    /// The storage cannot be written or read right now (disk full, file locked, input or output error); nothing was done.
    #[error("storage is unavailable: {0}")]
    Unavailable(String),
    /// The file is damaged or no database.
    #[error("database is damaged: {0}")]
    Damaged(String),
    /// Another process uses the same file.
    #[error("{0}")]
    InUse(String),
    /// A value that must be unique is there already; nothing was done.
    #[error("a value that must be unique is taken")]
    Taken,
    /// A defect of ours.
    #[error("database: {0}")]
    Internal(String),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, PermissionDenied, ReadOnly, SystemIoFailure,
        };
        let text = error.to_string();
        if error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE) {
            return Error::Taken;
        }
        match error.sqlite_error_code() {
            Some(CannotOpen | DatabaseBusy | DatabaseLocked | DiskFull | PermissionDenied | ReadOnly | SystemIoFailure) => {
                Error::Unavailable(text)
            }
            Some(DatabaseCorrupt | NotADatabase) => Error::Damaged(text),
            _ => Error::Internal(text),
        }
    }
}

/// Locks what is whole after every statement made under the lock, so that a panic elsewhere spoils nothing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
