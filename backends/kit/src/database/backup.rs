//! What both engines say of a copy of a database; `sqlite::backup` and `postgres::backup` make copies and put them back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A migration that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// Counts from 1.
    pub version: i32,
    /// What it is called.
    pub name: String,
}

/// What is in a database, or in a copy of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The newest that was applied.
    pub migration: Option<Migration>,
    /// How many rows each table of data has.
    pub rows: BTreeMap<String, u64>,
    /// How much room it takes.
    pub bytes: u64,
}

impl Contents {
    /// The rows of all tables together.
    pub fn rows_in_all(&self) -> u64 {
        self.rows.values().sum()
    }
}

/// Why a database was not copied, or not put back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked cannot be done as things are; nothing was touched.
    #[error("{0}")]
    Refused(String),
    /// It was tried and did not succeed.
    #[error("{0}")]
    Failed(String),
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] super::Error),
}
