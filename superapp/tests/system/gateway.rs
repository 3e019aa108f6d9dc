//! The door: health of everything, replicas that die and return, paths that are refused.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{DeadAddress, Process, Role, Setup, System, eventually, in_every_shape, superapp};

in_every_shape!(
    the_health_of_everything_is_at_the_root,
    a_replica_nobody_answers_at_is_a_warning,
    a_path_that_can_be_read_in_two_ways_is_refused,
    an_unknown_path_is_not_found,
    a_request_id_is_kept_or_made,
    metrics_are_for_operators_only,
);

async fn the_health_of_everything_is_at_the_root(system: System) {
    let reply = system.get("/").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let health = reply.json();
    assert_eq!(health["status"], "pass");
    assert!(health["version"].is_string() && health["uptime_s"].is_u64(), "{health}");
    for (service, role) in [("users", Role::Users), ("chat", Role::Chat), ("analytics", Role::Analytics)] {
        let (service, replicas) = (&health["services"][service], system.replicas(role).len());
        assert_eq!((&service["status"], service["replicas"].as_array().unwrap().len()), (&json!("pass"), replicas), "{health}");
        for replica in service["replicas"].as_array().unwrap() {
            assert!(replica["address"].is_string() && replica["latency_ms"].is_number() && replica["checked_at"].is_string(), "{health}");
        }
    }
    let checks = &health["services"]["users"]["replicas"][0]["checks"];
    let pass = json!({ "status": "pass" });
    assert_eq!(checks, &json!({ "database": pass, "bus": pass, "cache": pass }));

    let page = system.send(system.request(reqwest::Method::GET, "/").header("accept", "text/html")).await;
    assert!(page.header("content-type").unwrap().starts_with("text/html") && page.text().contains("<html"), "{page:?}");
    assert_eq!(system.get("/version").await.json(), json!({ "version": env!("CARGO_PKG_VERSION") }));
}

async fn a_replica_nobody_answers_at_is_a_warning(mut system: System) {
    let dead = DeadAddress::new();
    let live = system.replicas(Role::Chat);
    let endpoints = json!([live[0], live[1], dead.address]);
    system.restart_with(Role::Gateway, &[&format!("gateway.clusters.chat.endpoints={endpoints}")]).await;
    let reply = system.get("/").await;
    let health = reply.json();
    assert_eq!((reply.status, &health["status"], &health["services"]["chat"]["status"]), (200, &json!("warn"), &json!("warn")));
    let states: Vec<_> =
        health["services"]["chat"]["replicas"].as_array().unwrap().iter().map(|replica| replica["status"].clone()).collect();
    assert_eq!(states, ["pass", "pass", "fail"], "{health}");
    assert_eq!(system.get("/readyz").await.status, 200);
    for _ in 0..10 {
        // What chat says does not matter here, only that it is a live replica that says it.
        assert!(system.get("/chat").await.status < 500, "a dead replica is never asked");
    }
}

#[tokio::test]
async fn a_role_that_dies_fails_and_comes_back_by_itself() {
    let mut system = System::roles().await;
    let ada = system.sign_up("ada").await;
    system.kill(Role::Users).await;
    let died = Instant::now();
    eventually("the death shows", async || system.get("/").await.json()["services"]["users"]["status"] == "fail").await;
    assert!(died.elapsed() < Duration::from_secs(2), "it took {:?}", died.elapsed());
    let reply = system.get("/").await;
    assert_eq!((reply.status, &reply.json()["status"]), (503, &json!("fail")));
    assert!(reply.header("retry-after").is_some());
    assert_eq!(system.get("/readyz").await.status, 503);
    let reply = system.get("/users").await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"));
    assert!(reply.header("retry-after").is_some());
    assert_eq!(system.get("/livez").await.status, 200);

    system.start(Role::Users).await;
    let returned = Instant::now();
    eventually("the return shows", async || system.get("/").await.json()["status"] == "pass").await;
    assert!(returned.elapsed() < Duration::from_secs(2), "it took {:?}", returned.elapsed());
    assert_eq!(system.get(&format!("/users/{}", ada["id"].as_str().unwrap())).await.json(), ada);
}

async fn a_path_that_can_be_read_in_two_ways_is_refused(system: System) {
    for path in
        ["/users/../users", "/users/%2e%2e/users", "/users/%2fx", "//users", "/users//x", "/users/%00", "/users/%ff", "/./users", "/a%5cb"]
    {
        let reply = system.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_path"), "{path}");
    }
    assert_eq!(system.get("/users").await.status, 200);
}

async fn an_unknown_path_is_not_found(system: System) {
    for path in ["/nothing", "/usersX", "/Users", "/ws/", "/users.json", "/metrics"] {
        let reply = system.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{path}");
    }
    for path in ["/", "/version", "/readyz"] {
        let reply = system.post(path, &json!({})).await;
        assert_eq!((reply.status, reply.code().as_str(), reply.header("allow")), (405, "method_not_allowed", Some("GET, HEAD")), "{path}");
    }
}

async fn a_request_id_is_kept_or_made(system: System) {
    let with = |id: &'static str| system.send(system.request(reqwest::Method::GET, "/users").header("x-request-id", id));
    assert_eq!(with("my-own.id_1").await.header("x-request-id"), Some("my-own.id_1"));
    for bad in ["with space", "quote\"", "ü"] {
        let made = with(bad).await;
        let made = made.header("x-request-id").unwrap();
        assert!(made != bad && !made.is_empty());
    }
    let (one, other) = (system.get("/").await, system.get("/").await);
    assert_ne!(one.header("x-request-id").unwrap(), other.header("x-request-id").unwrap());
}

#[tokio::test]
async fn each_role_alone_can_have_a_port_for_operators() {
    let setup = Setup::roles().set("users.admin_listen=127.0.0.1:0").set("chat.admin_listen=127.0.0.1:0");
    let system = setup.set("analytics.admin_listen=127.0.0.1:0").start().await;
    system.sign_up("ada").await;
    for (role, name) in [(Role::Users, "users"), (Role::Chat, "chat"), (Role::Analytics, "analytics")] {
        let metrics = system.get_at(system.admin(role), "/metrics").await;
        let probed = format!("http_requests_total{{role=\"{name}\",route=\"GET /readyz\",status=\"200\"}}");
        assert!(metrics.status == 200 && metrics.text().contains(&probed), "{}", metrics.text());
        assert_eq!(metrics.text().contains("users_created_total 1"), role == Role::Users);
        assert!(!metrics.text().contains("gateway_requests_total{"));
    }
}

async fn metrics_are_for_operators_only(system: System) {
    system.sign_up("ada").await;
    assert_eq!(system.get("/metrics").await.status, 404);
    let reply = system.get_at(system.admin(Role::Gateway), "/metrics").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    let mut expected = vec![
        "# TYPE gateway_requests_total counter",
        "gateway_requests_total{route=\"/users\",method=\"POST\",status=\"201\"} 1",
        "# HELP process_resident_memory_bytes ",
        "gateway_request_duration_seconds_bucket{route=\"/users\",le=\"0.001\"}",
    ];
    if system.is_all_in_one() {
        expected.extend(["users_created_total 1", "http_requests_total{role=\"users\",route=\"POST /users\",status=\"201\"} 1"]);
    }
    for line in expected {
        assert!(reply.text().contains(line), "{line}\nis not in\n{}", reply.text());
    }
    assert_eq!(system.get_at(system.admin(Role::Gateway), "/livez").await.status, 200);
    for path in ["/", "/users", "/metrics/x"] {
        assert_eq!(system.get_at(system.admin(Role::Gateway), path).await.status, 404, "{path}");
    }
}

/// The lines of an access log, each of them a JSON object.
fn lines(log: &str) -> Vec<Value> {
    assert!(log.is_empty() || log.ends_with('\n'), "half a line: {log}");
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn each_request_is_a_line_of_the_access_log_once_all_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let mut system = Setup::all_in_one().set(&format!("gateway.access_log={}", file.display())).start().await;
    let ada = system.sign_up("ada").await;
    let mut socket = system.socket("ada").await;
    let known = format!("/users/{}", ada["id"].as_str().unwrap());
    let asked = [("story-1", known.as_str(), "", 200), ("story-2", "/nothing", "?secret=1", 404), ("story-3", "/users//x", "", 400)];
    for (id, path, query, status) in asked {
        let request = system.request(reqwest::Method::GET, &format!("{path}{query}")).header("x-request-id", id);
        assert_eq!(system.send(request).await.status, status, "{path}");
    }
    system.terminate(Role::Gateway);
    let (code, _) = socket.closed().await;
    assert_eq!(code, 1012, "by chat itself");
    drop(socket);
    system.ended(Role::Gateway).await;

    let log = std::fs::read_to_string(&file).unwrap();
    assert!(!log.contains("secret"), "{log}");
    let lines = lines(&log);
    let of = |id: &str| lines.iter().find(|line| line["request_id"] == id).unwrap_or_else(|| panic!("no line for {id}: {log}"));
    for (id, path, _, status) in asked {
        let line = of(id);
        assert_eq!((line["status"].as_u64(), line["method"].as_str()), (Some(status.into()), Some("GET")), "{line}");
        assert!(line["total_ms"].is_number() && line["bytes_out"].as_u64() > Some(0) && line["client"] == "127.0.0.1", "{line}");
        // What is refused as ambiguous is no path.
        assert_eq!(line["path"], if status == 400 { "" } else { path }, "{line}");
    }
    assert_eq!(of("story-1")["route"], "/users");
    assert!(of("story-1")["endpoint"].as_str().unwrap().parse::<std::net::SocketAddr>().is_ok());
    assert_eq!(lines.iter().filter(|line| line["route"] == "/ws" && line["status"] == 101).count(), 1, "{log}");
    assert_eq!(lines.iter().filter(|line| line["method"] == "POST" && line["status"] == 201).count(), 1, "{log}");
}

/// What a binary with this access log has said on stdout when it ended, after one request.
async fn stdout_with(access_log: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let free = ["gateway.listen", "gateway.admin_listen", "users.listen", "chat.listen", "analytics.listen"];
    let mut set: Vec<String> = free.iter().map(|key| format!("{key}=127.0.0.1:0")).collect();
    set.push(format!("data_dir={}", folder.path().display()));
    set.push(format!("gateway.access_log={access_log}"));
    let arguments: Vec<_> = std::iter::once("all".to_owned()).chain(set.into_iter().flat_map(|set| ["--set".to_owned(), set])).collect();
    let mut process = Process::spawn(&arguments, &[]);
    let door = process.ready().await["gateway"][0];
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(format!("http://{door}/version")).send().await.unwrap().status(), 200);
    process.terminate();
    assert_eq!(process.ended().await, Some(0));
    process.said().0
}

#[tokio::test]
async fn the_access_log_is_on_stdout_where_that_is_no_terminal_and_may_be_off() {
    for access_log in ["auto", "stdout"] {
        let said = stdout_with(access_log).await;
        let lines = lines(&said);
        assert_eq!(lines.iter().filter(|line| line["path"] == "/version" && line["status"] == 200).count(), 1, "{access_log}: {said}");
    }
    assert_eq!(stdout_with("off").await, "");
}

/// What `/clusters` says of the first replica of a cluster.
async fn replica(system: &System, cluster: &str) -> Value {
    let reply = system.get_at(system.admin(Role::Gateway), "/clusters").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let view = reply.json();
    let found = view["clusters"].as_array().unwrap().iter().find(|each| each["name"] == cluster);
    found.unwrap_or_else(|| panic!("no {cluster}: {view}"))["endpoints"][0].clone()
}

#[tokio::test]
async fn operators_see_every_replica_with_its_state_and_why() {
    let mut system = System::roles().await;
    let view = system.get_at(system.admin(Role::Gateway), "/clusters").await.json();
    for (cluster, role) in [("users", Role::Users), ("chat", Role::Chat), ("analytics", Role::Analytics)] {
        let found = view["clusters"].as_array().unwrap().iter().find(|each| each["name"] == cluster).unwrap();
        let addresses: Vec<_> = found["endpoints"].as_array().unwrap().iter().map(|each| each["address"].clone()).collect();
        assert_eq!(json!(addresses), json!(system.replicas(role)), "{view}");
        for endpoint in found["endpoints"].as_array().unwrap() {
            assert_eq!((&endpoint["state"], endpoint.get("why")), (&json!("live"), None), "{view}");
            assert!(endpoint["latency_ms"].is_number() && endpoint["in_flight"].is_u64() && endpoint["sockets"].is_u64(), "{view}");
        }
        assert!(found["limit"].as_u64() > Some(0) && found["waiting"] == 0, "{view}");
    }
    assert_eq!(system.get("/clusters").await.status, 404, "on the public door");

    let before = replica(&system, "users").await["requests"].as_u64().unwrap();
    system.sign_up("ada").await;
    assert_eq!(replica(&system, "users").await["requests"], before + 1);
    system.kill(Role::Users).await;
    let is_failing = async || replica(&system, "users").await["state"] == "failing";
    eventually("it is failing", is_failing).await;
    assert_eq!(replica(&system, "users").await["why"], "connection refused");
    assert_eq!(replica(&system, "chat").await["state"], "live");
    system.start(Role::Users).await;
    let is_live = async || replica(&system, "users").await["state"] == "live";
    eventually("it is live", is_live).await;
    assert_eq!(replica(&system, "users").await.get("why"), None);
}

#[tokio::test]
async fn there_are_numbers_for_each_route_cluster_and_replica() {
    let mut system = System::roles().await;
    let users = system.address(Role::Users);
    system.sign_up("ada").await;
    let _socket = system.socket("ada").await;
    let mut expected = vec![
        "gateway_requests_total{route=\"/users\",method=\"POST\",status=\"201\"} 1".to_owned(),
        format!("gateway_endpoint_requests_total{{cluster=\"users\",endpoint=\"{users}\"}} 1"),
        format!("gateway_endpoint_errors_total{{cluster=\"users\",endpoint=\"{users}\"}} 0"),
        format!("gateway_endpoint_available{{cluster=\"users\",endpoint=\"{users}\"}} 1"),
        format!("gateway_endpoint_in_flight{{cluster=\"users\",endpoint=\"{users}\"}} 0"),
        "gateway_concurrency_limit{cluster=\"chat\"} ".to_owned(),
    ];
    for cluster in ["users", "chat", "analytics"] {
        expected.push(format!("gateway_cluster_in_flight{{cluster=\"{cluster}\"}} 0"));
        expected.push(format!("gateway_cluster_waiting{{cluster=\"{cluster}\"}} 0"));
    }
    let text = metrics_with(&system, &expected).await;
    let open: u32 =
        text.lines().filter_map(|line| line.strip_prefix("gateway_sockets_open{")?.split_once("} ")?.1.parse::<u32>().ok()).sum();
    assert_eq!(open, 1, "{text}");
    // The time of sockets is no latency.
    assert!(!text.contains("gateway_request_duration_seconds_count{route=\"/ws\"}"), "{text}");

    system.kill(Role::Users).await;
    assert_eq!(system.get("/users").await.status, 503);
    let expected = [
        format!("gateway_endpoint_available{{cluster=\"users\",endpoint=\"{users}\"}} 0"),
        "gateway_requests_total{route=\"/users\",method=\"GET\",status=\"503\"} 1".to_owned(),
        "gateway_upstream_errors_total{cluster=\"users\",kind=".to_owned(),
    ];
    metrics_with(&system, &expected).await;
}

/// The numbers of the gateway, once all of these are among them: a request is counted when it has ended, which is after its answer.
async fn metrics_with(system: &System, expected: &[String]) -> String {
    let text = RefCell::default();
    eventually(&format!("these are counted: {expected:#?}"), async || {
        *text.borrow_mut() = system.get_at(system.admin(Role::Gateway), "/metrics").await.text().to_owned();
        expected.iter().all(|line| text.borrow().contains(line))
    })
    .await;
    text.into_inner()
}

#[tokio::test]
async fn a_setting_of_the_gateway_that_cannot_be_right_is_told_with_its_key() {
    for (set, key, why) in [
        ("gateway.clusters.users.balance=x", "gateway.clusters.users.balance", "least_latency"),
        ("gateway.header_bytes_max=1", "gateway.header_bytes_max", "from 256 to 49152"),
        ("gateway.retry_budget_percent=101", "gateway.retry_budget_percent", "from 0 to 100"),
        ("gateway.health_path=readyz", "gateway.health_path", "slash"),
        ("gateway.clusters.chat.endpoints=[\"chat\"]", "gateway.clusters.chat.endpoints", "the port is missing"),
        ("gateway.clusters.chat.endpoints=[\"chat:1 weight=0\"]", "gateway.clusters.chat.endpoints", "weight"),
        (concat!("gateway.app_dir=", env!("CARGO_MANIFEST_DIR"), "/src"), "gateway.app_dir", "no index.html"),
        ("gateway.app_dir=nothing-here", "gateway.app_dir", "No such file"),
        ("gateway.access_logs=off", "gateway.access_logs", "did you mean `gateway.access_log`"),
    ] {
        let exit = superapp(&["check", "--set", set], &[]).await;
        assert_eq!((exit.code, exit.stderr.lines().count()), (Some(1), 1), "{set}: {exit:?}");
        assert!(exit.stderr.contains(key) && exit.stderr.contains(why), "{set}: {exit:?}");
    }
}
