//! `superapp check`: would it start?

use crate::app_dir;
use crate::roles::Role;
use crate::roles::stores::places;
use crate::settings::{Settings, Sources};

/// Says that the configuration is sound; what is wrong with it is the error.
pub(crate) fn run(sources: &Sources) -> anyhow::Result<()> {
    let settings = Settings::load(sources)?;
    settings.app_dir.as_deref().map(app_dir::read).transpose()?;
    println!("The configuration is fine. Data is kept in {}.", places(&settings.data, Role::All));
    Ok(())
}
