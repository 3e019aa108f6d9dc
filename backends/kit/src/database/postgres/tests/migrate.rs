//! The schema, whoever else brings it to head.

use futures_util::future::join_all;

use super::*;

const WORDS: (&str, &str) = ("V2__words", "create table words (word text)");
const BROKEN: (&str, &str) = ("V3__broken", "create table nonsense (");

async fn open_migrated(url: &str, migrations: &[(&str, &str)]) -> Result<Postgres, Error> {
    Postgres::open(&url.parse().expect("an address"), "t", &runner(migrations), &Config::for_tests()).await
}

fn tables(database: &Database) -> Vec<Vec<String>> {
    database.run("select tablename from pg_tables where schemaname = 't' order by tablename")
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_start_at_once_on_an_empty_database_make_one_schema() {
    for round in 0..20 {
        let database = Database::create();
        let url = database.url();
        let starts = if round % 2 == 0 { 2 } else { 6 };
        let opened = join_all((0..starts).map(|_| open_migrated(&url, &[NUMBERS, WORDS]))).await;
        for postgres in opened {
            assert_eq!(count(&postgres.expect("it opens")).await, 0);
        }
        assert_eq!(tables(&database), [["numbers"], ["refinery_schema_history"], ["words"]]);
        assert_eq!(ask(&database, "select string_agg(version || name, ' ') from t.refinery_schema_history"), "1numbers 2words");
    }
}

#[tokio::test]
async fn schemas_live_side_by_side_in_one_database() {
    let database = Database::create();
    let address: Address = database.url().parse().expect("an address");
    let config = Config::for_tests();
    let other = |name| format!("create table {name} (number bigint)");
    let (users, chat) = (other("users"), other("rooms"));
    let (users, chat, analytics) = (runner(&[("V1__users", &users)]), runner(&[("V1__rooms", &chat)]), runner(&[NUMBERS, WORDS]));
    let (users, chat, analytics) = tokio::join!(
        Postgres::open(&address, "users", &users, &config),
        Postgres::open(&address, "chat", &chat, &config),
        Postgres::open(&address, "analytics", &analytics, &config),
    );
    users.expect("users").query(sql("select number from users"), &[]).await.expect("its table");
    let chat = chat.expect("chat");
    chat.query(sql("select number from rooms"), &[]).await.expect("its table");
    assert!(chat.query(sql("select number from users"), &[]).await.is_err(), "a backend sees no other's tables");
    assert_eq!(count(&analytics.expect("analytics")).await, 0);
}

#[tokio::test]
async fn a_failing_migration_is_named_and_leaves_the_old_state() {
    let database = Database::create();
    let error = open_migrated(&database.url(), &[NUMBERS, WORDS, BROKEN]).await.err().expect("must fail");
    let Error::Internal(text) = &error else { panic!("{error:?}") };
    for part in ["PostgreSQL at 127.0.0.1", "migrate t", "V3__broken", "syntax error at end of input", "nothing was changed"] {
        assert!(text.contains(part), "{part} in: {text}");
    }
    assert!(!text.contains('\n') && !text.contains("V2"), "{text}");
    assert!(database.run("select from pg_namespace where nspname = 't'").is_empty(), "not even the schema");

    let postgres = open_migrated(&database.url(), &[NUMBERS]).await.expect("the first alone");
    insert(&postgres, 7).await.expect("an insert");
    open_migrated(&database.url(), &[NUMBERS, WORDS, BROKEN]).await.err().expect("must fail");
    assert_eq!(tables(&database), [["numbers"], ["refinery_schema_history"]]);

    let corrected = [NUMBERS, WORDS, ("V3__broken", "create table sense (word text)")];
    let postgres = open_migrated(&database.url(), &corrected).await.expect("it is corrected");
    assert_eq!(count(&postgres).await, 1);
    assert_eq!(tables(&database), [["numbers"], ["refinery_schema_history"], ["sense"], ["words"]]);
}

#[tokio::test]
async fn a_database_that_is_ahead_or_went_another_way_is_told() {
    let database = Database::create();
    open_migrated(&database.url(), &[NUMBERS, WORDS]).await.expect("it opens");
    for (migrations, why) in [
        (&[NUMBERS][..], "the database has migration V2__words, which this version does not know: start a newer superapp"),
        (
            &[NUMBERS, ("V2__words", "create table words ()")],
            "the database has migration V2__words with another text than V2__words of this version",
        ),
        (
            &[NUMBERS, ("V2__other", "create table other ()")],
            "the database has migration V2__words with another text than V2__other of this version",
        ),
        (&[("V0__early", "create table early ()"), NUMBERS, WORDS], "V0__early was left out when V2__words was applied"),
    ] {
        let error = open_migrated(&database.url(), migrations).await.err().expect("must fail").to_string();
        assert!(error.contains(why) && error.contains("migrate t"), "{error}");
    }
    assert_eq!(tables(&database), [["numbers"], ["refinery_schema_history"], ["words"]]);
}

#[tokio::test]
async fn the_kits_own_queries_are_in_order() {
    let (_database, postgres) = numbers().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/kit/queries");
    let migrations = runner(&[NUMBERS]);
    let checked = crate::sql::check::check(folder.as_ref(), queries::ALL, &migrations, (&postgres, &migrations)).await;
    assert_eq!(checked, Ok(()));
}

#[tokio::test]
async fn the_history_is_one_that_refinery_reads() {
    let (database, _postgres) = numbers().await;
    let address: Address = database.url().parse().expect("an address");
    let (mut client, connection) = address.config.connect(tokio_postgres::NoTls).await.expect("a connection");
    let connection = tokio::spawn(connection);
    client.batch_execute("set search_path = t").await.expect("set");
    let applied = runner(&[NUMBERS]).run_async(&mut client).await.expect("refinery agrees");
    assert!(applied.applied_migrations().is_empty());
    let migrations = runner(&[NUMBERS]).get_applied_migrations_async(&mut client).await.expect("it reads");
    assert_eq!(migrations, *runner(&[NUMBERS]).get_migrations());
    drop(client);
    connection.await.expect("it ends").expect("well");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dies_while_migrating_gives_the_lock_back() {
    let database = Database::create();
    let url = database.url();
    let endless = runner(&[("V1__endless", "select pg_sleep(600)")]);
    let dying = tokio::spawn({
        let address: Address = url.parse().expect("an address");
        async move { Postgres::open(&address, "t", &endless, &Config::for_tests()).await.map(drop) }
    });
    until("it migrates", async || connections(&database, "query like '%pg_sleep%' and state = 'active'") == 1).await;
    let waiting = tokio::spawn(async move { open_migrated(&url, &[NUMBERS]).await });
    until("another one waits", async || connections(&database, "query like '%pg_try_advisory_lock%'") == 1).await;
    dying.abort();
    let opened = tokio::time::timeout(LIMIT, waiting).await.expect("the lock comes back").expect("no panic");
    assert_eq!(count(&opened.expect("it opens")).await, 0);
}

#[tokio::test]
async fn a_role_with_few_rights_is_enough_where_nothing_is_to_be_made() {
    let database = Database::create();
    let role = format!("few_{}", uuid::Uuid::now_v7().simple());
    database.run(&format!("create role {role} login password 'few'; revoke create on database {} from public", name(&database)));
    let url = database.url();
    let (_, place) = url.rsplit_once('@').expect("a role and a host");
    let url = format!("postgres://{role}:few@{place}");

    let error = open_migrated(&url, &[NUMBERS]).await.err().expect("no right to make a schema");
    assert!(error.to_string().contains("migrate t: create schema: permission denied for database"), "{error}");

    drop(open(&database.url()).await);
    let error = open_migrated(&url, &[NUMBERS]).await.err().expect("no right to look");
    assert!(error.to_string().contains("permission denied for schema t"), "{error}");
    let grants = format!("grant usage on schema t to {role}; grant select on t.refinery_schema_history to {role};");
    database.run(&format!("{grants} grant select, insert, update, delete on t.numbers to {role}"));
    let postgres = open_migrated(&url, &[NUMBERS]).await.expect("the schema is at head");
    insert(&postgres, 1).await.expect("an insert");

    let error = open_migrated(&url, &[NUMBERS, WORDS]).await.err().expect("no right to make a table");
    let text = error.to_string();
    assert!(matches!(error, Error::Unavailable(_)), "the operator has to act: {error:?}");
    assert!(text.contains("migrate t: V2__words: permission denied for schema t; nothing was changed"), "{text}");
    drop(postgres);
    database.run(&format!("drop owned by {role}; drop role {role}"));
}

#[tokio::test]
async fn a_migration_may_take_longer_than_a_statement() {
    let database = Database::create();
    database.run(&format!("alter database {} set statement_timeout = '100ms'", name(&database)));
    let slow = [("V1__numbers", "select pg_sleep(0.3); create table numbers (number bigint primary key)")];
    let config = Config { statement_timeout_ms: 100, ..Config::for_tests() };
    let address = database.url().parse().expect("an address");
    let postgres = Postgres::open(&address, "t", &runner(&slow), &config).await.expect("it waits");
    assert_eq!(count(&postgres).await, 0);
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let database = Database::create();
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let (name, ours) = (format!("{}_{}", name(&database), encoding.to_lowercase()), name(&database));
        database.run(&format!("create database {name} template template0 encoding '{encoding}' locale 'C'"));
        let url = database.url().replace(&ours, &name);
        let error = error_of(&url).await;
        database.run(&format!("drop database {name} with (force)"));
        let expected = format!("the database's encoding is {encoding}: create it with encoding 'UTF8'");
        assert!(matches!(&error, Error::Unavailable(text) if text.contains(&expected)), "{error}");
    }
}
