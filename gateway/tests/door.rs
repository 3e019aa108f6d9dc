//! The door from outside: real sockets on both sides, nothing of the crate but its public API.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use support::{BODY_BYTES_MAX, Connection, Door, LIMIT, Replica, config, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// One replica of everything, and the door before them.
async fn one_of_each() -> (Door, [Replica; 3]) {
    let replicas = [Replica::start("users").await, Replica::start("chat").await, Replica::start("analytics").await];
    let [users, chat, analytics] = &replicas;
    let door = Door::open(config(&[users.address], &[chat.address], &[analytics.address])).await;
    (door, replicas)
}

/// An address where nobody listens.
fn nowhere() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_path_reaches_its_service() {
    let (door, _replicas) = one_of_each().await;
    for (path, replica) in [
        ("/users", "users"),
        ("/users/1?x=%2F..", "users"),
        ("/chat/rooms", "chat"),
        ("/ws", "chat"),
        ("/analytics/events", "analytics"),
        ("/dashboard/", "analytics"),
    ] {
        let reply = door.get(path).await;
        assert_eq!((reply.status, reply.header("x-replica")), (200, Some(replica)), "{path}");
        assert!(reply.body.starts_with(&format!("GET {path} HTTP/1.1\n")), "{reply:?}");
    }
    let reply = door.send("GET http://door/users?a=1 HTTP/1.1\r\nhost: door\r\nconnection: close\r\n\r\n").await;
    assert!(reply.body.starts_with("GET /users?a=1 HTTP/1.1\n"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_path_is_404_and_a_wrong_method_405() {
    let (door, _replicas) = one_of_each().await;
    for path in ["/usersX", "/nothing", "/metrics", "/ws/"] {
        let reply = door.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{path}");
        assert_eq!(reply.json()["request_id"].as_str(), reply.header("x-request-id"));
    }
    for (path, allow) in [("/", "GET, HEAD"), ("/livez", "GET, HEAD"), ("/version", "GET, HEAD"), ("/ws", "GET")] {
        let reply = door.post(path, "x").await;
        assert_eq!((reply.status, reply.code().as_str()), (405, "method_not_allowed"), "{path}");
        assert_eq!(reply.header("allow"), Some(allow));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_can_be_read_in_two_ways_is_never_forwarded() {
    let (door, replicas) = one_of_each().await;
    for path in ["/users/../x", "/users/%2e%2E/x", "/users/%2fx", "/users/%5cx", "/users//x", "/users/%00", "/users/%zz", "/users/%ff", "*"]
    {
        let reply = door.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_path"), "{path}");
    }
    let mut connection = Connection::open(door.address).await;
    connection.write(b"GET /users/\xff HTTP/1.1\r\nhost: door\r\n\r\n").await;
    assert_eq!(connection.reply().await.status, 400);
    let connect = door.send("CONNECT door:443 HTTP/1.1\r\nhost: door:443\r\n\r\n").await;
    assert_eq!(connect.status, 405);
    assert!(replicas.iter().all(|replica| replica.requests() == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn own_pages_answer_get_and_head() {
    let (door, _replicas) = one_of_each().await;
    assert_eq!(door.get("/livez").await.body, "{\"status\":\"pass\"}\n");
    assert_eq!(door.get("/readyz").await.body, "{\"status\":\"pass\"}\n");
    assert_eq!(door.get("/version").await.body, "{\"version\":\"0.1.0\"}\n");
    let mut connection = Connection::open(door.address).await;
    connection.write(b"HEAD /version HTTP/1.1\r\nhost: door\r\nconnection: close\r\n\r\n").await;
    let head = connection.reply_head().await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("20")));
    let mut rest = Vec::new();
    connection.stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_names_every_replica_with_its_checks() {
    let (door, replicas) = one_of_each().await;
    let reply = door.get("/").await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    assert!(reply.body.starts_with("{\"status\":\"pass\",\"services\":{\"users\":{\"status\":\"pass\",\"replicas\":[{\"address\":"));
    let status = reply.json();
    let replica = &status["services"]["users"]["replicas"][0];
    assert_eq!(replica["address"], replicas[0].address.to_string());
    assert_eq!(replica["checks"]["database"]["status"], "pass");
    assert!(replica["latency_ms"].is_number() && replica["checked_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(status["services"]["chat"]["replicas"][0]["sockets"], 0);

    *replicas[0].shared.readyz.lock().unwrap() = r#"{"status":"warn"}"#.to_owned();
    eventually("a warning", || async { door.get("/").await.json()["status"] == "warn" }).await;
    assert_eq!(door.get("/users").await.status, 200);

    let page = door.send("GET / HTTP/1.1\r\nhost: door\r\nconnection: close\r\naccept: text/html,*/*\r\n\r\n").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_its_id_and_one_without_gets_one() {
    let (door, _replicas) = one_of_each().await;
    let ask = |id: &str| format!("GET /users HTTP/1.1\r\nhost: door\r\nconnection: close\r\nx-request-id: {id}\r\n\r\n");
    let kept = door.send(&ask("abc-1.2_3")).await;
    assert_eq!(kept.header("x-request-id"), Some("abc-1.2_3"));
    assert!(kept.body.contains("x-request-id: abc-1.2_3\n"), "{kept:?}");
    let replaced = door.send(&ask("not well formed")).await;
    let id = replaced.header("x-request-id").unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    assert!(replaced.body.contains(&format!("x-request-id: {id}\n")), "{replaced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_learn_who_asked_from_the_door_and_not_from_the_caller() {
    let (door, _replicas) = one_of_each().await;
    let reply = door
        .send(
            "GET /users HTTP/1.1\r\nhost: door.example\r\nconnection: close, x-hop\r\nx-hop: 1\r\nx-forwarded-for: 6.6.6.6\r\n\
             x-forwarded-proto: https\r\nx-forwarded-host: evil\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nif-match: \"7\"\r\nupgrade: websocket\r\n\r\n",
        )
        .await;
    for line in [
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: door.example",
        "host: door.example",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "if-match: \"7\"",
    ] {
        assert!(reply.body.contains(&format!("{line}\n")), "{line}: {reply:?}");
    }
    assert!(!reply.body.contains("x-hop") && !reply.body.contains("upgrade"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_up_to_the_limit_goes_through() {
    let (door, _replicas) = one_of_each().await;
    let reply = door.post("/users", &"x".repeat(BODY_BYTES_MAX)).await;
    assert!(reply.body.ends_with(&format!("\n{BODY_BYTES_MAX} bytes")), "{reply:?}");
    let reply = door.post("/analytics/events", &"x".repeat(2 * BODY_BYTES_MAX)).await;
    assert!(reply.body.ends_with(&format!("\n{} bytes", 2 * BODY_BYTES_MAX)), "{reply:?}");
    let chunked = "POST /users HTTP/1.1\r\nhost: door\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert!(door.send(chunked).await.body.ends_with("\n5 bytes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_a_body_is_refused_before_a_replica_sees_it() {
    let (door, replicas) = one_of_each().await;
    // A client that writes everything before it reads.
    let reply = door.post("/users", &"x".repeat(BODY_BYTES_MAX + 200_000)).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(replicas[0].requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_sees_the_413_and_not_a_reset() {
    let (door, _replicas) = one_of_each().await;
    let announced = "content-length: 10000000";
    let chunked = "transfer-encoding: chunked";
    for framing in [announced, chunked] {
        let stream = Connection::open(door.address).await.stream.into_inner();
        let (reading, mut writing) = stream.into_split();
        let head = format!("POST /users HTTP/1.1\r\nhost: door\r\n{framing}\r\n\r\n");
        let upload = tokio::spawn(async move {
            writing.write_all(head.as_bytes()).await.unwrap();
            let piece = format!("{:x}\r\n{}\r\n", 10_000, "x".repeat(10_000));
            for _ in 0..1000 {
                // Breaks off when the door has closed, as it may after the answer.
                if writing.write_all(piece.as_bytes()).await.is_err() {
                    break;
                }
            }
            writing
        });
        let mut reading = reading;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while !answer.ends_with(b"}\n") {
            let read = tokio::time::timeout(LIMIT, reading.read(&mut buffer)).await.unwrap().unwrap();
            assert!(read > 0, "closed without an answer: {}", answer.escape_ascii());
            answer.extend_from_slice(&buffer[..read]);
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"), "{framing}: {answer}");
        drop(upload.await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_413_the_door_still_takes_what_was_on_its_way() {
    let (door, _replicas) = one_of_each().await;
    let mut connection = Connection::open(door.address).await;
    connection.write(b"POST /users HTTP/1.1\r\nhost: door\r\ncontent-length: 10000000\r\n\r\n").await;
    assert_eq!(connection.reply().await.status, 413);
    assert!(connection.is_closed().await, "our half is closed");
    for _ in 0..10 {
        // Would fail from the second time on if the door had closed and answered with a reset.
        connection.write(&[b'x'; 10_000]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_a_chunked_body_is_refused_while_it_arrives() {
    let (door, _replicas) = one_of_each().await;
    let piece = format!("{:x}\r\n{}\r\n", 10_000, "x".repeat(10_000));
    let head = "POST /users HTTP/1.1\r\nhost: door\r\ntransfer-encoding: chunked\r\n\r\n";
    let reply = door.send(&format!("{head}{}0\r\n\r\n", piece.repeat(15))).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_live_replica_is_503_at_once() {
    let users = Replica::start("users").await;
    let door = Door::open(config(&[users.address], &[nowhere()], &[])).await;
    for path in ["/chat/rooms", "/ws", "/analytics", "/dashboard/"] {
        let reply = door.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"), "{path}");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    let reply = door.get("/").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(reply.json()["services"]["chat"]["replicas"][0]["error"], "connection refused");
    assert_eq!(reply.json()["services"]["analytics"]["status"], "fail");
    let ready = door.get("/readyz").await;
    assert_eq!((ready.status, ready.header("retry-after")), (503, Some("1")));
    assert_eq!(door.get("/users").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_breaks_off_is_502_and_one_that_is_silent_504() {
    let (door, replicas) = one_of_each().await;
    let reply = door.get("/users/broken").await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "bad_gateway"));
    assert_eq!(replicas[0].requests(), 1);
    let reply = door.get("/users/slow").await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "gateway_timeout"));
    assert_eq!(replicas[0].requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_503_says_when_to_come_back_whoever_says_it() {
    let (door, _replicas) = one_of_each().await;
    let reply = door.get("/users/busy").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_may_be_repeated_is_repeated() {
    let (_door, replicas) = one_of_each().await;
    let [users, chat, analytics] = &replicas;
    let mut config = config(&[users.address], &[chat.address], &[analytics.address]);
    // Kept connections belong to a worker; so the second request meets the one the first has left.
    config.workers = 1;
    let door = Door::open(config).await;
    // The first leaves a kept connection on which the replica will break off.
    assert_eq!(door.get("/users/once-per-connection").await.status, 200);
    assert_eq!(door.get("/users/once-per-connection").await.status, 200);
    assert_eq!(replicas[0].requests(), 3, "asked, broken off, repeated");
    let reply = door.post("/users/once-per-connection", "x").await;
    assert_eq!((reply.status, replicas[0].requests()), (502, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_replica_is_routed_around() {
    let mut first = Replica::start("first").await;
    let second = Replica::start("second").await;
    let other = Replica::start("other").await;
    let mut config = config(&[first.address, second.address], &[other.address], &[other.address]);
    // No probe will notice: the requests themselves have to.
    config.health_interval_ms = 600_000;
    let door = Door::open(config).await;
    for _ in 0..30 {
        assert_eq!(door.post("/users", "x").await.status, 200);
    }
    assert!(first.requests() > 0 && second.requests() > 0);
    first.kill().await;
    // Chance decides how soon a request finds out; none may fail until then.
    eventually("a request has found out", || async {
        let reply = door.post("/users", "x").await;
        assert_eq!((reply.status, reply.header("x-replica")), (200, Some("second")));
        door.get("/").await.json()["services"]["users"]["status"] == "warn"
    })
    .await;
    let status = door.get("/").await.json();
    assert_eq!(status["services"]["users"]["status"], "warn");
    assert_eq!(status["services"]["users"]["replicas"][0]["error"], "connection refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_replica_shows_within_two_seconds_and_comes_back() {
    let mut first = Replica::start("first").await;
    let second = Replica::start("second").await;
    let other = Replica::start("other").await;
    let mut config = config(&[first.address, second.address], &[other.address], &[other.address]);
    config.health_interval_ms = 500;
    let door = Door::open(config).await;
    first.kill().await;
    let killed = std::time::Instant::now();
    eventually("a warning", || async { door.get("/").await.json()["status"] == "warn" }).await;
    assert!(killed.elapsed().as_secs_f64() < 2.0, "{:?}", killed.elapsed());
    first.revive().await;
    let revived = std::time::Instant::now();
    eventually("all well", || async { door.get("/").await.json()["status"] == "pass" }).await;
    assert!(revived.elapsed().as_secs_f64() < 2.0, "{:?}", revived.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_go_to_the_replica_with_the_fewest() {
    let first = Replica::start("first").await;
    let second = Replica::start("second").await;
    let other = Replica::start("other").await;
    let door = Door::open(config(&[other.address], &[first.address, second.address], &[other.address])).await;
    let sockets = |door: &Door| {
        let status = door.gateway.status();
        status.services.chat.replicas.iter().map(|replica| replica.sockets.unwrap()).collect::<Vec<_>>()
    };
    // All at once: each must see the places the others have taken.
    let opening: Vec<_> = (0..10).map(|_| tokio::spawn(Connection::open_socket(door.address))).collect();
    let mut open = Vec::new();
    for socket in opening {
        let (mut socket, reply) = socket.await.unwrap();
        assert_eq!((reply.status, reply.header("upgrade")), (101, Some("websocket")), "{reply:?}");
        assert!(reply.header("x-request-id").is_some());
        socket.echo("through the tunnel").await;
        let replica = reply.header("x-replica").unwrap().to_owned();
        open.push((socket, replica));
    }
    assert_eq!(sockets(&door), [5, 5]);
    assert_eq!(door.gateway.in_flight(), 10);

    open.retain(|(_, replica)| replica == "second");
    eventually("five sockets closed", || async { sockets(&door) == [0, 5] }).await;
    for _ in 0..3 {
        let (socket, reply) = Connection::open_socket(door.address).await;
        assert_eq!(reply.header("x-replica"), Some("first"));
        open.push((socket, "first".to_owned()));
    }
    drop(open);
    eventually("all sockets closed", || async { sockets(&door) == [0, 0] && door.gateway.in_flight() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_socket_is_lost_right_after_the_upgrade() {
    let (door, _replicas) = one_of_each().await;
    let address = door.address;
    let clients: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..50 {
                    let (mut socket, reply) = Connection::open_socket(address).await;
                    assert_eq!(reply.status, 101);
                    socket.echo("first words").await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_socket_outlives_the_request_timeout_but_not_its_own() {
    let (door, replicas) = one_of_each().await;
    let (mut socket, _) = Connection::open_socket(door.address).await;
    // The timeout of a plain request passes while the socket is silent.
    assert_eq!(door.get("/users/slow").await.status, 504);
    socket.echo("still here").await;

    let [users, chat, analytics] = &replicas;
    let mut short = config(&[users.address], &[chat.address], &[analytics.address]);
    short.websocket_idle_s = 1;
    let door = Door::open(short).await;
    let (mut socket, _) = Connection::open_socket(door.address).await;
    socket.echo("hello").await;
    assert!(socket.is_closed().await);
    eventually("nothing in flight", || async { door.gateway.in_flight() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upgrade_is_an_ordinary_answer_and_gives_the_place_back() {
    let (door, _replicas) = one_of_each().await;
    let mut connection = Connection::open(door.address).await;
    for _ in 0..20 {
        connection.write(b"GET /ws?refuse HTTP/1.1\r\nhost: door\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n").await;
        let reply = connection.reply().await;
        assert_eq!((reply.status, reply.header("x-replica")), (503, Some("chat")));
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    let sockets = || door.gateway.status().services.chat.replicas[0].sockets;
    eventually("the places are free", || async { sockets() == Some(0) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_ends_when_its_replica_dies() {
    let (door, mut replicas) = one_of_each().await;
    let (mut socket, _) = Connection::open_socket(door.address).await;
    socket.echo("hello").await;
    replicas[1].kill().await;
    assert!(socket.is_closed().await);
    eventually("nothing in flight", || async { door.gateway.in_flight() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_one_request_after_the_other_also_when_sent_early() {
    let (door, _replicas) = one_of_each().await;
    let mut connection = Connection::open(door.address).await;
    for path in ["/users/1", "/version", "/nothing", "/users/2"] {
        connection.write(format!("GET {path} HTTP/1.1\r\nhost: door\r\n\r\n").as_bytes()).await;
        assert_eq!(connection.reply().await.header("connection"), Some("keep-alive"), "{path}");
    }
    connection
        .write(b"GET /users/3 HTTP/1.1\r\nhost: door\r\n\r\nGET /version HTTP/1.1\r\nhost: door\r\n\r\nGET /users/4 HTTP/1.1\r\nhost: door\r\n\r\n")
        .await;
    assert!(connection.reply().await.body.starts_with("GET /users/3 "));
    assert!(connection.reply().await.body.starts_with("{\"version\""));
    assert!(connection.reply().await.body.starts_with("GET /users/4 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_that_waits_for_the_close_gets_it() {
    let (door, _replicas) = one_of_each().await;
    let mut connection = Connection::open(door.address).await;
    connection.write(b"GET /users HTTP/1.0\r\nhost: door\r\n\r\n").await;
    assert_eq!(connection.reply().await.header("connection"), Some("close"));
    assert!(connection.is_closed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_client_is_let_go() {
    let (_door, replicas) = one_of_each().await;
    let [users, chat, analytics] = &replicas;
    let mut short = config(&[users.address], &[chat.address], &[analytics.address]);
    short.keepalive_s = 1;
    let door = Door::open(short).await;
    let mut connection = Connection::open(door.address).await;
    connection.write(b"GET /users HTTP/1.1\r\nhost: door\r\n\r\n").await;
    assert_eq!(connection.reply().await.header("connection"), Some("keep-alive"));
    assert!(connection.is_closed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_door_says_so() {
    let (door, _replicas) = one_of_each().await;
    door.gateway.start_draining();
    let ready = door.get("/readyz").await;
    assert_eq!((ready.status, ready.header("retry-after")), (503, Some("1")));
    assert_eq!(ready.body, "{\"status\":\"fail\",\"detail\":\"draining\"}\n");
    assert_eq!(door.get("/livez").await.status, 200);
    let mut connection = Connection::open(door.address).await;
    connection.write(b"GET /users HTTP/1.1\r\nhost: door\r\n\r\n").await;
    let reply = connection.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_closes_once_nothing_is_in_flight() {
    let (mut door, replicas) = one_of_each().await;
    let mut idle = Connection::open(door.address).await;
    idle.write(b"GET /version HTTP/1.1\r\nhost: door\r\n\r\n").await;
    assert_eq!(idle.reply().await.status, 200);
    let (mut socket, _) = Connection::open_socket(door.address).await;
    let mut waiting = Connection::open(door.address).await;
    waiting.write(b"GET /users/gate HTTP/1.1\r\nhost: door\r\n\r\n").await;
    eventually("the request is in flight", || async { replicas[0].requests() == 1 }).await;

    door.stop();
    assert!(idle.is_closed().await);
    let address = door.address;
    eventually("no new connections", || async { tokio::net::TcpStream::connect(address).await.is_err() }).await;
    assert_eq!((door.gateway.in_flight(), door.is_serving()), (2, true));
    replicas[0].shared.gate.notify_one();
    let reply = waiting.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    socket.echo("still open").await;
    assert!(door.is_serving());
    drop(socket);
    door.closed().await;
    assert_eq!(replicas[0].shared.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_listeners_are_one_door() {
    let (door, _replicas) = one_of_each().await;
    let listeners: Vec<_> = (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(gateway::serve(door.gateway.clone(), listeners, async move { drop(stopped.await) }));
    for address in addresses {
        let mut connection = Connection::open(address).await;
        connection.write(b"GET /version HTTP/1.1\r\nhost: door\r\nconnection: close\r\n\r\n").await;
        assert_eq!(connection.reply().await.status, 200);
    }
    stop.send(()).unwrap();
    tokio::time::timeout(LIMIT, serving).await.unwrap().unwrap().unwrap();
}

#[test]
fn a_setting_that_cannot_be_right_is_named() {
    let mut zero = config(&[], &[], &[]);
    zero.health_interval_ms = 0;
    let error = gateway::Gateway::new(zero, "0.1.0").err().unwrap().to_string();
    assert_eq!(error, "gateway.health_interval_ms must be greater than 0");
    let mut bad = config(&[], &[], &[]);
    bad.clusters.chat.endpoints = vec!["chat".to_owned()];
    let error = gateway::Gateway::new(bad, "0.1.0").err().unwrap().to_string();
    assert_eq!(error, "gateway.clusters.chat.endpoints: \"chat\" is not host:port (the port is missing)");
}
