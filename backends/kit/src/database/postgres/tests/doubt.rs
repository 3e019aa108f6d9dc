//! Nothing that is in doubt goes back to the pool, and nothing that fails stays half.

use futures_util::future::join_all;

use super::*;

const INSERT: Statement = Statement { name: "insert", text: "insert into numbers (number) values ($1)" };

/// As many as there are in the pool, at once, each with its own answer.
async fn answers_are_right(postgres: &Postgres) {
    let asked = join_all((0..20_i64).map(async |number| {
        let row = postgres.query_one(sql("select $1::bigint"), &[&number]).await.expect("an answer");
        assert_eq!(row.get::<_, i64>(0), number);
    }));
    asked.await;
}

/// Begins something that lasts, and goes away when the server is at it.
async fn abandon(database: &Database, marker: &str, work: impl Future<Output = ()> + Send + 'static) {
    let work = tokio::spawn(work);
    let condition = format!("query like '%{marker}%'");
    until("the server is at it", async || connections(database, &condition) > 0).await;
    work.abort();
    assert!(work.await.expect_err("it was aborted").is_cancelled());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_leaves_no_statement_behind() {
    let (database, postgres) = numbers().await;
    let config = Config { statement_timeout_ms: 60_000, ..Config::for_tests() };
    // The server does not look by itself, so it has to be told.
    let url = format!("{}?options=-c%20client_connection_check_interval%3D0", database.url());
    let patient = open_with(&url, &config).await.expect("a database");
    let started = Instant::now();
    let ours = patient.clone();
    let long = async move { drop(ours.query(sql("select pg_sleep(50)"), &[]).await) };
    abandon(&database, "pg_sleep(50)", long).await;
    until("it has ended", async || connections(&database, "query like '%pg_sleep(50)%' and state = 'active'") == 0).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    answers_are_right(&patient).await;
    answers_are_right(&postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_in_a_transaction_undoes_it() {
    let (database, postgres) = numbers().await;
    insert(&postgres, 1).await.expect("an insert");
    let ours = postgres.clone();
    let work = async move {
        let transaction = ours.begin().await.expect("a transaction");
        transaction.query(sql("update numbers set number = 1000"), &[]).await.expect("an update");
        std::future::pending::<()>().await;
    };
    abandon(&database, "number = 1000", work).await;
    postgres.query(sql("update numbers set word = 'free'"), &[]).await.expect("the row is free again");
    let ours = postgres.clone();
    let work = async move {
        let transaction = ours.begin().await.expect("a transaction");
        transaction.query(sql("update numbers set number = 1000"), &[]).await.expect("an update");
        drop(transaction.query(sql("select pg_sleep(1.5)"), &[]).await);
    };
    abandon(&database, "pg_sleep(1.5)", work).await;
    until("the transaction is gone", async || connections(&database, "xact_start is not null") == 0).await;
    answers_are_right(&postgres).await;
    assert_eq!(ask(&database, "select number || word from t.numbers"), "1free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_in_a_pipeline_leaves_all_or_nothing() {
    let (database, postgres) = numbers().await;
    let ours = postgres.clone();
    let work = async move {
        let calls: [Call<'_>; 3] = [(INSERT, &[&1_i64]), (sql("select pg_sleep(0.5)"), &[]), (INSERT, &[&2_i64])];
        drop(ours.pipeline(&calls).await);
    };
    abandon(&database, "pg_sleep(0.5)", work).await;
    until("the transaction is gone", async || connections(&database, "xact_start is not null") == 0).await;
    let count = count(&postgres).await;
    assert!(count == 0 || count == 2, "{count}");
    answers_are_right(&postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_goes_never_costs_more_connections_than_agreed() {
    let (database, postgres) = numbers().await;
    let connections_max = Config::for_tests().connections_max + 1;
    insert(&postgres, 1).await.expect("an insert");
    let holder = postgres.begin().await.expect("a transaction");
    holder.query(sql("select number from numbers for update"), &[]).await.expect("a lock");
    for _ in 0..10 {
        let crowd: Vec<_> = (0..8)
            .map(|_| {
                let ours = postgres.clone();
                tokio::spawn(async move { drop(ours.query(sql("update numbers set word = 'x'"), &[]).await) })
            })
            .collect();
        until("some of them wait for the row", async || connections(&database, "wait_event_type = 'Lock'") > 0).await;
        crowd.iter().for_each(tokio::task::JoinHandle::abort);
        let now = connections(&database, "true");
        assert!(now <= connections_max, "{now} connections");
    }
    holder.end(Ok::<_, Error>(())).await.expect("a commit");
    answers_are_right(&postgres).await;
    assert!(connections(&database, "true") <= connections_max);
}

#[tokio::test]
async fn a_transaction_is_kept_when_it_is_good_and_undone_otherwise() {
    let (_database, postgres) = numbers().await;
    for (number, outcome, expected) in [(1, None, 0), (2, Some(Err(Error::Busy)), 0), (3, Some(Ok(())), 1)] {
        let transaction = postgres.begin().await.expect("a transaction");
        transaction.query(INSERT, &[&i64::from(number)]).await.expect("an insert");
        match outcome {
            None => drop(transaction),
            Some(outcome) => {
                let is_good: bool = outcome.is_ok();
                assert_eq!(transaction.end(outcome).await.is_ok(), is_good);
            }
        }
        assert_eq!(count(&postgres).await, expected);
    }
}

#[tokio::test]
async fn a_transaction_with_a_failed_statement_is_never_taken_for_kept() {
    let (_database, postgres) = numbers().await;
    insert(&postgres, 1).await.expect("an insert");
    let transaction = postgres.begin().await.expect("a transaction");
    transaction.query(INSERT, &[&2_i64]).await.expect("an insert");
    // A caller that thinks it can go on: PostgreSQL answers its commit with a rollback, and calls that a success.
    assert!(matches!(transaction.query(INSERT, &[&1_i64]).await, Err(Error::Taken)));
    assert!(matches!(transaction.end(Ok::<_, Error>(())).await, Err(Error::Taken)));
    assert_eq!(count(&postgres).await, 1);
}

#[tokio::test]
async fn a_snapshot_sees_one_moment_and_does_not_write() {
    let (_database, postgres) = numbers().await;
    let counted = sql("select count(*) from numbers");
    let snapshot = postgres.begin_snapshot().await.expect("a snapshot");
    assert_eq!(snapshot.query(counted, &[]).await.expect("a count")[0].get::<_, i64>(0), 0);
    insert(&postgres, 1).await.expect("an insert");
    assert_eq!(snapshot.query(counted, &[]).await.expect("a count")[0].get::<_, i64>(0), 0);
    assert!(snapshot.query(INSERT, &[&2_i64]).await.is_err());
    assert!(snapshot.end(Err::<(), _>(Error::Busy)).await.is_err());
    assert_eq!(count(&postgres).await, 1);
}

#[tokio::test]
async fn a_pipeline_that_fails_in_the_middle_undoes_all_and_tells_the_first_error() {
    let database = Database::create();
    let postgres = open_with(&database.url(), &Config { connections_max: 1, ..Config::for_tests() }).await.expect("a database");
    let pid = async || postgres.query_one(sql("select pg_backend_pid()"), &[]).await.expect("a pid").get::<_, i32>(0);
    let before = pid().await;
    let numbers: [Call<'_>; 4] = [(INSERT, &[&1_i64]), (INSERT, &[&2_i64]), (INSERT, &[&1_i64]), (sql("select 1 / 0"), &[])];
    assert!(matches!(postgres.pipeline(&numbers).await, Err(Error::Taken)));
    assert_eq!(count(&postgres).await, 0);
    let answers = postgres.pipeline(&[(INSERT, &[&1_i64]), (sql("select count(*) from numbers"), &[])]).await.expect("all good");
    assert_eq!((answers.len(), answers[1][0].get::<_, i64>(0)), (2, 1));
    assert_eq!(pid().await, before, "the connection is still good");
}

#[tokio::test]
async fn what_the_server_refuses_is_an_error_of_its_kind_and_the_connection_stays() {
    let database = Database::create();
    let postgres = open_with(&database.url(), &Config { connections_max: 1, ..Config::for_tests() }).await.expect("a database");
    let pid = async || postgres.query_one(sql("select pg_backend_pid()"), &[]).await.expect("a pid").get::<_, i32>(0);
    let before = pid().await;
    let nul = postgres.query(sql("insert into numbers (number, word) values (1, $1)"), &[&"a\0b"]).await.expect_err("no text");
    assert!(matches!(&nul, Error::Internal(text) if text.contains("0x00")), "{nul:?}");
    insert(&postgres, 1).await.expect("an insert");
    let taken = insert(&postgres, 1).await.expect_err("it is there");
    assert!(matches!(taken, Error::Taken), "{taken:?}");
    let is_unavailable = |error: &Error| matches!(error, Error::Unavailable(_));
    let null = postgres.query(sql("insert into numbers (word) values ('a secret')"), &[]).await.expect_err("no number");
    assert!(matches!(&null, Error::Internal(text) if text.contains("violates not-null") && !text.contains("secret")), "{null:?}");
    let raised = |code: &str| format!("do $$ begin raise exception 'no' using errcode = '{code}'; end $$");
    for (code, is_expected) in [
        ("40001", is_unavailable as fn(&Error) -> bool),
        ("42501", is_unavailable),
        ("53300", is_unavailable),
        ("55P03", is_unavailable),
        ("57014", is_unavailable),
        ("58030", is_unavailable),
        ("XX001", |error| matches!(error, Error::Damaged(_))),
        ("23505", |error| matches!(error, Error::Taken)),
        ("23503", |error| matches!(error, Error::Internal(_))),
        ("22012", |error| matches!(error, Error::Internal(_))),
        ("XX000", |error| matches!(error, Error::Internal(_))),
    ] {
        let error = postgres.query(sql(raised(code).leak()), &[]).await.expect_err("it is raised");
        assert!(is_expected(&error), "{code}: {error:?}");
    }
    let wrong = postgres.query(INSERT, &[&"no number"]).await.expect_err("a text is no number");
    assert!(matches!(&wrong, Error::Internal(text) if text.contains("error serializing parameter 0")), "{wrong:?}");
    let missing = postgres.query(INSERT, &[]).await.expect_err("a parameter too few");
    assert!(matches!(&missing, Error::Internal(text) if text.contains("expected 1 parameters but got 0")), "{missing:?}");
    assert_eq!(pid().await, before, "the connection is still good");
}

#[tokio::test]
async fn a_table_that_changes_shape_costs_an_error_at_most() {
    let database = Database::create();
    let postgres = open_with(&database.url(), &Config { connections_max: 1, ..Config::for_tests() }).await.expect("a database");
    let list = sql("select number from numbers");
    postgres.query(list, &[]).await.expect("an answer");
    database.run("alter table t.numbers alter column number type int");
    // What is prepared on the connection no longer fits.
    postgres.query(list, &[]).await.expect_err("the plan is stale");
    postgres.query(list, &[]).await.expect("an answer");
}

#[tokio::test]
async fn a_server_that_became_read_only_is_connected_to_anew() {
    let database = Database::create();
    let postgres = open_with(&database.url(), &Config { connections_max: 1, ..Config::for_tests() }).await.expect("a database");
    insert(&postgres, 1).await.expect("it writes");
    database.run(&format!("alter database {} set default_transaction_read_only = on", name(&database)));
    insert(&postgres, 2).await.expect("a connection keeps what it has begun with");
    postgres.query(sql("set default_transaction_read_only = on"), &[]).await.expect("as after a failover");
    assert!(matches!(insert(&postgres, 3).await, Err(Error::Unavailable(text)) if text.contains("read-only")));
    database.run(&format!("set transaction read write; alter database {} set default_transaction_read_only = off", name(&database)));
    until("it writes again", async || insert(&postgres, 4).await.is_ok()).await;
}
