//! Databases on the PostgreSQL that the tests share.

use std::sync::OnceLock;

use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::Postgres;

/// A fresh, empty database; dropped with this.
pub struct Database {
    name: String,
}

impl Database {
    /// Creates one.
    pub fn create() -> Self {
        let name = format!("test_{}", Uuid::now_v7().simple());
        run(format!("create database {name} template template0 encoding 'UTF8'"));
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

    /// Runs statements in it, as its owner; the rows of the last ones as text.
    pub fn run(&self, statements: &str) -> Vec<Vec<String>> {
        run_at(self.url(), statements.to_owned())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        run(format!("drop database if exists {} with (force)", self.name));
    }
}

fn server_url() -> String {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| SHARED.get_or_init(Postgres::start).url())
}

fn run(statement: String) {
    run_at(server_url(), statement);
}

/// On a thread of its own, since the caller may be a task or not.
fn run_at(url: String, statements: String) -> Vec<Vec<String>> {
    let work = async move {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        let connection = tokio::spawn(connection);
        let messages = client.simple_query(&statements).await?;
        drop(client);
        let _ = connection.await;
        let rows = messages.into_iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        });
        Ok::<_, tokio_postgres::Error>(rows.collect())
    };
    let thread = std::thread::spawn(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work));
    thread.join().unwrap().unwrap_or_else(|error| panic!("the database for the tests: {error:?}"))
}
