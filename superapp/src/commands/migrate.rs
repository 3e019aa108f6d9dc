//! `superapp migrate`: brings the databases to their newest schema and ends. Starting a role does the same.

use crate::roles::Role;
use crate::roles::stores::Stores;
use crate::settings::Settings;

/// Opens every store, which migrates it, and says what was done.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let names = ["users", "chat", "analytics"];
    let path = |name: &str| settings.data_dir.join(format!("{name}.db"));
    let were_there = names.map(|name| path(name).exists());
    Stores::open(&settings.data_dir, Role::All).await?;
    for (name, was_there) in names.into_iter().zip(were_there) {
        let path = path(name);
        match (was_there, path.exists()) {
            (true, _) => println!("{name}: {} has the newest schema", path.display()),
            (false, true) => println!("{name}: created {}", path.display()),
            (false, false) => println!("{name}: keeps no database yet"),
        }
    }
    Ok(())
}
