//! Pages of other origins: what their browsers are told, and who may open sockets.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod support;

use support::{Connection, Door, Replica, Reply, config};

const OURS: &str = "https://app.example";
const EXPOSED: &str = "Link, ETag, Location, Retry-After, X-Request-Id";

/// A door for pages of our origin, or for none.
async fn door(origins: &[&str]) -> (Door, Replica) {
    let replica = Replica::start("chat").await;
    let address = [replica.address];
    let mut config = config(&address, &address, &[]);
    config.allowed_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    (Door::open(config).await, replica)
}

async fn ask(door: &Door, method: &str, path: &str, headers: &str) -> Reply {
    let mut connection = Connection::open(door.address).await;
    connection.write(format!("{method} {path} HTTP/1.1\r\nhost: door:8080\r\nconnection: close\r\n{headers}\r\n").as_bytes()).await;
    let is_bodyless = method == "OPTIONS" || method == "HEAD";
    if is_bodyless { connection.reply_head().await } else { connection.reply().await }
}

async fn open_socket(door: &Door, headers: &str) -> Reply {
    let mut connection = Connection::open(door.address).await;
    let handshake =
        "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    connection.write(format!("GET /ws?user=ada HTTP/1.1\r\nhost: door:8080\r\n{handshake}{headers}\r\n").as_bytes()).await;
    connection.reply_head().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_origin_may_read_answers_and_errors() {
    let (door, _replica) = door(&[OURS, "http://localhost:8081"]).await;
    for (path, status) in [("/users", 200), ("/livez", 200), ("/nothing", 404), ("/analytics", 503), ("/users//x", 400)] {
        let reply = ask(&door, "GET", path, &format!("origin: {OURS}\r\n")).await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (status, Some(OURS)), "{path}");
        assert_eq!((reply.header("access-control-expose-headers"), reply.header("vary")), (Some(EXPOSED), Some("origin")), "{path}");
    }
    for origin in ["origin: https://evil.example\r\n", "origin: null\r\n", "origin: https://app.example.evil.example\r\n", ""] {
        let reply = ask(&door, "GET", "/users", origin).await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, None), "{origin}");
        // A cache in between must not show it to the page that may.
        assert_eq!(reply.header("vary"), Some("origin"), "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_answered_at_the_door() {
    let (door, replica) = door(&[OURS]).await;
    let asks = "access-control-request-method: PATCH\r\naccess-control-request-headers: content-type,if-match\r\n";
    let reply = ask(&door, "OPTIONS", "/users/1", &format!("origin: {OURS}\r\n{asks}")).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, Some(OURS)));
    assert_eq!(reply.header("access-control-allow-methods"), Some("GET, HEAD, POST, PUT, PATCH, DELETE"));
    assert!(reply.header("access-control-allow-headers").unwrap().contains("If-Match"));
    assert_eq!((reply.header("access-control-max-age"), reply.header("content-length")), (Some("600"), None));
    assert_eq!(replica.shared.requests.load(std::sync::atomic::Ordering::SeqCst), 0, "nobody was asked");
    let foreign = ask(&door, "OPTIONS", "/livez", &format!("origin: https://evil.example\r\n{asks}")).await;
    assert_eq!((foreign.status, foreign.header("access-control-allow-methods")), (405, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_foreign_origin_opens_no_socket() {
    let (door, _replica) = door(&[OURS]).await;
    for (headers, status) in [
        (format!("origin: {OURS}\r\n"), 101),
        // A page of this very host, whatever carries TLS in front.
        ("origin: http://door:8080\r\n".to_owned(), 101),
        ("origin: https://door:8080\r\n".to_owned(), 101),
        // No browser.
        (String::new(), 101),
        ("origin: https://evil.example\r\n".to_owned(), 403),
        ("origin: http://door:8081\r\n".to_owned(), 403),
        ("origin: null\r\n".to_owned(), 403),
    ] {
        let reply = open_socket(&door, &headers).await;
        assert_eq!(reply.status, status, "{headers}");
        assert!(status == 101 || reply.header("content-type") == Some("application/problem+json"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_nothing_is_looked_at_and_nothing_added() {
    let (door, _replica) = door(&[]).await;
    let reply = ask(&door, "GET", "/users", &format!("origin: {OURS}\r\n")).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin"), reply.header("vary")), (200, None, None));
    assert_eq!(open_socket(&door, "origin: https://evil.example\r\n").await.status, 101);
}
