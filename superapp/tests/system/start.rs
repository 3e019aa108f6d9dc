//! Starting, refusing to start, and stopping.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixDatagram};
use tokio::time::timeout;

use crate::support::{DeadAddress, Exit, LIMIT, Process, Role, Setup, System, eventually, in_every_shape, superapp};

/// Settings that touch nobody: free ports, this folder.
fn arguments<'a>(command: &'a str, data_dir: &'a str, more: &[&'a str]) -> Vec<String> {
    let free = [
        data_dir,
        "gateway.listen=127.0.0.1:0",
        "gateway.admin_listen=127.0.0.1:0",
        "users.listen=127.0.0.1:0",
        "chat.listen=127.0.0.1:0",
        "analytics.listen=127.0.0.1:0",
    ];
    let set = free.iter().chain(more).flat_map(|assignment| ["--set", *assignment]);
    std::iter::once(command).chain(set).map(str::to_owned).collect()
}

/// Starts what should not start.
async fn start(command: &str, data_dir: &Path, more: &[&str]) -> Exit {
    let data_dir = format!("data_dir={}", data_dir.display());
    let arguments = arguments(command, &data_dir, more);
    superapp(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[]).await
}

/// It ended with one sentence, the exit code 1 and nothing else. The sentence.
fn sentence(exit: &Exit) -> String {
    assert_eq!((exit.code, exit.stdout.as_str()), (Some(1), ""), "{exit:?}");
    assert_eq!(exit.stderr.lines().count(), 1, "{exit:?}");
    let sentence = exit.stderr.strip_prefix("superapp: ").unwrap_or_else(|| panic!("{exit:?}"));
    for ugly in ["Error {", "RUST_BACKTRACE", "panicked", "Os {"] {
        assert!(!sentence.contains(ugly), "{sentence}");
    }
    sentence.to_owned()
}

in_every_shape!(what_is_ready_answers, a_signal_ends_everything_at_once_when_nothing_is_in_flight);

async fn what_is_ready_answers(system: System) {
    for path in ["/livez", "/readyz", "/version", "/users", "/"] {
        assert_eq!(system.get(path).await.status, 200, "{path}");
    }
    for role in [Role::Users, Role::Chat, Role::Analytics] {
        for replica in system.replicas(role) {
            assert_eq!(system.get_at(replica, "/livez").await.status, 200, "{role:?}");
        }
    }
    assert!(system.replicas(Role::Chat).len() >= 2);
    let gateway = format!("http://{}", system.address(Role::Gateway));
    let healthy = superapp(&["health", &gateway], &[]).await;
    assert_eq!((healthy.code, healthy.stdout.lines().count()), (Some(0), 1), "{healthy:?}");
    assert!(healthy.stdout.contains("is ready"), "{healthy:?}");
    for role in [Role::Users, Role::Chat, Role::Analytics] {
        let replicas = system.replicas(role);
        let listen = format!("{}.listen={}", role.name(), json!(replicas));
        let healthy = superapp(&["health", role.name(), "--set", &listen], &[]).await;
        assert_eq!((healthy.code, healthy.stdout.lines().count()), (Some(0), replicas.len()), "{healthy:?}");
    }
}

async fn a_signal_ends_everything_at_once_when_nothing_is_in_flight(mut system: System) {
    system.sign_up("ada").await;
    let gateway = format!("http://{}", system.address(Role::Gateway));
    let roles: &[Role] = if system.is_all_in_one() { &[Role::Gateway] } else { &[Role::Gateway, Role::Users, Role::Chat, Role::Analytics] };
    for role in roles {
        let started = Instant::now();
        system.stop(*role).await;
        // gateway.drain_s is 30.
        assert!(started.elapsed() < Duration::from_secs(5), "{role:?} took {:?}", started.elapsed());
    }
    let gone = superapp(&["health", &gateway], &[]).await;
    assert_eq!(sentence(&gone), format!("{gateway}: Connection refused (os error 111)"));
}

#[tokio::test]
async fn who_is_no_role_has_no_health() {
    let health = superapp(&["health", "usres"], &[]).await;
    assert!(sentence(&health).starts_with("usres is neither a role"), "{health:?}");
}

#[tokio::test]
async fn whoever_waits_for_health_is_told_when_it_is_there() {
    let mut system = System::roles().await;
    let gateway = format!("http://{}", system.address(Role::Gateway));
    system.kill(Role::Users).await;
    let is_ready = async || superapp(&["health", &gateway], &[]).await.code == Some(0);
    eventually("the gateway sees that users are gone", async || !is_ready().await).await;
    let patiently = ["health", "--wait", "60", &gateway];
    let (patient, ()) = tokio::join!(superapp(&patiently, &[]), system.start(Role::Users));
    assert_eq!(patient.code, Some(0), "{patient:?}");
    system.stop(Role::Gateway).await;
    let in_vain = superapp(&["health", "--wait", "1", &gateway], &[]).await;
    assert!(sentence(&in_vain).contains("Connection refused") && in_vain.took >= Duration::from_secs(1), "{in_vain:?}");
}

#[tokio::test]
async fn a_service_manager_is_told_when_it_serves_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let data_dir = format!("data_dir={}", folder.path().display());
    let mut process = Process::spawn(&arguments("all", &data_dir, &[]), &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let told = async || {
        let mut state = [0; 64];
        let length = timeout(LIMIT, manager.recv(&mut state)).await.expect("told in time").unwrap();
        String::from_utf8_lossy(&state[..length]).into_owned()
    };
    assert_eq!(told().await, "READY=1");
    let ready = process.ready().await;
    assert!(TcpStream::connect(ready["gateway"][0]).await.is_ok());
    process.terminate();
    assert_eq!(told().await, "STOPPING=1");
    assert_eq!(process.ended().await, Some(0));

    // One that is gone is no reason not to serve.
    drop(manager);
    let mut process = Process::spawn(&arguments("all", &data_dir, &[]), &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert!(process.ready().await.contains_key("gateway"));
}

#[tokio::test]
async fn every_log_line_is_a_json_object() {
    let system = System::all_in_one().await;
    for line in system.log(Role::Gateway) {
        assert!(serde_json::from_str::<Value>(&line).is_ok_and(|event| event["level"].is_string()), "{line}");
    }
}

#[tokio::test]
async fn a_role_alone_says_what_does_not_cross_processes() {
    let system = System::roles().await;
    for role in [Role::Users, Role::Chat, Role::Analytics] {
        let log = system.log(role).join("\n");
        assert!(log.contains("without Redis, happenings of "), "{log}");
    }
    let system = System::all_in_one().await;
    assert!(!system.log(Role::Gateway).join("\n").contains("without Redis"));
}

/// A request whose body is still on its way: in flight, at the gateway and at users.
struct SlowRequest {
    stream: TcpStream,
    rest: &'static [u8],
}

impl SlowRequest {
    async fn begin(system: &System) -> Self {
        let (begun, rest) = br#"{"name":"Ada","email":"ada@example.com"}"#.split_at(10);
        let length = begun.len() + rest.len();
        let mut stream = TcpStream::connect(system.address(Role::Gateway)).await.unwrap();
        // Asked to go on, we know that it has arrived at users.
        let head = format!(
            "POST /users HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(timeout(LIMIT, stream.read_u8()).await.unwrap().unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 100 Continue\r\n"), "{}", answer.escape_ascii());
        stream.write_all(begun).await.unwrap();
        Self { stream, rest }
    }

    async fn finish(mut self) -> String {
        self.stream.write_all(self.rest).await.unwrap();
        let mut answer = Vec::new();
        timeout(LIMIT, self.stream.read_to_end(&mut answer)).await.expect("the answer and the end of the connection").unwrap();
        String::from_utf8(answer).unwrap()
    }
}

async fn door_is_closed(system: &System) {
    eventually("the door is closed", async || TcpStream::connect(system.address(Role::Gateway)).await.is_err()).await;
}

#[tokio::test]
async fn a_request_in_flight_is_finished_before_the_end() {
    let mut system = System::all_in_one().await;
    let slow = SlowRequest::begin(&system).await;
    system.terminate(Role::Gateway);
    door_is_closed(&system).await;
    let answer = slow.finish().await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    system.ended(Role::Gateway).await;
}

#[tokio::test]
async fn what_takes_longer_than_the_drain_is_cut_off() {
    let mut system = Setup::all_in_one().set("gateway.drain_s=1").start().await;
    let slow = SlowRequest::begin(&system).await;
    let started = Instant::now();
    system.stop(Role::Gateway).await;
    assert!(started.elapsed() >= Duration::from_secs(1), "it took {:?}", started.elapsed());
    drop(slow);
}

#[tokio::test]
async fn a_second_signal_ends_everything_at_once() {
    let mut system = System::all_in_one().await;
    let _slow = SlowRequest::begin(&system).await;
    system.terminate(Role::Gateway);
    door_is_closed(&system).await;
    system.terminate(Role::Gateway);
    assert_eq!(system.exit_code(Role::Gateway).await, Some(1));
}

#[tokio::test]
async fn a_second_process_on_the_same_data_ends_with_a_sentence() {
    let system = System::all_in_one().await;
    for command in ["all", "users"] {
        let exit = start(command, system.data_dir(), &[]).await;
        let said = sentence(&exit);
        assert!(said.starts_with("another process already runs "), "{said}");
        assert!(said.contains(&system.data_dir().display().to_string()) && said.contains("--set data_dir="), "{said}");
    }
    assert_eq!(system.get("/users").await.status, 200, "the first one goes on");
}

#[tokio::test]
async fn a_taken_port_is_told_with_the_cure() {
    let system = System::all_in_one().await;
    let folder = tempfile::tempdir().unwrap();
    let taken = system.address(Role::Users);
    let exit = start("all", folder.path(), &[&format!("users.listen={taken}")]).await;
    let said = sentence(&exit);
    assert!(said.contains(&format!("{taken} is taken")) && said.contains("--set users.listen=127.0.0.1:"), "{said}");
    assert!(exit.took < Duration::from_secs(3), "it took {:?}", exit.took);
    assert!(!folder.path().join("users.db").exists(), "ports come before data");
}

#[tokio::test]
async fn a_typo_in_the_configuration_is_told_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.toml");
    std::fs::write(&file, "[gateway]\nlistn = \"localhost:8080\"\n").unwrap();
    let path = file.display().to_string();
    for arguments in [["check", "--config", path.as_str()], ["--config", path.as_str(), "check"], ["--config", path.as_str(), "all"]] {
        let exit = superapp(&arguments, &[]).await;
        assert_eq!(sentence(&exit), format!("{path}:2: unknown key `gateway.listn`, did you mean `gateway.listen`?"));
    }
    std::fs::write(&file, "[gateway]\nlisten = \"localhost:8080\"\n").unwrap();
    let exit = superapp(&["check", "--config", &path], &[]).await;
    assert_eq!((exit.code, exit.stderr.as_str()), (Some(0), ""), "{exit:?}");
    let exit = superapp(&["check", "--set", "gatway.listen=x"], &[("SUPERAPP__CHAT__RATE_BURST", "many")]).await;
    assert_eq!((exit.code, exit.stderr.lines().count()), (Some(1), 2), "every finding is told: {exit:?}");
}

#[tokio::test]
async fn the_printed_defaults_are_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("defaults.toml");
    let printed = superapp(&["config"], &[]).await;
    assert_eq!(printed.code, Some(0));
    std::fs::write(&file, &printed.stdout).unwrap();
    let exit = superapp(&["check", "--config", &file.display().to_string()], &[]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = sentence(&start("all", &file.join("data"), &[]).await);
    assert!(said.contains(&file.display().to_string()), "{said}");
}

#[tokio::test]
async fn a_damaged_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.db");
    std::fs::write(&file, "this is no database, it is a text that is long enough to be taken for a header ".repeat(100)).unwrap();
    for command in ["all", "users", "migrate"] {
        let said = sentence(&start(command, folder.path(), &[]).await);
        assert!(said.contains("damaged") && said.contains(&file.display().to_string()), "{said}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_and_its_password_not_shown() {
    let (folder, dead) = (tempfile::tempdir().unwrap(), DeadAddress::new());
    let url = format!("postgres://app:hunter2@{}/app", dead.address);
    let exit = start("users", folder.path(), &[&format!("database_url={url}"), "database.start_timeout_s=1"]).await;
    let said = exit.stderr.lines().last().unwrap_or_default();
    assert_eq!((exit.code, exit.stdout.as_str()), (Some(1), ""), "{exit:?}");
    assert!(said.starts_with(&format!("superapp: storage is unavailable: PostgreSQL at {}/app: ", dead.address)), "{said}");
    assert!(said.contains("refused") && !exit.stderr.contains("hunter2"), "{exit:?}");
    assert!(exit.took < Duration::from_secs(5), "{:?}", exit.took);
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_no_reason_not_to_start() {
    let dead = DeadAddress::new();
    let setup = Setup::all_in_one().set(&format!("redis_url=redis://:hunter2@{}", dead.address));
    let system = setup.start_as("warn").await;
    let checks = system.get("/").await.json()["services"]["users"]["replicas"][0]["checks"].clone();
    assert_eq!((&checks["database"]["status"], &checks["bus"]["status"]), (&json!("pass"), &json!("warn")), "{checks}");
    for check in ["bus", "cache"] {
        assert!(checks[check]["detail"].as_str().unwrap().starts_with("redis is away: "), "{checks}");
    }
    system.sign_up("ada").await;
    assert!(!system.log(Role::Gateway).join("\n").contains("hunter2"));
}

#[tokio::test]
async fn a_gateway_alone_looks_for_backends_where_they_listen_by_the_same_settings() {
    let mut system = System::roles().await;
    let nowhere = ["users", "chat", "analytics"].map(|name| format!("gateway.clusters.{name}.endpoints=[]"));
    system.restart_with(Role::Gateway, &nowhere.each_ref().map(String::as_str)).await;
    assert_eq!(system.get("/").await.json()["status"], "pass");

    let folder = tempfile::tempdir().unwrap();
    let said = sentence(&start("gateway", folder.path(), &[]).await);
    assert!(said.contains("users.listen has port 0") && said.contains("set gateway.clusters.users.endpoints"), "{said}");
}

#[tokio::test]
async fn migrating_makes_the_databases_and_does_nothing_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.db").display().to_string();
    let first = start("migrate", folder.path(), &[]).await;
    assert!(first.code == Some(0) && first.stdout.contains(&format!("users: created {path}")), "{first:?}");
    let second = start("migrate", folder.path(), &[]).await;
    assert!(second.code == Some(0) && second.stdout.contains(&format!("users: {path} has the newest schema")), "{second:?}");
}

#[tokio::test]
async fn seeding_twice_adds_nothing_the_second_time() {
    let system = System::all_in_one().await;
    let gateway = format!("http://{}", system.address(Role::Gateway));
    let first = superapp(&["seed", &gateway], &[]).await;
    assert!(first.code == Some(0) && first.stdout.starts_with("5 users created (0 were there), 6 messages sent (0 "), "{first:?}");
    let second = superapp(&["seed", &gateway], &[]).await;
    assert!(second.code == Some(0) && second.stdout.starts_with("0 users created (5 were there), 0 messages sent (6 "), "{second:?}");
}

#[tokio::test]
async fn plain_http_is_all_the_commands_speak() {
    let exit = superapp(&["seed", "https://localhost"], &[]).await;
    assert!(sentence(&exit).contains("plain http only"), "{exit:?}");
}

#[tokio::test]
async fn data_outlives_a_kill() {
    let mut system = Setup::all_in_one().set("users.cache_ttl_s=1").start().await;
    let ada = system.sign_up("ada").await;
    system.kill(Role::Users).await;
    system.start(Role::Users).await;
    let path = format!("/users/{}", ada["id"].as_str().unwrap());
    assert_eq!(system.get(&path).await.json(), ada);
}
