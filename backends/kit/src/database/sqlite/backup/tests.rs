use tempfile::TempDir;

use super::super::Sqlite;
use super::*;

fn migrations() -> refinery::Runner {
    let text = "create table numbers (number integer primary key) strict;";
    refinery::Runner::new(&[refinery::Migration::unapplied("V1__numbers", text).expect("a valid name")])
}

fn open(folder: &TempDir) -> Sqlite {
    loop {
        match Sqlite::open(folder.path(), "t", &migrations()) {
            // The writer thread lets go of the folder a moment after the last handle is gone.
            Err(database::Error::InUse(_)) => std::thread::yield_now(),
            opened => return opened.expect("open"),
        }
    }
}

fn begin(folder: &TempDir) -> Restore {
    loop {
        match Restore::begin(folder.path(), "t") {
            Err(Error::Refused(_)) => std::thread::yield_now(),
            begun => return begun.expect("begin"),
        }
    }
}

async fn insert(database: &Sqlite, number: i64) {
    let insert = move |connection: &Connection| Ok(connection.execute("insert into numbers values ($1)", [number])?);
    database.write(insert).await.expect("insert");
}

async fn numbers(database: &Sqlite) -> Vec<i64> {
    let list = |connection: &Connection| {
        let mut statement = connection.prepare("select number from numbers order by number")?;
        let numbers = statement.query_map([], |row| row.get(0))?;
        Ok(numbers.collect::<Result<_, _>>()?)
    };
    database.read(list).await.expect("list")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_everything_that_was_committed_before_it_and_holds_nobody_up() {
    let (folder, shelf) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let database = open(&folder);
    for number in 0..100 {
        insert(&database, number).await;
    }
    let (from, to) = (folder.path().to_owned(), shelf.path().join("copy.db"));
    let copied = to.clone();
    let copying = tokio::task::spawn_blocking(move || copy(&from, "t", &copied));
    for number in 100..200 {
        insert(&database, number).await;
    }
    let contents = copying.await.expect("no panic").expect("a copy");
    let rows = contents.rows["numbers"];
    assert!((100..=200).contains(&rows), "{rows}");
    assert_eq!(contents.migration.as_ref().map(|migration| (migration.version, migration.name.as_str())), Some((1, "numbers")));
    assert_eq!(look_into(&to).expect("contents"), contents);
    assert_eq!(std::fs::read_dir(shelf.path()).expect("a folder").count(), 1, "a file, and nothing beside it");
    let again = copy(folder.path(), "t", &to).expect_err("it is there").to_string();
    assert!(again.contains("copy.db"), "{again}");
}

#[tokio::test]
async fn what_was_there_is_moved_aside_with_what_was_not_yet_in_its_file_and_comes_back() {
    let (folder, shelf) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let database = open(&folder);
    insert(&database, 1).await;
    let to = shelf.path().join("copy.db");
    copy(folder.path(), "t", &to).expect("a copy");
    insert(&database, 2).await;
    drop(database);

    let mut restore = begin(&folder);
    assert_eq!(restore.present().expect("contents").map(|contents| contents.rows_in_all()), Some(2));
    restore.prepare(&to).expect("prepared");
    // Whoever closes it last, the writer's thread or the look at it, takes the log away.
    while folder.path().join("t.db-wal").exists() {
        std::thread::yield_now();
    }
    // As if whoever had it was killed: what was committed last is in the log alone.
    std::fs::write(folder.path().join("t.db-wal"), "a log").expect("write");
    restore.put("aside").expect("put");
    assert_eq!(std::fs::read(folder.path().join("aside/t.db-wal")).expect("moved"), b"a log");
    assert_eq!(std::fs::read(folder.path().join("t.db")).expect("there"), std::fs::read(&to).expect("a copy"));
    assert!(!folder.path().join("t.db-wal").exists());
    restore.undo().expect("undone");
    drop(restore);
    assert_eq!(std::fs::read(folder.path().join("t.db-wal")).expect("back"), b"a log");
    let mut left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    left.sort();
    assert_eq!(left, ["t.db", "t.db-wal", "t.lock"]);
    std::fs::remove_file(folder.path().join("t.db-wal")).expect("removed");
    assert_eq!(numbers(&open(&folder)).await, [1, 2]);

    let mut restore = begin(&folder);
    restore.prepare(&to).expect("prepared");
    restore.put("aside").expect("put");
    drop(restore);
    assert_eq!(numbers(&open(&folder)).await, [1]);
}

#[test]
fn nobody_restores_under_who_serves_and_nobody_serves_what_is_being_restored() {
    let folder = TempDir::new().expect("a folder");
    let serving = open(&folder);
    let refused = Restore::begin(folder.path(), "t").err().expect("it is in use");
    assert!(matches!(&refused, Error::Refused(why) if why.contains("a process serves t")), "{refused}");
    drop(serving);
    let _restoring = begin(&folder);
    assert!(matches!(Sqlite::open(folder.path(), "t", &migrations()), Err(database::Error::InUse(_))));
}

#[tokio::test]
async fn who_only_looks_makes_locks_and_migrates_nothing() {
    let folder = TempDir::new().expect("a folder");
    let look = |migrations: refinery::Runner| Sqlite::open_as_is(folder.path(), "t", &migrations);
    assert!(look(migrations()).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    let serving = open(&folder);
    insert(&serving, 1).await;
    let looking = look(migrations()).expect("beside who serves");
    assert_eq!(numbers(&looking).await, [1]);
    assert_eq!(looking.check_integrity().await.expect("checked"), [""; 0]);
    let newer = ["create table numbers (number integer primary key) strict;", "create table words (word text) strict;"];
    let newer = newer
        .iter()
        .enumerate()
        .map(|(index, text)| refinery::Migration::unapplied(["V1__numbers", "V2__words"][index], text).expect("a valid name"));
    let error = look(refinery::Runner::new(&newer.collect::<Vec<_>>())).err().expect("it is behind").to_string();
    assert!(error.contains("not at head"), "{error}");
}

#[tokio::test]
async fn rows_that_refer_to_nothing_are_told() {
    let folder = TempDir::new().expect("a folder");
    let tables = "create table parents (id integer primary key) strict;
        create table children (id integer primary key, parent integer references parents (id)) strict;";
    let migrations = [refinery::Migration::unapplied("V1__family", tables).expect("a valid name")];
    let database = Sqlite::open(folder.path(), "t", &refinery::Runner::new(&migrations)).expect("open");
    let family = "insert into parents values (1); insert into children values (1, 1)";
    database.write(move |connection| Ok(connection.execute_batch(family)?)).await.expect("inserted");
    assert_eq!(database.check_integrity().await.expect("checked"), [""; 0]);
    // Somebody from outside, who does not care.
    let other = Connection::open(folder.path().join("t.db")).expect("open");
    other.pragma_update(None, "foreign_keys", false).expect("off");
    other.execute("delete from parents", []).expect("deleted");
    let expected = ["a row of children refers to one of parents that is not there"];
    assert_eq!(database.check_integrity().await.expect("checked"), expected);
}
