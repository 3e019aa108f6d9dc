//! The door: health of everything, replicas that die and return, paths that are refused.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{DeadAddress, Role, Setup, System, eventually, in_every_shape};

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
