//! Every wait has an end, and what was away comes back by itself.

use futures_util::future::join_all;

use super::*;

/// Beyond `statement_timeout`, with a slow machine in mind.
const SLACK: Duration = Duration::from_millis(1500);

fn quick() -> Config {
    Config { statement_timeout_ms: 500, wait_timeout_ms: 1000, connect_timeout_ms: 1000, ..Config::for_tests() }
}

/// A server of its own with a table of numbers.
async fn server() -> (servers::Postgres, Postgres) {
    let server = servers::Postgres::start();
    let postgres = open_with(&server.url(), &quick()).await.expect("a database");
    (server, postgres)
}

async fn check_is(postgres: &Postgres, status: Status) {
    until(&format!("the check is {status:?}"), async || postgres.check().status == status).await;
}

#[track_caller]
fn assert_unavailable(outcome: Result<(), Error>, why: &str) {
    let error = outcome.expect_err("it must fail");
    assert!(matches!(&error, Error::Unavailable(text) if text.contains(why)), "{error:?}");
}

#[tokio::test]
async fn a_statement_that_waits_for_a_lock_is_given_up_in_time_and_harms_nothing() {
    let database = Database::create();
    let postgres = open_with(&database.url(), &Config { connections_max: 2, ..quick() }).await.expect("a database");
    insert(&postgres, 1).await.expect("an insert");
    let holder = postgres.begin().await.expect("a transaction");
    holder.query(sql("select number from numbers for update"), &[]).await.expect("a lock");
    let started = Instant::now();
    assert_unavailable(postgres.query(sql("delete from numbers"), &[]).await.map(drop), "statement timeout");
    let took = started.elapsed();
    assert!((Duration::from_millis(500)..Duration::from_millis(500) + SLACK).contains(&took), "{took:?}");
    let pid = sql("select pg_backend_pid()");
    assert_eq!(count(&postgres).await, 1);
    let other: i32 = postgres.query_one(pid, &[]).await.expect("a pid").get(0);
    let holding: i32 = holder.query(pid, &[]).await.expect("a pid")[0].get(0);
    holder.end(Ok::<_, Error>(())).await.expect("a commit");
    assert_ne!(other, holding);
    assert_eq!(connections(&database, &format!("pid in ({other}, {holding})")), 2, "both connections are kept");
}

#[tokio::test]
async fn a_transaction_after_a_deadlock_can_be_tried_again() {
    let database = Database::create();
    database.run(&format!("alter database {} set deadlock_timeout = '50ms'", name(&database)));
    let postgres = open(&database.url()).await;
    insert(&postgres, 1).await.expect("an insert");
    insert(&postgres, 2).await.expect("an insert");
    let lock = sql("select number from numbers where number = $1 for update");
    let (one, two) = (postgres.begin().await.expect("a transaction"), postgres.begin().await.expect("a transaction"));
    one.query(lock, &[&1_i64]).await.expect("a lock");
    two.query(lock, &[&2_i64]).await.expect("a lock");
    let finish = async |transaction: Transaction, other: i64| {
        let locked = transaction.query(lock, &[&other]).await;
        transaction.end(locked.map(drop)).await
    };
    let outcomes = <[_; 2]>::from(tokio::join!(finish(one, 2), finish(two, 1)));
    let lost: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(matches!(&lost[..], [Error::Unavailable(text)] if text.contains("deadlock detected")), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_given_up_and_used_again_when_it_wakes() {
    let (server, postgres) = server().await;
    insert(&postgres, 1).await.expect("an insert");
    let transaction = postgres.begin().await.expect("a transaction");
    insert(&postgres, 2).await.expect("a second connection");
    server.pause();
    let started = Instant::now();
    let ended = async {
        let waited = transaction.query(sql("select 1"), &[]).await;
        transaction.end(waited.map(drop)).await
    };
    let (asked, ended) = tokio::join!(insert(&postgres, 3), ended);
    assert!(started.elapsed() < Duration::from_millis(500) + SLACK, "{:?}", started.elapsed());
    assert_unavailable(asked, "the server does not answer");
    assert_unavailable(ended, "the server does not answer");
    check_is(&postgres, Status::Fail).await;
    assert!(started.elapsed() < Duration::from_secs(4), "the check sees it soon: {:?}", started.elapsed());
    // All at once: each is told in a bounded time.
    let outcomes = join_all((10..30).map(|number| insert(&postgres, number))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Unavailable(_) | Error::Busy))), "{outcomes:?}");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    server.resume();
    check_is(&postgres, Status::Pass).await;
    until("it serves again", async || insert(&postgres, 100).await.is_ok()).await;
    assert!(count(&postgres).await >= 3);
}

#[tokio::test]
async fn a_crowd_is_told_to_come_back_while_the_server_is_well() {
    let database = Database::create();
    let config = Config { wait_timeout_ms: 300, idle_in_transaction_timeout_ms: 10_000, ..Config::for_tests() };
    let postgres = open_with(&database.url(), &config).await.expect("a database");
    let held = join_all((0..4).map(|_| postgres.begin())).await;
    let started = Instant::now();
    assert!(matches!(insert(&postgres, 1).await, Err(Error::Busy)));
    let took = started.elapsed();
    assert!((Duration::from_millis(300)..Duration::from_millis(300) + SLACK).contains(&took), "{took:?}");
    assert_eq!(postgres.check().status, Status::Pass);
    drop(held);
    insert(&postgres, 1).await.expect("there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_is_told_at_once_and_used_again_when_it_is_back() {
    let (server, postgres) = server().await;
    for way in [servers::Postgres::stop, servers::Postgres::kill] {
        join_all((0..4).map(|_| postgres.query(sql("select pg_sleep(0.05)"), &[]))).await;
        way(&server);
        let started = Instant::now();
        for _ in 0..8 {
            assert_unavailable(insert(&postgres, 1).await, "");
        }
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        check_is(&postgres, Status::Fail).await;
        assert!(started.elapsed() < Duration::from_secs(3), "the check sees it soon: {:?}", started.elapsed());
        server.start_again();
        check_is(&postgres, Status::Pass).await;
        assert_eq!(count(&postgres).await, 0, "the first question after it is answered");
    }
}

#[tokio::test]
async fn connections_that_are_cut_cost_an_error_each_at_most() {
    let (database, postgres) = numbers().await;
    join_all((0..4).map(|_| postgres.query(sql("select pg_sleep(0.05)"), &[]))).await;
    until("there are four for us and one for the check", async || connections(&database, "true") == 5).await;
    database.run(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'superapp t' and datname = current_database()",
    );
    let mut errors = 0;
    for number in 0..20 {
        match insert(&postgres, number).await {
            Ok(()) => {}
            Err(Error::Unavailable(_)) => errors += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(errors <= 4, "{errors}");
    assert_eq!(count(&postgres).await, 20 - errors);
    check_is(&postgres, Status::Pass).await;
}

#[tokio::test]
async fn a_check_that_loses_its_connection_asks_on_a_new_one_before_it_judges() {
    let (database, postgres) = numbers().await;
    // By its question it is told from the connection that has migrated.
    let ours = "application_name = 'superapp t' and datname = current_database() and query like '%pg_is_in_recovery%'";
    let pid = || database.run(&format!("select pid from pg_stat_activity where {ours}"));
    // It asks for the second time.
    let again = format!("select pid from pg_stat_activity where {ours} and query_start > backend_start + interval '400 ms'");
    until("the check is connected, and has had an answer", async || !database.run(&again).is_empty()).await;
    let before = pid();
    database.run(&format!("select pg_terminate_backend({})", before[0][0]));
    until("it is connected again", async || {
        assert_eq!(postgres.check(), Check::pass());
        let now = pid();
        !now.is_empty() && now != before
    })
    .await;
    assert_eq!(postgres.check(), Check::pass());
}

#[tokio::test]
async fn a_server_that_only_reads_is_told_until_it_writes_again() {
    let (database, postgres) = numbers().await;
    check_is(&postgres, Status::Pass).await;
    let set = |what: &str| format!("set transaction read write; alter database {} {what}", name(&database));
    for back in ["set default_transaction_read_only = off", "reset default_transaction_read_only"] {
        database.run(&set("set default_transaction_read_only = on"));
        check_is(&postgres, Status::Warn).await;
        assert_eq!(postgres.check(), Check::warn("cannot write: the server is read-only"));
        assert_eq!(count(&postgres).await, 0, "reads go on");
        // Also seen by a connection that was made meanwhile.
        let ours = "application_name = 'superapp t' and datname = current_database() and query like '%pg_is_in_recovery%'";
        let pids = || database.run(&format!("select pid from pg_stat_activity where {ours}"));
        let before = pids();
        until("the check has a new connection", async || !pids().is_empty() && pids() != before).await;
        assert_eq!(postgres.check().status, Status::Warn);
        database.run(&set(back));
        check_is(&postgres, Status::Pass).await;
    }
    database.run(&set("set default_transaction_read_only = on"));
    let writing = open(&format!("{}?options=-c%20default_transaction_read_only%3Doff", database.url())).await;
    check_is(&postgres, Status::Warn).await;
    insert(&writing, 1).await.expect("the URL has the last word");
    assert_eq!(writing.check(), Check::pass());
}

#[tokio::test]
async fn a_pool_that_gets_no_more_connections_is_told_until_it_does() {
    let database = Database::create();
    let role = format!("limited_{}", uuid::Uuid::now_v7().simple());
    database.run(&format!("create role {role} login password 'few'; grant create on database {} to {role}", name(&database)));
    let url = database.url();
    let (_, place) = url.rsplit_once('@').expect("a role and a host");
    let patient = Config { idle_in_transaction_timeout_ms: 60_000, ..Config::for_tests() };
    let postgres = open_with(&format!("postgres://{role}:few@{place}"), &patient).await.expect("a database");
    let held = postgres.begin().await.expect("a transaction");
    let asking = "query like '%pg_is_in_recovery%'";
    until("the check is connected", async || connections(&database, asking) == 1 && connections(&database, "true") == 2).await;
    database.run(&format!("alter role {role} connection limit 2"));

    assert_unavailable(insert(&postgres, 1).await, "too many connections for role");
    let Check { status: Status::Warn, detail: Some(why) } = postgres.check() else { panic!("{:?}", postgres.check()) };
    assert!(why.starts_with("no new connections: too many connections for role"), "{why}");
    // Who asks no more is not warned for ever.
    check_is(&postgres, Status::Pass).await;
    assert_unavailable(insert(&postgres, 1).await, "too many connections for role");
    assert_eq!(postgres.check().status, Status::Warn);
    database.run(&format!("alter role {role} connection limit 3"));
    insert(&postgres, 1).await.expect("there is one more");
    assert_eq!(postgres.check(), Check::pass());
    held.end(Ok::<_, Error>(())).await.expect("a commit");
    drop(postgres);
    database.run(&format!("drop owned by {role} cascade; drop role {role}"));
}

#[tokio::test]
async fn a_transaction_left_alone_ends_and_gives_its_locks_back() {
    let database = Database::create();
    let config = Config { idle_in_transaction_timeout_ms: 300, ..Config::for_tests() };
    let postgres = open_with(&database.url(), &config).await.expect("a database");
    insert(&postgres, 1).await.expect("an insert");
    let idle = postgres.begin().await.expect("a transaction");
    idle.query(sql("update numbers set word = 'mine'"), &[]).await.expect("a lock");
    // Waits for the row, and gets it.
    postgres.query(sql("update numbers set word = 'yours'"), &[]).await.expect("the lock is given back");
    assert_unavailable(idle.query(sql("select 1"), &[]).await.map(drop), "");
    assert_unavailable(idle.end(Ok(())).await, "");
    let word: String = postgres.query_one(sql("select word from numbers"), &[]).await.expect("a row").get(0);
    assert_eq!(word, "yours");
}

#[tokio::test]
async fn connections_that_nobody_needs_any_more_are_closed() {
    let database = Database::create();
    let config = Config { connection_idle_s: 1, ..Config::for_tests() };
    let postgres = open_with(&database.url(), &config).await.expect("a database");
    let asking = "query like '%pg_is_in_recovery%'";
    let of_pool = || connections(&database, "true") - connections(&database, asking);
    until("the check is connected", async || connections(&database, asking) == 1).await;
    let mut rush = Vec::new();
    for _ in 0..config.connections_max {
        rush.push(postgres.begin().await.expect("a transaction"));
    }
    assert_eq!(of_pool(), 4);
    for transaction in rush {
        transaction.end(Ok::<_, Error>(())).await.expect("a commit");
    }
    // One is enough for a trickle, and none for silence.
    until("three are closed", async || {
        insert(&postgres, uuid::Uuid::now_v7().as_u128() as i64).await.expect("an insert");
        of_pool() == 1
    })
    .await;
    until("all are closed", async || of_pool() == 0).await;
    insert(&postgres, 1).await.expect("there is a new one");
}
