//! Commands that do something and end.

pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod health;
pub(crate) mod migrate;
pub(crate) mod restore;
pub(crate) mod seed;
pub(crate) mod verify;
