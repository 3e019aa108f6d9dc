//! Backups of all databases together: a folder with a file for each, and a manifest that says what they are.
//!
//! `manifest` is what is written beside the files, `partial` a folder that is not whole yet, `databases` the way to each backend's
//! data on whichever engine it is, `report` the lines for people. The commands `backup`, `restore` and `verify` are told in these.

mod databases;
mod manifest;
mod partial;
mod report;

pub(crate) use databases::{Database, Restoring, blocking, look_into_dump, look_into_file};
pub(crate) use kit::database::backup::Contents;
pub(crate) use manifest::{Engine, Entry, Manifest};
pub(crate) use partial::Partial;
pub(crate) use report::{Line, size};

use kit::database::backup::Error;

/// What cannot be done as things are; nothing was touched.
pub(crate) fn refuse(why: impl Into<String>) -> anyhow::Error {
    Error::Refused(why.into()).into()
}

/// Whether this is why a command ended: then it was not even tried.
pub(crate) fn is_refused(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(Error::Refused(_))))
}
