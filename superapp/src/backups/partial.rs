//! A backup on its way: a folder beside the one that was asked for, which gets its name when everything is on the disk.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::refuse;

/// Holds others off while the folder is written to; gone when it has its name.
const LOCK: &str = "writing.lock";

/// A folder that goes with this, unless it is finished.
pub(crate) struct Partial {
    path: PathBuf,
    target: PathBuf,
    _lock: File,
    is_finished: bool,
}

impl Partial {
    /// Makes `target.partial`; one that a killed backup left behind is cleared away first.
    pub(crate) fn create(target: &Path) -> anyhow::Result<Self> {
        let target = std::path::absolute(target).with_context(|| target.display().to_string())?;
        if target.symlink_metadata().is_ok() {
            return Err(refuse(format!("{} is there already: a backup never writes over anything, name a new folder", target.display())));
        }
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(refuse(format!("{} is no name for a new folder", target.display())));
        };
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        let mut partial = name.to_owned();
        partial.push(".partial");
        let path = parent.join(partial);
        // What is in there is people's data.
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => expect_ours(&path)?,
            made => made.with_context(|| format!("create {}", path.display()))?,
        }
        let lock = lock(&path)?;
        clear(&path).with_context(|| format!("clear {}", path.display()))?;
        Ok(Self { path, target, _lock: lock, is_finished: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, and makes that last.
    pub(crate) fn finish(mut self) -> anyhow::Result<PathBuf> {
        let finish = || -> std::io::Result<()> {
            File::open(&self.path)?.sync_all()?;
            fs::rename(&self.path, &self.target)?;
            // Not before: without it another backup could take the folder for its own.
            fs::remove_file(self.target.join(LOCK))
        };
        finish().with_context(|| format!("move {} to {}", self.path.display(), self.target.display()))?;
        self.is_finished = true;
        let parent = self.target.parent().unwrap_or(&self.target);
        File::open(parent).and_then(|parent| parent.sync_all()).with_context(|| format!("sync {}", parent.display()))?;
        Ok(self.target.clone())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_finished {
            // What cannot be removed is cleared away by the next backup of this name.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Refuses a folder that no backup can have left behind: one is empty or has the lock in it, wherever it was killed.
fn expect_ours(folder: &Path) -> anyhow::Result<()> {
    let is_ours = folder.join(LOCK).exists() || folder.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    match is_ours {
        true => Ok(()),
        false => Err(refuse(format!("{} is in the way, and no backup left it: move it", folder.display()))),
    }
}

/// Removes what a killed backup left. The lock stays: who holds it has the folder.
fn clear(folder: &Path) -> std::io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in folder.read_dir()? {
        let entry = entry?;
        if entry.file_name() != LOCK {
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
    }
    Ok(())
}

fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(refuse(format!("another backup is being written to {}", folder.display()))),
        Err(TryLockError::Error(error)) => Err(anyhow::Error::new(error).context(format!("lock {}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_backup_left_is_cleared_away_and_what_is_being_written_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("monday");
        let first = Partial::create(&target).unwrap();
        fs::write(first.path().join("users.db"), "half").unwrap();
        let error = Partial::create(&target).err().expect("it is being written").to_string();
        assert!(error.contains("another backup"), "{error}");
        assert!(first.path().join("users.db").exists());

        // As `kill -9` does it: the lock is free, the files stay.
        let left = first.path().to_owned();
        let Partial { _lock: held, .. } = &first;
        held.unlock().unwrap();
        std::mem::forget(first);
        let second = Partial::create(&target).unwrap();
        assert_eq!((second.path(), second.path().join("users.db").exists()), (left.as_path(), false));
        assert_eq!(second.finish().unwrap(), target);
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "the lock is not part of it");
        assert!(super::super::is_refused(&Partial::create(&target).err().expect("it is there")));
    }

    #[test]
    fn one_killed_before_its_first_file_is_no_obstacle_and_what_is_somebody_elses_is() {
        let folder = tempfile::tempdir().unwrap();
        let (target, partial) = (folder.path().join("monday"), folder.path().join("monday.partial"));
        fs::create_dir(&partial).unwrap();
        drop(Partial::create(&target).unwrap());
        assert!(!partial.exists());

        fs::create_dir(&partial).unwrap();
        fs::write(partial.join("letter"), "mine").unwrap();
        let error = Partial::create(&target).err().expect("it is not ours");
        assert!(super::super::is_refused(&error) && error.to_string().contains("in the way"), "{error}");
        assert_eq!(fs::read(partial.join("letter")).unwrap(), b"mine");
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(Partial::create(&folder.path().join("new/monday")).unwrap());
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 0);
    }
}
