//! The contract on PostgreSQL, and what only several processes on one database can do to each other.

use super::*;
use crate::store::contract::{draft, room};

/// The store in a database of its own.
pub(crate) async fn open(database: &servers::Database) -> PostgresStore {
    let address = database.url().parse().expect("an address");
    PostgresStore::open(&address, &Config::for_tests()).await.expect("a store")
}

async fn store() -> (servers::Database, PostgresStore) {
    let database = servers::Database::create();
    let store = open(&database).await;
    (database, store)
}

crate::store::contract::store_contract!(store().await);

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_another_makes_meanwhile_is_written_into_once() {
    let database = servers::Database::create();
    let patient = Config { statement_timeout_ms: 20_000, ..Config::for_tests() };
    let store = PostgresStore::open(&database.url().parse().expect("an address"), &patient).await.expect("a store");
    // The connection has its statements prepared, and no other is made.
    store.append_events(room("warm"), vec![draft("warm", "u", "1", None)]).await.expect("an append");
    let lock = servers::hold(&database.url(), "lock table chat.events in access exclusive mode");
    let append = tokio::spawn(async move { store.append_events(room("a"), vec![draft("a", "u", "1", None)]).await });
    // It waits to write.
    while database.run("select from pg_locks where relation = 'chat.events'::regclass and not granted").is_empty() {
        assert!(!append.is_finished(), "it does not wait");
    }
    let other = database.url();
    let make = "insert into chat.rooms (room, head, last_at) values ('a', 0, 0) on conflict do nothing";
    let make = std::thread::spawn(move || servers::run(&other, make));
    let waits = "select from pg_stat_activity where query like 'insert into chat.rooms%' and wait_event_type = 'Lock'";
    while !make.is_finished() && database.run(waits).is_empty() {}
    drop(lock);
    let appended = append.await.expect("no panic").expect("an append");
    assert_eq!((appended.len(), appended[0].seq, appended[0].duplicate), (1, 1, false));
    make.join().expect("the statement is fine");
    assert_eq!(database.run("select seq from chat.events where room = 'a'"), [["1"]]);
}

#[tokio::test]
async fn a_log_that_is_not_what_is_promised_is_told() {
    let (database, store) = store().await;
    let spoil = async |statements: &str| {
        database.run(&format!("set search_path = chat; drop index events_by_client_id; {statements}"));
    };
    crate::store::contract::a_log_that_is_not_what_is_promised_is_told(std::sync::Arc::new(store), spoil).await;
}
