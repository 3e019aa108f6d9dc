//! `superapp backup DIR`: copies all databases into a new folder, while the system runs.

use std::path::Path;
use std::time::Instant;

use anyhow::bail;

use crate::backups::{Database, Line, Manifest, Partial, size};
use crate::settings::{Data, Settings};
use crate::signals::Signals;

/// The folder is there when everything is in it and on the disk, and not before.
pub(crate) async fn run(settings: Settings, folder: &Path) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        made = back_up(&settings.data, folder) => made,
        signal = signals.next() => bail!("{signal}: the backup was given up, nothing is left of it"),
    }
}

async fn back_up(data: &Data, folder: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    // Whatever was answered by now is in every database.
    let begun_at = kit::clock::now();
    let partial = Partial::create(folder)?;
    let mut entries = Vec::new();
    for database in Database::all(data) {
        let started = Instant::now();
        let entry = database.copy_to(partial.path()).await?;
        let (what, rows) = (entry.file.clone(), entry.contents().rows_in_all());
        println!("{}", Line { backend: database.backend, what, bytes: entry.bytes, rows, took: started.elapsed() });
        entries.push(entry);
    }
    let bytes = entries.iter().map(|entry| entry.bytes).sum();
    Manifest::new(begun_at, entries).write(partial.path())?;
    let folder = partial.finish()?;
    println!("The backup is in {}: {}, {:.2} s.", folder.display(), size(bytes), started.elapsed().as_secs_f64());
    Ok(())
}
