//! `superapp migrate`: brings the databases to their newest schema and ends. Starting a role does the same.

use crate::roles::Role;
use crate::roles::stores::Stores;
use crate::settings::{Place, Settings};

/// Opens every store, which migrates it, and says what was done.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let data = &settings.data;
    let places = [("users", &data.users), ("chat", &data.chat), ("analytics", &data.analytics)];
    let is_new = places.map(|(name, place)| matches!(place, Place::Folder(folder) if !folder.join(format!("{name}.db")).exists()));
    Stores::open(data, Role::All).await?;
    for ((name, place), is_new) in places.into_iter().zip(is_new) {
        match place {
            Place::Folder(folder) if is_new => println!("{name}: created {}", folder.join(format!("{name}.db")).display()),
            Place::Folder(folder) => println!("{name}: {} has the newest schema", folder.join(format!("{name}.db")).display()),
            Place::Server(address) => println!("{name}: schema {name} of {address} is the newest"),
        }
    }
    Ok(())
}
