//! Backups: made while everything runs, put back after everything is lost, and refused where they would do harm.

mod drill;
mod refusals;

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Exit, System};

/// A place for backups.
struct Shelf {
    folder: TempDir,
}

impl Shelf {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// A backup on it, made or not.
    fn backup(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is on it.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a command that must succeed; what it said.
async fn well(system: &System, arguments: &[&str]) -> String {
    let exit = system.run(arguments).await;
    assert_eq!((exit.code, exit.stderr.as_str()), (Some(0), ""), "{arguments:?}: {exit:?}");
    exit.stdout
}

/// It ended with this exit code and one sentence, which has these words.
fn says(exit: &Exit, code: i32, words: &[&str]) {
    assert_eq!((exit.code, exit.stderr.lines().count()), (Some(code), 1), "{exit:?}");
    for word in words {
        assert!(exit.stderr.contains(word), "{word} is not in {exit:?}");
    }
    for ugly in ["Error {", "RUST_BACKTRACE", "panicked", "Os {"] {
        assert!(!exit.stderr.contains(ugly), "{exit:?}");
    }
}

/// Changes the manifest of a backup.
fn rewrite(backup: &Path, change: impl FnOnce(&mut Value)) {
    let path = backup.join("backup.json");
    let mut manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    std::fs::write(&path, manifest.to_string()).unwrap();
}
