//! PostgreSQL as it behaves when things go wrong, against real servers.

mod doubt;
mod migrate;
mod settings;
mod start;
mod time;
mod tls;

use std::time::Instant;

use servers::Database;

use super::*;
use crate::health::Status;

/// Longer than anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A statement of a test.
fn sql(text: &'static str) -> Statement {
    Statement { name: "test", text }
}

fn runner(migrations: &[(&str, &str)]) -> refinery::Runner {
    let migration = |(name, text): &(&str, &str)| refinery::Migration::unapplied(name, text).expect("a valid name");
    refinery::Runner::new(&migrations.iter().map(migration).collect::<Vec<_>>())
}

const NUMBERS: (&str, &str) = ("V1__numbers", "create table numbers (number bigint primary key, word text)");

async fn open_with(url: &str, config: &Config) -> Result<Postgres, Error> {
    Postgres::open(&url.parse().expect("an address"), "t", &runner(&[NUMBERS]), config).await
}

async fn open(url: &str) -> Postgres {
    open_with(url, &Config::for_tests()).await.expect("a database")
}

/// What is wrong with opening this.
async fn error_of(url: &str) -> Error {
    open_with(url, &Config::for_tests()).await.err().expect("it must not open")
}

/// A database of its own with a table of numbers.
async fn numbers() -> (Database, Postgres) {
    let database = Database::create();
    let postgres = open(&database.url()).await;
    (database, postgres)
}

async fn insert(postgres: &Postgres, number: i64) -> Result<(), Error> {
    postgres.query(sql("insert into numbers (number) values ($1)"), &[&number]).await.map(drop)
}

async fn count(postgres: &Postgres) -> i64 {
    postgres.query_one(sql("select count(*) from numbers"), &[]).await.expect("a count").get(0)
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < LIMIT, "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The first column of the first row, asked on a connection of its own by the owner.
fn ask(database: &Database, question: &str) -> String {
    database.run(question).remove(0).remove(0)
}

/// The name of a database.
fn name(database: &Database) -> String {
    ask(database, "select current_database()")
}

/// How many connections of ours there are that fit a condition.
fn connections(database: &Database, condition: &str) -> usize {
    let ours = "from pg_stat_activity where datname = current_database() and application_name = 'superapp t'";
    ask(database, &format!("select count(*) {ours} and {condition}")).parse().expect("a number")
}
