//! Databases on the PostgreSQL that the tests share.

use std::sync::OnceLock;

use uuid::Uuid;

use crate::{Postgres, sql};

/// A fresh, empty database; dropped with this.
pub struct Database {
    name: String,
}

impl Database {
    /// Creates one.
    pub fn create() -> Self {
        let name = format!("test_{}", Uuid::now_v7().simple());
        sql::run(&server_url(), &format!("create database {name} template template0 encoding 'UTF8'"));
        Self { name }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        let server = server_url();
        let (rest, parameters) =
            server.split_once('?').map_or((server.as_str(), String::new()), |(rest, query)| (rest, format!("?{query}")));
        let (place, _) = rest.rsplit_once('/').unwrap_or_else(|| panic!("TEST_DATABASE_URL has no database"));
        format!("{place}/{}{parameters}", self.name)
    }

    /// Runs statements in it, as its owner; their rows as text.
    pub fn run(&self, statements: &str) -> Vec<Vec<String>> {
        sql::run(&self.url(), statements)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        sql::run(&server_url(), &format!("drop database if exists {} with (force)", self.name));
    }
}

fn server_url() -> String {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| SHARED.get_or_init(Postgres::start).url())
}
