//! `superapp restore DIR`: puts a backup in the place of the databases, while nothing serves them.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;

use crate::backups::{Database, Entry, Line, Manifest, Restoring, blocking, refuse};
use crate::settings::Settings;
use crate::signals::Signals;

/// Looks at everything before it touches anything; what was there is moved aside and never deleted. All databases or none.
pub(crate) async fn run(settings: Settings, folder: &Path, force: bool) -> anyhow::Result<()> {
    // Taken and not heard: once begun, it is ended.
    let _signals = Signals::listen()?;
    let manifest = Manifest::read(folder)?;
    let mut steps = Vec::new();
    for database in Database::all(&settings.data) {
        let entry = database.entry(&manifest.databases)?.clone();
        let (checked, folder) = (entry.clone(), folder.to_owned());
        blocking(move || checked.check(&folder)).await?;
        steps.push((database, entry));
    }

    let mut restoring = Vec::new();
    for (database, _) in &steps {
        restoring.push(database.begin_restore().await?);
    }
    if !force {
        for ((database, _), target) in steps.iter().zip(&restoring) {
            must_be_empty(database, target).await?;
        }
    }
    for ((_, entry), target) in steps.iter().zip(&mut restoring) {
        target.prepare(&folder.join(&entry.file), entry).await?;
    }
    let aside = format!("before-restore-{}", kit::clock::now().to_string().replace(|letter: char| !letter.is_ascii_digit(), ""));
    if let Err(error) = put_all(folder, &steps, &mut restoring, &aside).await {
        let mut left = Vec::new();
        for target in restoring.iter_mut().rev() {
            if let Err(why) = target.undo().await {
                left.push(format!("{why:#}"));
            }
        }
        return Err(error.context(match left.as_slice() {
            [] => "nothing was restored, everything is as it was".to_owned(),
            left => format!("not restored, and not all of what was could be brought back ({})", left.join("; ")),
        }));
    }
    println!("Restored what was there at {}. What was here before is kept under the name {aside}.", manifest.begun_at);
    Ok(())
}

async fn must_be_empty(database: &Database, target: &Restoring) -> anyhow::Result<()> {
    let (backend, place) = (database.backend, database.place());
    match target.rows().await {
        Some(0) => Ok(()),
        Some(rows) => Err(refuse(format!("{backend}: {place} has data, {rows} rows: --force moves it aside, and restores"))),
        None => Err(refuse(format!("{backend}: {place} cannot be read: --force moves it aside, and restores"))),
    }
}

async fn put_all(folder: &Path, steps: &[(Database, Entry)], restoring: &mut [Restoring], aside: &str) -> anyhow::Result<()> {
    for ((database, entry), target) in steps.iter().zip(restoring) {
        let started = Instant::now();
        target.put(&folder.join(&entry.file), entry, aside).await.with_context(|| format!("restore {}", database.backend))?;
        let rows = entry.contents().rows_in_all();
        println!("{}", Line { backend: database.backend, what: database.place(), bytes: entry.bytes, rows, took: started.elapsed() });
    }
    Ok(())
}
