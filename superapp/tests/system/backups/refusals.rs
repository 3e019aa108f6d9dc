//! What is no whole backup, and what would do harm.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tokio::time::{Duration, timeout};

use super::{Shelf, rewrite, says, text, well};
use crate::support::{LIMIT, Process, Role, Setup, System, eventually};

/// A stopped system with a user, and a backup of it.
async fn backed_up(mut system: System, shelf: &Shelf) -> System {
    system.sign_up("ada").await;
    system.post("/chat/rooms/lobby/messages", &json!({ "user": "ada", "text": "hi" })).await;
    well(&system, &["backup", text(&shelf.backup("monday"))]).await;
    system.stop_all().await;
    system
}

#[tokio::test]
async fn a_backup_writes_over_nothing() {
    let shelf = Shelf::new();
    let system = backed_up(System::all_in_one().await, &shelf).await;
    let backup = shelf.backup("monday");
    let before = std::fs::read(backup.join("backup.json")).unwrap();
    says(&system.run(&["backup", text(&backup)]).await, 2, &["monday is there already"]);
    assert_eq!(std::fs::read(backup.join("backup.json")).unwrap(), before);
    assert_eq!(shelf.names(), ["monday"]);
}

#[tokio::test]
async fn a_backup_that_is_killed_never_looks_whole() {
    let shelf = Shelf::new();
    let system = System::all_in_one().await;
    for name in ["ada", "bob", "carl"] {
        system.sign_up(name).await;
    }
    let place = system.place();
    // Killed when it has come so far, or when it is through before that is seen.
    for reached in ["", "users.db", "chat.db", "analytics.db", "backup.json"] {
        let backup = shelf.backup(&format!("until-{reached}"));
        let partial = shelf.backup(&format!("until-{reached}.partial"));
        let mut process = Process::spawn(&["backup".to_owned(), text(&backup).to_owned()], &[(place.0, &place.1)]);
        let come = async {
            while !partial.join(reached).exists() && !backup.exists() {
                tokio::task::yield_now().await
            }
        };
        timeout(LIMIT, come).await.expect("it comes so far");
        process.kill();
        match backup.exists() {
            true => drop(well(&system, &["verify", text(&backup)]).await),
            false => {
                // Written, but not renamed: as whole as its name says.
                let is_described = partial.join("backup.json").exists();
                if !is_described {
                    says(&system.run(&["verify", text(&partial)]).await, 1, &["no backup.json"]);
                }
                well(&system, &["backup", text(&backup)]).await;
                well(&system, &["verify", text(&backup)]).await;
            }
        }
        assert!(!partial.exists(), "what was left is cleared away");
    }
}

#[tokio::test]
async fn a_dump_that_is_killed_never_looks_whole_and_nobody_sees_the_password() {
    let shelf = Shelf::new();
    // One that believes whoever comes, so that any password will do.
    let system = Setup::production().with_own_postgres().start().await;
    system.sign_up("ada").await;
    let (backup, partial) = (shelf.backup("monday"), shelf.backup("monday.partial"));
    let secret = format!("secret{}", std::process::id());
    let url = system.database_url().replace("postgres@", &format!("postgres:{secret}@"));
    assert!(url.contains(&secret), "{url}");
    let path = std::env::var("PATH").unwrap();
    let environment = [("DATABASE_URL", url.as_str()), ("PATH", path.as_str())];

    let lock = system.hold("lock table users.users in access exclusive mode");
    let mut process = Process::spawn(&["backup".to_owned(), text(&backup).to_owned()], &environment);
    let waits = "select from pg_stat_activity where application_name = 'superapp backup of users' and wait_event_type = 'Lock'";
    eventually("it waits", async || !system.sql(waits).is_empty()).await;
    assert!(partial.exists());
    process.kill();
    drop(lock);
    assert!(!backup.exists());
    says(&system.run_with(&["verify", text(&partial)], &environment).await, 1, &["no backup.json"]);

    // Again, and to its end.
    let mut process = Process::spawn(&["backup".to_owned(), text(&backup).to_owned()], &environment);
    let mut seen = Vec::new();
    while timeout(Duration::from_millis(1), process.ended()).await.is_err() {
        seen.extend(command_lines());
    }
    assert!(seen.iter().any(|line| line.contains("pg_dump") && line.contains("--schema=")), "pg_dump was seen");
    assert!(!seen.iter().any(|line| line.contains(&secret)), "the password was seen");
    well(&system, &["verify", text(&backup)]).await;
}

/// What everybody on the machine can read of all processes.
fn command_lines() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).collect()
}

#[tokio::test]
async fn a_backup_that_is_not_what_was_written_is_told_and_touches_nothing() {
    for (system, file) in [(System::all_in_one().await, "chat.db"), (System::production().await, "chat.dump")] {
        let shelf = Shelf::new();
        let mut system = backed_up(system, &shelf).await;
        let backup = shelf.backup("monday");
        let damaged = std::fs::OpenOptions::new().read(true).write(true).open(backup.join(file)).unwrap();
        let mut byte = [0];
        damaged.read_exact_at(&mut byte, 100).unwrap();
        damaged.write_all_at(&[!byte[0]], 100).unwrap();

        let exit = system.run(&["verify", text(&backup)]).await;
        says(&exit, 1, &["broken: chat"]);
        assert!(exit.stdout.contains("the backup is damaged"), "{exit:?}");
        says(&system.run(&["restore", "--force", text(&backup)]).await, 1, &[file, "the backup is damaged"]);
        damaged.set_len(1000).unwrap();
        says(&system.run(&["restore", "--force", text(&backup)]).await, 1, &[file, "has 1000 bytes"]);

        system.start_all().await;
        assert_eq!(system.get("/users").await.json().as_array().unwrap().len(), 1);
        assert_eq!(system.get("/chat").await.json()["messages"], 1);
    }
}

#[tokio::test]
async fn what_is_there_is_only_moved_aside_and_only_when_asked() {
    for system in [System::all_in_one().await, System::production().await] {
        let shelf = Shelf::new();
        let mut system = backed_up(system, &shelf).await;
        let backup = shelf.backup("monday");
        says(&system.run(&["restore", text(&backup)]).await, 2, &["users", "has data, 1 rows", "--force"]);
        let said = well(&system, &["restore", "--force", text(&backup)]).await;
        let aside = said.split_whitespace().find(|word| word.starts_with("before-restore-")).unwrap().trim_end_matches('.').to_owned();
        match system.is_production() {
            false => assert!(system.data_dir().join(&aside).join("users.db").exists(), "{said}"),
            true => {
                let query = format!("select name from users_{}.users", aside.replace('-', "_"));
                assert_eq!(system.sql(&query), [["ada"]]);
            }
        }
        system.start_all().await;
        assert_eq!(system.get("/users").await.json().as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn nothing_is_restored_under_who_serves() {
    for mut system in [System::all_in_one().await, System::roles().await, System::production().await] {
        let shelf = Shelf::new();
        system.sign_up("ada").await;
        well(&system, &["backup", text(&shelf.backup("monday"))]).await;
        let backup = shelf.backup("monday");
        says(&system.run(&["restore", "--force", text(&backup)]).await, 2, &["a process serves users", "stop it first"]);
        assert_eq!(system.get("/users").await.json().as_array().unwrap().len(), 1);
        assert_eq!(system.get("/").await.json()["status"], "pass");
        // One of them is enough.
        if !system.is_all_in_one() {
            for role in [Role::Gateway, Role::Users, Role::Analytics] {
                system.stop(role).await;
            }
            says(&system.run(&["restore", "--force", text(&backup)]).await, 2, &["a process serves chat", "stop it first"]);
            system.stop(Role::Chat).await;
            well(&system, &["restore", "--force", text(&backup)]).await;
        }
    }
}

#[tokio::test]
async fn a_backup_of_a_newer_version_is_refused() {
    let shelf = Shelf::new();
    let system = backed_up(System::all_in_one().await, &shelf).await;
    let backup = shelf.backup("monday");
    rewrite(&backup, |manifest| manifest["databases"][1]["migration"] = json!({ "version": 99, "name": "threads" }));
    for arguments in [vec!["restore", "--force", text(&backup)], vec!["verify", text(&backup)]] {
        says(&system.run(&arguments).await, 2, &["chat", "V99__threads", "take a newer superapp"]);
    }
    rewrite(&backup, |manifest| manifest["format"] = json!(2));
    says(&system.run(&["restore", "--force", text(&backup)]).await, 1, &["backup.json", "a newer superapp wrote it"]);
    well(&system, &["verify"]).await;
}

#[tokio::test]
async fn a_backup_goes_back_to_the_engine_that_it_is_of() {
    let shelf = Shelf::new();
    let file = backed_up(System::all_in_one().await, &shelf).await;
    let server = System::production().await;
    let backup = shelf.backup("monday");
    says(&server.run(&["restore", text(&backup)]).await, 2, &["users", "of SQLite", "in PostgreSQL"]);
    drop(file);
}

#[tokio::test]
async fn a_tool_that_is_missing_is_told_in_a_sentence() {
    let shelf = Shelf::new();
    let system = backed_up(System::production().await, &shelf).await;
    let nowhere = [("PATH", "/nonexistent")];
    let (again, monday) = (shelf.backup("again"), shelf.backup("monday"));
    says(&system.run_with(&["backup", text(&again)], &nowhere).await, 2, &["pg_dump is missing", "postgresql-client"]);
    says(&system.run_with(&["restore", "--force", text(&monday)], &nowhere).await, 2, &["pg_restore is missing"]);
    says(&system.run_with(&["verify", text(&monday)], &nowhere).await, 2, &["pg_restore is missing"]);
    assert_eq!(shelf.names(), ["monday"]);
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_left() {
    for system in [System::all_in_one().await, System::production().await] {
        let shelf = Shelf::new();
        let system = backed_up(system, &shelf).await;
        let place = system.place();
        let limited = |arguments: &[&str]| {
            // A file may have as much as two blocks of 512 bytes, which none of ours gets along with.
            let mut command = Command::new("sh");
            command.args(["-c", "ulimit -f 2; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_superapp")]).args(arguments);
            command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env(place.0, &place.1).output().unwrap()
        };
        let ended = limited(&["backup", text(&shelf.backup("tuesday"))]);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!((ended.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains("users"), "{said}");
        assert_eq!(shelf.names(), ["monday"]);
        if !system.is_production() {
            let ended = limited(&["restore", "--force", text(&shelf.backup("monday"))]);
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert_eq!((ended.status.code(), said.lines().count()), (Some(1), 1), "{said}");
            assert!(said.contains("users.db.restoring"), "{said}");
            assert_eq!(left_of_restores(system.data_dir()), [""; 0]);
        }
        well(&system, &["verify"]).await;
    }
}

/// What a restore puts into the folder on its way.
fn left_of_restores(data_dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(data_dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("restor")).collect()
}

#[tokio::test]
async fn a_database_that_is_not_as_promised_is_told() {
    let system = System::production().await;
    system.sign_up("ada").await;
    system.post("/chat/rooms/lobby/messages", &json!({ "user": "ada", "text": "hi" })).await;
    well(&system, &["verify"]).await;
    system.sql("update chat.rooms set head = 7");
    let exit = system.run(&["verify"]).await;
    says(&exit, 1, &["broken: chat"]);
    assert!(exit.stdout.contains("  broken: room lobby: the head is 7, the log has 1 events"), "{exit:?}");
}

#[tokio::test]
async fn what_is_no_backup_is_told() {
    let shelf = Shelf::new();
    let system = System::all_in_one().await;
    says(&system.run(&["verify", text(&shelf.backup("nowhere"))]).await, 2, &["there is no such folder"]);
    std::fs::create_dir(shelf.backup("empty")).unwrap();
    says(&system.run(&["verify", text(&shelf.backup("empty"))]).await, 1, &["no backup.json"]);
    assert_eq!(system.run(&["restore"]).await.code, Some(2));
    assert_eq!(system.run(&["backup"]).await.code, Some(2));
}
