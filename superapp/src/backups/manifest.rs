//! `backup.json`: what a backup is. It is written last, so a folder without it is no backup.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use kit::clock::Timestamp;
use kit::database::backup::{Contents, Migration};
use kit::database::postgres::backup::Versions;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::refuse;

const NAME: &str = "backup.json";
/// Of the manifest and of what is beside it. One that is greater is of a newer superapp.
const FORMAT: u32 = 1;
/// Of a manifest at most.
const BYTES_MAX: u64 = 1 << 20;
/// Read at once where a file is hashed.
const CHUNK: usize = 1 << 20;

/// A whole backup.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    /// The version that made it.
    pub(crate) superapp: String,
    /// Whatever was answered before this moment is in it.
    pub(crate) begun_at: Timestamp,
    pub(crate) databases: Vec<Entry>,
}

/// One backend's part of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) backend: String,
    #[serde(flatten)]
    pub(crate) engine: Engine,
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// The newest that was applied.
    pub(crate) migration: Option<Migration>,
    /// How many rows each table has.
    pub(crate) rows: BTreeMap<String, u64>,
}

/// Where a backend's data was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "lowercase")]
pub(crate) enum Engine {
    Sqlite,
    Postgresql {
        /// Of the server, such as 17.
        server: u32,
        /// Of pg_dump.
        pg_dump: u32,
    },
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Engine::Sqlite => "SQLite",
            Engine::Postgresql { .. } => "PostgreSQL",
        }
    }

    /// The name of a backend's file.
    pub(crate) fn file(self, backend: &str) -> String {
        match self {
            Engine::Sqlite => format!("{backend}.db"),
            Engine::Postgresql { .. } => format!("{backend}.dump"),
        }
    }
}

impl From<Versions> for Engine {
    fn from(Versions { server, tool }: Versions) -> Self {
        Engine::Postgresql { server, pg_dump: tool }
    }
}

impl Entry {
    /// Describes a file that was just written into `folder`.
    pub(crate) fn describe(folder: &Path, backend: &str, engine: Engine, contents: Contents) -> anyhow::Result<Self> {
        let file = engine.file(backend);
        let (bytes, sha256) = fingerprint(&folder.join(&file))?;
        Ok(Self { backend: backend.to_owned(), engine, file, bytes, sha256, migration: contents.migration, rows: contents.rows })
    }

    /// Holds the file in `folder` against what is said of it here.
    pub(crate) fn check(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(&self.file);
        let (bytes, sha256) = fingerprint(&path)?;
        if bytes != self.bytes {
            bail!("{} has {bytes} bytes and not {}: the backup is damaged", path.display(), self.bytes);
        }
        if sha256 != self.sha256 {
            bail!("{} is not what was written (its sha256 is {sha256}): the backup is damaged", path.display());
        }
        Ok(())
    }

    /// What it has, as the databases tell it.
    pub(crate) fn contents(&self) -> Contents {
        Contents { migration: self.migration.clone(), rows: self.rows.clone(), bytes: self.bytes }
    }
}

impl Manifest {
    pub(crate) fn new(begun_at: Timestamp, databases: Vec<Entry>) -> Self {
        Self { format: FORMAT, superapp: env!("CARGO_PKG_VERSION").to_owned(), begun_at, databases }
    }

    /// Writes it into `folder`, to the disk.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(NAME);
        let mut text = serde_json::to_vec_pretty(self).context("write the manifest")?;
        text.push(b'\n');
        let written = fs::write(&path, text).and_then(|()| File::open(&path)?.sync_all());
        written.with_context(|| format!("write {}", path.display()))
    }

    /// Reads that of `folder`.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        if !folder.is_dir() {
            return Err(refuse(format!("{}: there is no such folder", folder.display())));
        }
        let path = folder.join(NAME);
        let file = File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow!("{} has no {NAME}: it is no backup, or not a whole one", folder.display()),
            _ => anyhow!("read {}: {error}", path.display()),
        })?;
        let mut text = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut text).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &[u8]) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_slice(text)?;
        if format > FORMAT {
            bail!("a newer superapp wrote it (format {format}): read it with that one");
        }
        let manifest: Self = serde_json::from_slice(text)?;
        for entry in &manifest.databases {
            // A name from elsewhere could lead anywhere.
            if entry.file != entry.engine.file(&entry.backend) || entry.backend.contains(['/', '.']) {
                bail!("{} is no file of a backup", entry.file);
            }
        }
        Ok(manifest)
    }
}

/// How long a file is, and its SHA-256 in hexadecimal.
fn fingerprint(path: &Path) -> anyhow::Result<(u64, String)> {
    let read = || -> std::io::Result<(u64, Sha256)> {
        let (mut file, mut hash, mut bytes) = (File::open(path)?, Sha256::new(), 0);
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = file.read(&mut chunk)?;
            if length == 0 {
                return Ok((bytes, hash));
            }
            hash.update(&chunk[..length]);
            bytes += length as u64;
        }
    };
    let (bytes, hash) = read().with_context(|| format!("read {}", path.display()))?;
    Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(file: &str, format: u32) -> String {
        format!(
            r#"{{"format":{format},"superapp":"0.1.0","begun_at":"2026-01-01T10:00:00.000Z","databases":[{{"backend":"users",
            "engine":"postgresql","server":15,"pg_dump":17,"file":"{file}","bytes":3,"sha256":"00","migration":{{"version":1,"name":"users"}},
            "rows":{{"users":2}}}}]}}"#
        )
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let read = Manifest::parse(manifest("users.dump", FORMAT).as_bytes()).unwrap();
        assert_eq!(read.databases[0].engine, Engine::Postgresql { server: 15, pg_dump: 17 });
        let again = Manifest::parse(&serde_json::to_vec(&read).unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{read:?}"));
    }

    #[test]
    fn what_is_no_manifest_of_ours_is_refused() {
        for (text, why) in [
            (manifest("users.dump", FORMAT + 1), "newer superapp"),
            (manifest("../../etc/passwd", FORMAT), "no file of a backup"),
            (manifest("chat.dump", FORMAT), "no file of a backup"),
            ("{}".to_owned(), "missing field `format`"),
            ("nonsense".to_owned(), "expected"),
        ] {
            let error = format!("{:#}", Manifest::parse(text.as_bytes()).unwrap_err());
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_fingerprint_is_sha256() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint(&path).unwrap(), (3, expected.to_owned()));
    }
}
