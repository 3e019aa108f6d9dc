//! Commands that do something and end.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod health;
pub(crate) mod migrate;
pub(crate) mod seed;
