use super::*;

fn migrations() -> refinery::Runner {
    let text = "create table numbers (number integer primary key) strict;";
    refinery::Runner::new(&[refinery::Migration::unapplied("V1__numbers", text).expect("a valid name")])
}

fn insert(number: i64) -> impl FnOnce(&Connection) -> Result<i64, Error> + Send + 'static {
    move |connection| {
        connection.execute("insert into numbers values ($1)", [number])?;
        Ok(number)
    }
}

async fn count(database: &Sqlite) -> i64 {
    let count = |connection: &Connection| Ok(connection.query_row("select count(*) from numbers", [], |row| row.get(0))?);
    database.read(count).await.expect("count")
}

#[tokio::test]
async fn the_live_connections_sync_fully_in_wal_mode() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Sqlite::open(folder.path(), "t", &migrations()).expect("open");
    let settings = |connection: &Connection| {
        let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let foreign_keys: bool = connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
        Ok((synchronous, journal, foreign_keys))
    };
    let full = 2;
    assert_eq!(database.write(settings).await.expect("read"), (full, "wal".to_owned(), true));
    assert_eq!(database.read(settings).await.expect("read"), (full, "wal".to_owned(), true));
}

#[tokio::test]
async fn an_error_undoes_its_own_work_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Sqlite::open(folder.path(), "t", &migrations()).expect("open");
    let failing = |connection: &Connection| -> Result<(), Error> {
        connection.execute("insert into numbers values (1000)", [])?;
        Err(Error::Internal("no".to_owned()))
    };
    let panicking = |_: &Connection| -> Result<(), Error> { panic!("on purpose") };
    let good = futures_util::future::join_all((0..100).map(|number| database.write(insert(number))));
    let (good, bad, worse) = tokio::join!(good, database.write(failing), database.write(panicking));
    assert!(good.into_iter().all(|outcome| outcome.is_ok()));
    assert!(bad.is_err() && worse.is_err());
    assert_eq!(count(&database).await, 100);
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Sqlite::open(folder.path(), "t", &migrations()).expect("open");
    assert!(database.read(insert(1)).await.is_err());
}

#[test]
fn a_second_process_on_the_folder_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Sqlite::open(folder.path(), "t", &migrations()).expect("open");
    let second = Sqlite::open(folder.path(), "t", &migrations()).err().expect("the second must fail");
    assert!(matches!(&second, Error::InUse(text) if text.contains("another process")), "{second}");
    drop(first);
    Sqlite::open(folder.path(), "t", &migrations()).expect("free again");
}

#[test]
fn a_damaged_file_is_told_at_start_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.db");
    std::fs::write(&path, "this is no database, but it is long enough to be looked at".repeat(100)).expect("write");
    let before = std::fs::read(&path).expect("read");
    let error = Sqlite::open(folder.path(), "t", &migrations()).err().expect("must fail");
    assert!(matches!(&error, Error::Damaged(text) if text.contains("t.db")), "{error}");
    assert_eq!(std::fs::read(&path).expect("read"), before);
}

#[tokio::test]
async fn a_page_of_garbage_in_the_middle_is_told_at_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Sqlite::open(folder.path(), "t", &migrations()).expect("open");
    futures_util::future::join_all((0..2000).map(|number| database.write(insert(number)))).await;
    drop(database);
    let path = folder.path().join("t.db");
    let opened = || Sqlite::open(folder.path(), "t", &migrations());
    // The writer thread closes the file, and with it the log, a moment after the last handle is gone.
    let mut file = loop {
        let bytes = std::fs::read(&path).expect("read");
        if bytes.len() > 5 * 4096 && !folder.path().join("t.db-wal").exists() {
            break bytes;
        }
        std::thread::yield_now();
    };
    file[3 * 4096..4 * 4096].fill(0xa5);
    std::fs::write(&path, file).expect("write");
    assert!(matches!(opened().err().expect("must fail"), Error::Damaged(_)));
}

#[tokio::test]
async fn a_failing_migration_leaves_the_old_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Sqlite::open(folder.path(), "t", &migrations()).expect("open");
    database.write(insert(7)).await.expect("insert");
    drop(database);
    let broken = [
        refinery::Migration::unapplied("V1__numbers", "create table numbers (number integer primary key) strict;").expect("valid"),
        refinery::Migration::unapplied("V2__words", "create table words (word text) strict;").expect("valid"),
        refinery::Migration::unapplied("V3__broken", "create table nonsense (").expect("valid"),
    ];
    // The writer thread lets go of the folder a moment after the last handle is gone.
    let error = loop {
        match Sqlite::open(folder.path(), "t", &refinery::Runner::new(&broken)).err().expect("must fail") {
            Error::InUse(_) => std::thread::yield_now(),
            error => break error,
        }
    };
    assert!(error.to_string().contains("migrate"), "{error}");
    let database = Sqlite::open(folder.path(), "t", &migrations()).expect("the old state opens");
    assert_eq!(count(&database).await, 1);
    let words = |connection: &Connection| Ok(connection.prepare("select * from words").is_err());
    assert!(database.read(words).await.expect("read"), "the second migration must be undone too");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_who_go_leave_neither_queries_nor_connections_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Sqlite::open(folder.path(), "t", &migrations()).expect("open");
    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    for _ in 0..3 * READERS {
        let read = database.read(move |connection| Ok(connection.query_row(endless, [], |row| row.get::<_, i64>(0))?));
        // Long enough to begin; none of them would ever end.
        let _ = tokio::time::timeout(Duration::from_millis(20), read).await;
    }
    let read = database.read(|connection| Ok(connection.query_row("select 1", [], |row| row.get::<_, i64>(0))?));
    let answer = tokio::time::timeout(Duration::from_secs(10), read).await;
    assert_eq!(answer.expect("a reader is free").expect("it reads"), 1);
    assert!(database.shared.readers.lock().expect("whole").len() <= READERS);
}
