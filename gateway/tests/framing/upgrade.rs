//! Upgrades: only to a WebSocket, only where there is one, and not a byte passes before the backend has agreed.

use crate::door_before;
use crate::support::LIMIT;
use crate::support::backend::Backend;
use crate::support::wire::Wire;

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
const UPGRADE: &str =
    "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn upgrade(start: &str) -> String {
    format!("{start}\r\nhost: door\r\n{UPGRADE}")
}

async fn read(wire: &mut Wire, length: usize) -> String {
    let mut bytes = vec![0; length];
    let read = tokio::io::AsyncReadExt::read_exact(&mut wire.stream, &mut bytes);
    tokio::time::timeout(LIMIT, read).await.expect("bytes in time").expect("so many bytes");
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_with_the_upgrade_and_with_the_switch_belongs_to_the_socket() {
    let backend = Backend::start(|mut visit| async move {
        visit.wire.send(format!("{SWITCH}welcome")).await;
        let early = read(&mut visit.wire, 11).await;
        visit.wire.send(early).await;
        None
    })
    .await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    client.send(format!("{}early words", upgrade("GET /ws?user=ada HTTP/1.1"))).await;
    assert_eq!(client.whole_answer("GET").await.status, 101);
    assert_eq!(read(&mut client, 18).await, "welcomeearly words");
    assert!(client.ends().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_behind_a_refused_upgrade_is_a_request_like_any_other() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    for (behind, status) in [("/users/%2e%2e/x", 400), ("/nothing", 404), ("/version", 200)] {
        let mut client = Wire::connect(door.address).await;
        let ask = upgrade("GET /ws?user=ada HTTP/1.1");
        client.send(format!("{ask}GET {behind} HTTP/1.1\r\nhost: door\r\n\r\n")).await;
        assert_eq!(client.whole_answer("GET").await.text(), "GET /ws?user=ada: 0 bytes");
        // It is judged by the door, or never looked at; the backend does not see it.
        if let Some(answer) = client.answer("GET").await.unwrap() {
            assert_eq!(answer.status, status, "{behind}");
        }
        assert_eq!(backend.take().len(), 1, "{behind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_socket_route_and_a_whole_upgrade_may_switch() {
    // It switches whoever asks.
    let backend = Backend::start(|mut visit| async move {
        let asks = visit.head.headers.iter().any(|(name, _)| name == "upgrade");
        match asks {
            true => drop(visit.wire.send(SWITCH).await),
            false => visit.answer("plain").await,
        }
        Some(visit)
    })
    .await;
    let door = door_before(&backend).await;
    for (ask, status) in [
        (upgrade("GET /users/1 HTTP/1.1"), 200),
        (upgrade("GET /chat/rooms HTTP/1.1"), 200),
        (upgrade("GET /ws HTTP/1.0"), 200),
        (upgrade("POST /ws HTTP/1.1"), 405),
        (upgrade("GET /ws HTTP/1.1").replace("upgrade: websocket", "upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__"), 200),
        (upgrade("GET /ws HTTP/1.1").replace("upgrade: websocket", "upgrade: websocket2"), 200),
        (upgrade("GET /ws HTTP/1.1").replace("connection: Upgrade", "connection: keep-alive"), 200),
    ] {
        let mut client = Wire::connect(door.address).await;
        client.send(&ask).await;
        let answer = client.whole_answer("GET").await;
        assert!(answer.status == status || answer.status == 400, "{ask}: {answer:?}");
        assert!(backend.take().iter().all(|seen| seen.head.all("upgrade").is_empty()), "{ask}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_to_something_else_is_a_502() {
    for switch in [SWITCH.replace("websocket", "h2c"), "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned()] {
        let backend = Backend::saying(switch.clone(), true).await;
        let door = door_before(&backend).await;
        let mut client = Wire::connect(door.address).await;
        client.send(upgrade("GET /ws HTTP/1.1")).await;
        assert_eq!(client.whole_answer("GET").await.status, 502, "{switch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_says_before_it_leaves_still_arrives() {
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::start(move |mut visit| {
        let tell = tell.clone();
        async move {
            visit.wire.send(SWITCH).await;
            let mut heard = Vec::new();
            // It may end in a reset.
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut visit.wire.stream, &mut heard).await;
            tell.send(heard).ok()?;
            None
        }
    })
    .await;
    let door = door_before(&backend).await;
    let mut told = told;
    let words = "the last words ".repeat(1000);
    for _ in 0..10 {
        let mut client = Wire::connect(door.address).await;
        client.send(upgrade("GET /ws HTTP/1.1")).await;
        assert_eq!(client.whole_answer("GET").await.status, 101);
        client.send(&words).await;
        client.end().await;
        let heard = tokio::time::timeout(LIMIT, told.recv()).await.expect("the end arrives").unwrap();
        assert_eq!(String::from_utf8(heard).unwrap(), words);
        assert!(client.ends().await);
    }
}
