//! What is told, and how soon, when the server is not as hoped.

use std::net::TcpListener;

use super::*;

fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("postgres://u:hunter2@{}/app", listener.local_addr().expect("an address"))
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for_and_then_told() {
    let config = Config { start_timeout_s: 1, ..Config::for_tests() };
    let started = Instant::now();
    let url = nobody();
    let error = open_with(&url, &config).await.err().expect("nobody is there");
    let (text, place) = (error.to_string(), url.rsplit_once('@').expect("a host").1);
    assert!((1.0..3.0).contains(&started.elapsed().as_secs_f32()), "{:?}", started.elapsed());
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(text.contains(&format!("PostgreSQL at {place}: ")) && text.contains("Connection refused"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    // It accepts, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("postgres://u@{}/app", listener.local_addr().expect("an address"));
    let config = Config { start_timeout_s: 1, connect_timeout_ms: 300, ..Config::for_tests() };
    let started = Instant::now();
    let error = open_with(&url, &config).await.err().expect("nobody answers");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(error.to_string().contains("no answer in time"), "{error}");
}

#[tokio::test]
async fn the_next_host_is_used_when_the_first_is_gone() {
    let (database, nobody) = (Database::create(), nobody());
    let gone = nobody.rsplit_once('@').and_then(|(_, place)| place.split_once('/')).expect("a host").0;
    let url = database.url().replace("@127", &format!("@{gone},127"));
    assert_eq!(count(&open(&url).await).await, 0);
}

#[tokio::test]
async fn who_is_refused_is_told_at_once_without_the_password() {
    let server = servers::Postgres::start();
    let place = server.url().rsplit_once('@').expect("a host").1.rsplit_once('/').expect("a database").0.to_owned();
    let hba = "host all asked 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n";
    open(&server.url()).await.query(sql("create role asked login password 'right'"), &[]).await.expect("a role");
    std::fs::write(server.folder().join("pg_hba.conf"), hba).expect("written");
    server.stop();
    server.start_again();
    for (who, why) in [
        ("asked:hunter2", "password authentication failed for user \"asked\""),
        ("asked", "password missing"),
        ("stranger:hunter2", "no pg_hba.conf entry"),
        ("postgres", "database \"nowhere\" does not exist"),
    ] {
        let database = if who == "postgres" { "nowhere" } else { "postgres" };
        let started = Instant::now();
        let error = error_of(&format!("postgres://{who}@{place}/{database}")).await;
        let text = error.to_string();
        assert!(matches!(error, Error::Unavailable(_)) && text.contains(why), "{who}: {error:?}");
        assert!(text.contains(&format!("PostgreSQL at {place}/{database}: ")) && !text.contains("hunter2"), "{text}");
        assert!(started.elapsed() < Duration::from_secs(2), "{who}: nothing to wait for, {:?}", started.elapsed());
    }
    let error = error_of(&format!("postgres://asked:right@{place}/postgres")).await;
    assert!(error.to_string().contains("permission denied"), "the right password is let in: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_up_meanwhile_is_found() {
    let server = servers::Postgres::start();
    let url = server.url();
    insert(&open(&url).await, 1).await.expect("an insert");
    // It has to recover first, and says so to whoever comes too early.
    server.kill();
    let config = Config { start_timeout_s: 20, ..Config::for_tests() };
    let (opened, ()) = tokio::join!(open_with(&url, &config), async { tokio::task::block_in_place(|| server.start_again()) });
    assert_eq!(count(&opened.expect("it came up")).await, 1);
}

#[tokio::test]
async fn a_server_with_its_connections_used_up_is_waited_for() {
    let server = servers::Postgres::start_with(&["max_connections=3", "superuser_reserved_connections=0", "max_wal_senders=0"]);
    let config: tokio_postgres::Config = server.url().parse().expect("an address");
    let mut held = Vec::new();
    loop {
        match config.connect(tokio_postgres::NoTls).await {
            Ok((client, connection)) => held.push((client, tokio::spawn(connection))),
            Err(error) => break assert!(matches!(Error::from(error), Error::Unavailable(text) if text.contains("too many clients"))),
        }
    }
    let url = server.url();
    let patient = Config { connections_max: 1, ..Config::for_tests() };
    let mut opening = std::pin::pin!(open_with(&url, &patient));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut opening).await.is_err(), "it waits");
    held.clear();
    assert_eq!(count(&opening.await.expect("there is one for it")).await, 0);
}
