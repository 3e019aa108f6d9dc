//! A file of SQLite copied while another process writes to it, and put back while none does. All of it blocks.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::database::backup::{Contents, Error, Migration};
use crate::database::{self, queries};

/// The files that belong to a database: its own, and those that SQLite keeps beside it.
const ENDINGS: [&str; 3] = ["db", "db-wal", "db-shm"];

/// Copies `folder/name.db` into the new file `to`, as it is at this moment. Who writes to it is not held up, but its log grows
/// until the copy is done.
///
/// # Errors
///
/// `Refused` when there is no such database, `Database` when it cannot be read or `to` not be written.
pub fn copy(folder: &Path, name: &str, to: &Path) -> Result<Contents, Error> {
    let connection = open(folder, name)?;
    let path = to.to_str().ok_or_else(|| Error::Refused(format!("{}: the name is not UTF-8", to.display())))?;
    connection.execute(queries::copy_database.sqlite.text, [path]).map_err(|error| named(to, error))?;
    sync(to)?;
    look_into(to)
}

/// What is in `folder/name.db`, which may be in use.
///
/// # Errors
///
/// As [`copy`].
pub fn contents(folder: &Path, name: &str) -> Result<Contents, Error> {
    let path = file(folder, name, ENDINGS[0]);
    read(&open(folder, name)?, &path)
}

/// What is in a copy.
///
/// # Errors
///
/// `Database` when it is damaged or cannot be read.
pub fn look_into(copy: &Path) -> Result<Contents, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    read(&Connection::open_with_flags(copy, flags).map_err(|error| named(copy, error))?, copy)
}

/// A database on its way back. Nobody else can use the folder's `name` while this is there.
pub struct Restore {
    folder: PathBuf,
    name: String,
    _lock: File,
    /// Files that were moved: from where, to where.
    moved: Vec<(PathBuf, PathBuf)>,
}

impl Restore {
    /// Takes the lock.
    ///
    /// # Errors
    ///
    /// `Refused` when a process serves the database.
    pub fn begin(folder: &Path, name: &str) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(|error| io_failed("create", folder, &error))?;
        let lock = super::lock(folder, name).map_err(|error| match error {
            database::Error::InUse(_) => Error::Refused(format!("a process serves {name} from {}: stop it first", folder.display())),
            other => other.into(),
        })?;
        give_to_owner_of(folder, &file(folder, name, "lock"));
        Ok(Self { folder: folder.to_owned(), name: name.to_owned(), _lock: lock, moved: Vec::new() })
    }

    /// What is there now; nothing where there is no file.
    ///
    /// # Errors
    ///
    /// As [`contents`].
    pub fn present(&self) -> Result<Option<Contents>, Error> {
        if !self.file("db").exists() {
            return Ok(None);
        }
        contents(&self.folder, &self.name).map(Some)
    }

    /// Brings the copy into the folder, under a name of its own; what is there stays as it is.
    ///
    /// # Errors
    ///
    /// `Failed` when it cannot be written.
    pub fn prepare(&self, copy: &Path) -> Result<(), Error> {
        let prepared = self.file("db.restoring");
        fs::copy(copy, &prepared).map_err(|error| io_failed("write", &prepared, &error))?;
        sync(&prepared)?;
        give_to_owner_of(&self.folder, &prepared);
        Ok(())
    }

    /// Moves what is there into `aside`, a folder within the folder, and puts the copy in its place.
    ///
    /// # Errors
    ///
    /// `Failed`; [`Restore::undo`] brings back what was.
    pub fn put(&mut self, aside: &str) -> Result<(), Error> {
        let aside = self.folder.join(aside);
        for ending in ENDINGS {
            let present = self.file(ending);
            if present.exists() {
                fs::create_dir_all(&aside).map_err(|error| io_failed("create", &aside, &error))?;
                give_to_owner_of(&self.folder, &aside);
                let place = file(&aside, &self.name, ending);
                self.rename(present, place)?;
            }
        }
        self.rename(self.file("db.restoring"), self.file("db"))?;
        sync(&self.folder)
    }

    /// Brings back what was before [`Restore::put`].
    ///
    /// # Errors
    ///
    /// `Failed` when even that cannot be done; the text says what is where.
    pub fn undo(&mut self) -> Result<(), Error> {
        while let Some((from, to)) = self.moved.pop() {
            fs::rename(&to, &from).map_err(|error| io_failed(&format!("move {} back to", to.display()), &from, &error))?;
            // Goes with the last file that was in it.
            let _ = to.parent().map(fs::remove_dir);
        }
        sync(&self.folder)
    }

    fn rename(&mut self, from: PathBuf, to: PathBuf) -> Result<(), Error> {
        fs::rename(&from, &to).map_err(|error| io_failed("move to", &to, &error))?;
        self.moved.push((from, to));
        Ok(())
    }

    fn file(&self, ending: &str) -> PathBuf {
        file(&self.folder, &self.name, ending)
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        // There is one only where it was not put.
        let _ = fs::remove_file(self.file("db.restoring"));
    }
}

/// Opens what another process may be writing to.
fn open(folder: &Path, name: &str) -> Result<Connection, Error> {
    let path = file(folder, name, ENDINGS[0]);
    if !path.exists() {
        return Err(Error::Refused(format!("there is no {}: no {name} were ever kept there", path.display())));
    }
    super::connect(&path).map_err(|error| super::at(&path, error).into())
}

fn read(connection: &Connection, path: &Path) -> Result<Contents, Error> {
    let read = || -> Result<Contents, rusqlite::Error> {
        // One transaction, so that all of it is of one moment.
        let transaction = connection.unchecked_transaction()?;
        let newest = |row: &rusqlite::Row<'_>| Ok(Migration { version: row.get(0)?, name: row.get(1)? });
        let migration = transaction.query_row(queries::find_newest_migration.sqlite.text, [], newest).optional()?;
        let mut tables = transaction.prepare(queries::list_tables.sqlite.text)?;
        let tables = tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(String, String)>, _>>()?;
        let mut contents = Contents { migration, ..Contents::default() };
        for (table, count_rows) in tables {
            contents.rows.insert(table, transaction.query_row(&count_rows, [], |row| row.get(0))?);
        }
        Ok(contents)
    };
    let mut contents = read().map_err(|error| named(path, error))?;
    contents.bytes = fs::metadata(path).map_err(|error| io_failed("read", path, &error))?.len();
    Ok(contents)
}

fn file(folder: &Path, name: &str, ending: &str) -> PathBuf {
    folder.join(format!("{name}.{ending}"))
}

/// To the disk, a file's bytes or a folder's names.
fn sync(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| io_failed("sync", path, &error))
}

/// What an administrator restores must be usable by whom the folder belongs to. Where we may not give it away, it is ours already.
fn give_to_owner_of(folder: &Path, path: &Path) {
    if let Ok(folder) = fs::metadata(folder) {
        let _ = chown(path, Some(folder.uid()), Some(folder.gid()));
    }
}

fn io_failed(doing: &str, path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("{doing} {}: {error}", path.display()))
}

fn named(path: &Path, error: rusqlite::Error) -> Error {
    let path = path.display();
    Error::Database(match database::Error::from(error) {
        database::Error::Damaged(what) => database::Error::Damaged(format!("{path}: {what}")),
        database::Error::Unavailable(what) => database::Error::Unavailable(format!("{path}: {what}")),
        database::Error::Internal(what) => database::Error::Internal(format!("{path}: {what}")),
        other => other,
    })
}

#[cfg(test)]
mod tests;
