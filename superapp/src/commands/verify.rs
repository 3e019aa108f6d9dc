//! `superapp verify [DIR]`: is a backup whole, or without a folder, are the databases themselves?

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::backups::{Contents, Database, Engine, Entry, Line, Manifest, blocking, is_refused, look_into_dump, look_into_file};
use crate::roles::stores::Stores;
use crate::settings::{Data, Place, Settings};
use crate::signals::Signals;

/// Says what is wrong with each database; that something is, is the error.
pub(crate) async fn run(settings: Settings, folder: Option<PathBuf>) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let verify = async {
        match &folder {
            Some(folder) => verify_backup(&settings.data, folder).await,
            None => verify_live(&settings.data).await,
        }
    };
    tokio::select! {
        verified = verify => verified,
        signal = signals.next() => bail!("{signal}: not verified to the end"),
    }
}

async fn verify_live(data: &Data) -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for database in Database::all(data) {
        let started = Instant::now();
        let look = async {
            let contents = database.contents().await?;
            let findings = Stores::look(data, database.role).await?.check_invariants().await?;
            Ok((contents, findings))
        };
        let looked = look.await;
        tell(&database, database.place(), started, looked, &mut broken);
    }
    conclude(broken, "The databases are whole.")
}

async fn verify_backup(data: &Data, folder: &Path) -> anyhow::Result<()> {
    let manifest = Manifest::read(folder)?;
    let mut broken = Vec::new();
    for database in Database::all(data) {
        let started = Instant::now();
        let Some(entry) = manifest.databases.iter().find(|entry| entry.backend == database.backend) else {
            tell(&database, "is not in the backup".to_owned(), started, Err(anyhow::anyhow!("the manifest has no such part")), &mut broken);
            continue;
        };
        let looked = verify_entry(data, &database, folder, entry).await;
        match looked {
            // It says nothing of the backup: a tool is missing, or this version is too old to judge.
            Err(error) if is_refused(&error) => return Err(error),
            looked => tell(&database, entry.file.clone(), started, looked, &mut broken),
        }
    }
    conclude(broken, &format!("The backup is whole. It has all that was answered before {}.", manifest.begun_at))
}

/// What is in a part of a backup, and what is wrong with it.
async fn verify_entry(data: &Data, database: &Database, folder: &Path, entry: &Entry) -> anyhow::Result<(Contents, Vec<String>)> {
    let (checked, place) = (entry.clone(), folder.to_owned());
    blocking(move || checked.check(&place)).await?;
    database.must_know(entry)?;
    let path = folder.join(&entry.file);
    let (contents, findings) = match entry.engine {
        Engine::Sqlite => {
            let contents = look_into_file(&path).await?;
            (contents, check_copy(data, database, folder, entry).await?)
        }
        // Only a server could tell more.
        Engine::Postgresql { .. } => (look_into_dump(&path, entry).await?, Vec::new()),
    };
    if contents.rows != entry.rows {
        bail!("it has the rows {:?}, and not {:?} as the manifest says", contents.rows, entry.rows);
    }
    Ok((Contents { bytes: entry.bytes, ..contents }, findings))
}

/// Opens a copy as a start would, an older one is migrated; the backup itself stays untouched.
async fn check_copy(data: &Data, database: &Database, folder: &Path, entry: &Entry) -> anyhow::Result<Vec<String>> {
    let copy = temporary_folder_near(folder)?;
    let (from, to) = (folder.join(&entry.file), copy.path().join(&entry.file));
    blocking(move || std::fs::copy(&from, &to).with_context(|| format!("write {}", to.display()))).await?;
    let place = Place::Folder(copy.path().to_owned());
    let data = Data { users: place.clone(), chat: place.clone(), analytics: place, ..data.clone() };
    Stores::open(&data, database.role).await?.check_invariants().await
}

/// Beside the backup there is room for another one; where one may not write there, perhaps elsewhere.
fn temporary_folder_near(folder: &Path) -> anyhow::Result<TempDir> {
    let folder = std::path::absolute(folder).with_context(|| folder.display().to_string())?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".superapp-verify-");
    let beside = folder.parent().map(|parent| builder.tempdir_in(parent));
    match beside {
        Some(Ok(made)) => Ok(made),
        _ => builder.tempdir().context("create a temporary folder"),
    }
}

/// A line for the database, and one for each finding.
fn tell(
    database: &Database,
    what: String,
    started: Instant,
    looked: anyhow::Result<(Contents, Vec<String>)>,
    broken: &mut Vec<&'static str>,
) {
    let backend = database.backend;
    let findings = match looked {
        Ok((contents, findings)) => {
            println!("{}", Line { backend, what, bytes: contents.bytes, rows: contents.rows_in_all(), took: started.elapsed() });
            findings
        }
        Err(error) => {
            println!("{backend:<10} {what}");
            vec![format!("{error:#}")]
        }
    };
    for finding in &findings {
        println!("  broken: {finding}");
    }
    if !findings.is_empty() {
        broken.push(backend);
    }
}

fn conclude(broken: Vec<&'static str>, verdict: &str) -> anyhow::Result<()> {
    if !broken.is_empty() {
        bail!("broken: {}", broken.join(", "));
    }
    println!("{verdict}");
    Ok(())
}
